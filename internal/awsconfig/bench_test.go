// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// tenThousand is a config as organisations generate it.
func tenThousand() []byte {
	var buf bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&buf, "[profile account-%05d]\nrole_arn = arn:aws:iam::%012d:role/Admin\nsource_profile = main\nregion = eu-west-1\n\n", i, i)
	}
	return buf.Bytes()
}

// BenchmarkScanner is the floor: bufio.Scanner over the same bytes.
func BenchmarkScanner(b *testing.B) {
	data := tenThousand()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
			_ = s.Text() // only the work counts
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	data := tenThousand()
	path := filepath.Join(b.TempDir(), "config")
	b.SetBytes(int64(len(data)))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Load(Files{Config: path}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLoadAllocatesPerFile keeps the price of a large file where it belongs:
// an organisation's ten thousand profiles must not cost an allocation each.
// It counts, because a time would depend on what else the machine does.
func TestLoadAllocatesPerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, tenThousand(), 0o600); err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(2, func() {
		if _, err := Load(Files{Config: path}); err != nil {
			t.Fatal(err)
		}
	})
	if got > 500 {
		t.Errorf("reading 10 000 profiles allocates %.0f times", got)
	}
}

// TestValueKeepsNoFile: who keeps one value of each version of a file does not
// keep the versions.
func TestValueKeepsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, tenThousand(), 0o600); err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var kept []string
	before := heap()
	for range 16 {
		c, err := Load(Files{Config: path})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := c.Profile("account-00007")
		kept = append(kept, p.Get("role_arn"), p.Name)
	}
	if grown := int64(heap()) - int64(before); grown > 4<<20 {
		t.Errorf("%d values keep %d bytes", len(kept), grown)
	}
	runtime.KeepAlive(kept)
}

// BenchmarkDisagreements is what broker doctor does with ten thousand profiles
// of which Go and JavaScript refuse each.
func BenchmarkDisagreements(b *testing.B) {
	files := Files{Config: filepath.Join(b.TempDir(), "config")}
	data := bytes.ReplaceAll(tenThousand(), []byte("region ="), []byte("mfa_serial = arn:aws:iam::111122223333:mfa/ann\nregion ="))
	data = append(data, "[profile main]\naws_access_key_id = A\naws_secret_access_key = x\n"...)
	if err := os.WriteFile(files.Config, data, 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		found, err := Disagreements(files)
		if err != nil || len(found) != 10_000 {
			b.Fatalf("%d found, %v", len(found), err)
		}
	}
}

// TestManyMissingSources: each profile names a source of its own that is not
// there. To look for what each was meant to be grew with the square of the file:
// ten times as many profiles took a hundred times as long, and may take forty
// times, on a machine that is busy with something else.
func TestManyMissingSources(t *testing.T) {
	t.Parallel()
	look := func(profiles int) time.Duration {
		files := Files{Config: filepath.Join(t.TempDir(), "config")}
		var data bytes.Buffer
		for i := range profiles {
			fmt.Fprintf(&data, "[profile a%05d]\nrole_arn = arn:aws:iam::111122223333:role/R\nsource_profile = gone%05d\n", i, i)
		}
		if err := os.WriteFile(files.Config, data.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c, err := Load(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range c.Profiles() {
			if _, err := c.Route(name, nil); !errors.Is(err, &Error{Code: CodeNoProfile}) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if _, err := Disagreements(files); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	few, many := min(look(400), look(400), look(400)), look(4000)
	for tries := 0; tries < 6 && many > 40*few; tries++ {
		many = min(many, look(4000))
	}
	if many > 40*few {
		t.Errorf("400 profiles take %v, 4000 take %v", few, many)
	}
}
