// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
