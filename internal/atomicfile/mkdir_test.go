// SPDX-License-Identifier: Apache-2.0

//go:build unix

package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "c")
	for range 2 { // the second time it is there
		if err := MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, made := range []string{path, filepath.Dir(path)} {
		if info, err := os.Stat(made); err != nil || info.Mode() != 0o700|os.ModeDir {
			t.Errorf("%s: mode %v (%v), want 0700", made, info.Mode(), err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(link, "d"), 0o700); err != nil {
		t.Errorf("below a link: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := Write(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if err := MkdirAll(bad, 0o700); err == nil {
			t.Errorf("MkdirAll(%s) succeeded", bad)
		}
	}
}
