// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// profiles is a config of n profiles as organisations generate it. A profile
// for each follows that it does not have.
func profiles(n int) (config []byte, names []string) {
	var buf bytes.Buffer
	for i := range n {
		name := fmt.Sprintf("account-%05d", i)
		fmt.Fprintf(&buf, "[profile %s]\nrole_arn = arn:aws:iam::%012d:role/Admin\nsource_profile = main\nregion = eu-west-1\n\n", name, i)
		names = append(names, name)
	}
	return buf.Bytes(), names
}

// wireAll wires profiles as `broker wire --all` does, the check included.
func wireAll(tb testing.TB, config []byte, names []string) []byte {
	tb.Helper()
	d, err := ParseDocument("config", ConfigFile, config)
	if err != nil {
		tb.Fatal(err)
	}
	other, err := ParseDocument("credentials", CredentialsFile, nil)
	if err != nil {
		tb.Fatal(err)
	}
	other.Beside(d)
	for _, name := range names {
		if err := d.Wire(name, wireProgram+" credential-process "+name); err != nil {
			tb.Fatal(err)
		}
		if err := other.Park(name); err != nil {
			tb.Fatal(err)
		}
	}
	if err := Verify(Files{"config", "credentials"}, vault(map[string]string{"main": "AKIA1"}), d, other); err != nil {
		tb.Fatal(err)
	}
	return d.Bytes()
}

func unwireAll(tb testing.TB, config []byte, names []string) {
	tb.Helper()
	d, err := ParseDocument("config", ConfigFile, config)
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		if _, err := d.Unwire(name); err != nil {
			tb.Fatal(err)
		}
	}
	_ = Diff("config", config, d.Bytes()) // the work is what counts
}

func BenchmarkEdit(b *testing.B) {
	config, names := profiles(10_000)
	b.SetBytes(int64(len(config)))
	for b.Loop() {
		wireAll(b, config, names)
	}
}

// TestEditGrowsWithTheFile: ten times as many profiles cost ten times as much,
// not a hundred times, whether they are there or have to be added. It compares
// the shortest of a few runs, and of more where the machine was busy with
// something else: work that grows with the square is never that short.
func TestEditGrowsWithTheFile(t *testing.T) {
	config, names := profiles(2000)
	small, fewer := profiles(200)
	for _, c := range []struct {
		name string
		do   func(config []byte, names []string)
	}{
		{"wire and unwire", func(config []byte, names []string) { unwireAll(t, wireAll(t, config, names), names) }},
		{"add and remove", func(_ []byte, names []string) { unwireAll(t, wireAll(t, nil, names), names) }},
	} {
		shorter := func(least time.Duration, config []byte, names []string) time.Duration {
			began := time.Now()
			c.do(config, names)
			return min(least, time.Since(began))
		}
		few, many := time.Hour, time.Hour
		for range 3 {
			few = shorter(few, small, fewer)
		}
		for tries := 0; tries < 8 && many > 40*few; tries++ {
			many = shorter(many, config, names)
		}
		t.Logf("%s: %v and %v", c.name, few, many)
		if many > 40*few {
			t.Errorf("%s: %d profiles take %v, %d take %v", c.name, len(fewer), few, len(names), many)
		}
		allocs := testing.AllocsPerRun(1, func() { c.do(config, names) }) / testing.AllocsPerRun(1, func() { c.do(small, fewer) })
		if allocs > 15 {
			t.Errorf("%s: ten times as many profiles allocate %.1f times as often", c.name, allocs)
		}
	}
}
