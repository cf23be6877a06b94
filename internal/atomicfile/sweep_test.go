// SPDX-License-Identifier: Apache-2.0

//go:build linux

package atomicfile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestF27SweepTakesOnlyItsOwn: what goes is a temporary file of a file that is
// named, ours, and old. Everything else stays, whatever it looks like.
func TestF27SweepTakesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	plant := func(name string, age time.Duration) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plant(".state.tmp-1k2j3h", 2*time.Hour)
	plant(".state.tmp-0", 100*24*time.Hour)
	keep := []string{".state.tmp-young", "state", "state.tmp-1", ".state.tmp-", ".state.tmp-UP", ".other.tmp-1", "..tmp-1", ".state.tmp-dir", ".state.tmp-link"}
	plant(keep[0], 10*time.Minute)
	for _, name := range keep[1:7] {
		plant(name, 2*time.Hour)
	}
	if err := os.Mkdir(filepath.Join(dir, ".state.tmp-dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("state", filepath.Join(dir, ".state.tmp-link")); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		path := plant(".state.tmp-foreign", 2*time.Hour)
		if err := os.Chown(path, 1002, 1002); err != nil {
			t.Fatal(err)
		}
		keep = append(keep, ".state.tmp-foreign")
	}
	times := []unix.Timespec{{Sec: 1}, {Sec: 1}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, ".state.tmp-link"), times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
	isState := func(name string) bool { return name == "state" }
	if err := Sweep(dir, now.Add(-time.Hour), isState); err != nil {
		t.Error(err)
	}
	slices.Sort(keep)
	only(t, dir, keep...)
	if err := Sweep(filepath.Join(dir, "nowhere"), now, isState); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
	if err := Sweep(filepath.Join(dir, "state"), now, isState); err == nil {
		t.Error("a file was swept as a directory")
	}
}

// TestSweepKnowsTheNamesOfWrite: the two agree on what is temporary.
func TestSweepKnowsTheNamesOfWrite(t *testing.T) {
	for range 1000 {
		for _, name := range []string{"state.json", "a", ".hidden", "x.tmp-1"} {
			temporary := temporaryName(name)
			if got, ok := temporaryOf(temporary); !ok || got != name {
				t.Fatalf("%q is not known as temporary for %q: %q", temporary, name, got)
			}
		}
	}
	for _, other := range []string{"", ".", "state.json", ".tmp-1", "..tmp-", ".a.tmp-", ".a.tmp-A", ".a.tmp-1.2", "a.tmp-1", "x.a.tmp-1"} {
		if got, ok := temporaryOf(other); ok {
			t.Errorf("%q is taken for a temporary file of %q", other, got)
		}
	}
}
