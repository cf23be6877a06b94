// SPDX-License-Identifier: Apache-2.0

//go:build linux

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// open opens an original that must be fit.
func open(t *testing.T, path string) *Original {
	t.Helper()
	o, err := Open(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

func always() error { return nil }

func TestOriginalIsReplacedAndCopied(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	o := open(t, path)
	if o.Exists() || len(o.Data()) != 0 {
		t.Errorf("a file that is not there: %v, %q", o.Exists(), o.Data())
	}
	if err := o.Replace([]byte("first"), always); err != nil {
		t.Fatal(err)
	}
	if err := o.Replace([]byte("again"), always); !errors.Is(err, ErrChanged) {
		t.Errorf("a file that was made meanwhile: %v, want %v", err, ErrChanged)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	o = open(t, path)
	if !o.Exists() || string(o.Data()) != "first" {
		t.Errorf("Open: %v, %q", o.Exists(), o.Data())
	}
	if err := o.Copy("copy"); err != nil {
		t.Fatal(err)
	}
	if err := o.Copy("copy"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second copy: %v, want %v", err, fs.ErrExist)
	}
	if err := o.Replace([]byte("second"), always); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "copy", "f")
	for name, want := range map[string]string{"copy": "first", "f": "second"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		info, serr := os.Stat(filepath.Join(dir, name))
		if err != nil || serr != nil || string(data) != want || info.Mode() != 0o604 {
			t.Errorf("%s: %q, %v, %v %v", name, data, info.Mode(), err, serr)
		}
	}
}

// TestOriginalThatChanged: nothing is replaced that is not what was opened.
func TestOriginalThatChanged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(path string) error
		want   error
	}{
		{"another content of the same length", func(path string) error { return os.WriteFile(path, []byte("OLD"), 0o600) }, ErrChanged},
		{"more", func(path string) error { return os.WriteFile(path, []byte("older"), 0o600) }, ErrChanged},
		{"less", func(path string) error { return os.Truncate(path, 1) }, ErrChanged},
		{"another mode", func(path string) error { return os.Chmod(path, 0o640) }, ErrChanged},
		{"another group", func(path string) error { return os.Chown(path, -1, 1234) }, ErrChanged},
		{"another file", func(path string) error {
			return errors.Join(os.WriteFile(path+"2", []byte("old"), 0o600), os.Rename(path+"2", path))
		}, ErrChanged},
		{"gone", os.Remove, ErrChanged},
		{"a link", func(path string) error { return errors.Join(os.Rename(path, path+"2"), os.Symlink("f2", path)) }, ErrChanged},
		{"a second name", func(path string) error { return os.Link(path, path+"2") }, ErrHardLinked},
		{"said no", func(string) error { return nil }, fs.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasSuffix(tt.name, "group") {
				planted(t, map[bool]error{true: nil, false: errNeedRoot}[os.Geteuid() == 0])
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			o := open(t, path)
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			err := o.Replace([]byte("new"), func() error { return fs.ErrClosed })
			if !errors.Is(err, tt.want) {
				t.Errorf("Replace: %v, want %v", err, tt.want)
			}
			after, _ := os.ReadFile(path)
			left, _ := filepath.Glob(filepath.Join(dir, ".*"))
			if string(before) != string(after) || len(left) != 0 {
				t.Errorf("the file holds %q, before %q; left: %v", after, before, left)
			}
		})
	}
}

func TestOriginalWithoutItsFolder(t *testing.T) {
	dir := t.TempDir()
	o := open(t, filepath.Join(dir, "no", "f"))
	if err := o.Replace([]byte("x"), always); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "write in "+filepath.Join(dir, "no")) {
		t.Errorf("Replace: %v", err)
	}
	if err := o.Copy("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Copy: %v", err)
	}
	if _, err := Open(filepath.Join(dir, strings.Repeat("x", 300)), 10); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("a name that is too long: %v", err)
	}
}

// TestRenameNewWhereTheSystemCannot: a file system without the one step, which NFS
// is and a FUSE one may be, is given two.
func TestRenameNewWhereTheSystemCannot(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cannot := func(int, string, int, string) error { return unix.EINVAL }
	if err := renameBy(cannot, unix.AT_FDCWD, from, unix.AT_FDCWD, to); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "to")
	if err := os.WriteFile(from, []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := renameBy(cannot, unix.AT_FDCWD, from, unix.AT_FDCWD, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v, want %v", err, fs.ErrExist)
	}
	if err := RenameNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("RenameNew: %v, want %v", err, fs.ErrExist)
	}
	only(t, dir, "from", "to")
}

// TestLock: one at a time, in one process too, until the file is closed.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, release)
	second, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer second()
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the lock file: %v, %v", info.Mode(), err)
	}
	if err := os.Symlink("lock", path+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), path+"2"); err == nil || !strings.Contains(err.Error(), path+"2") {
		t.Errorf("a link: %v", err)
	}
	if err := unix.Mkfifo(path+"3", 0o600); err != nil {
		t.Fatal(err)
	}
	if release, err := Lock(t.Context(), path+"3"); err == nil {
		release() // a FIFO can be locked; it is not waited for
	}
}

// TestOriginalKeepsItsAttributes: those of the user, of any length, and no others.
func TestOriginalKeepsItsAttributes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	attributes := map[string]string{"user.a": "", "user.b": strings.Repeat("x", 1100)}
	for i := range 30 { // a list of over 1 KiB
		attributes["user."+strings.Repeat("y", 30)+string(rune('A'+i))] = "z"
	}
	for name, value := range attributes {
		if err := unix.Setxattr(path, name, []byte(value), 0); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOTSUP) {
			delete(attributes, name) // this file system has less room
		} else if err != nil {
			t.Fatal(err)
		}
	}
	list := []byte{
		2, 0, 0, 0,
		1, 0, 6, 0, 255, 255, 255, 255,
		2, 0, 4, 0, 234, 3, 0, 0,
		4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 6, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255,
	}
	if err := unix.Setxattr(dir, "system.posix_acl_default", list, 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	if err := open(t, path).Replace([]byte("new"), always); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := attributesOf(f)
	if err != nil || len(names) != len(attributes) {
		t.Errorf("%d attributes, %v, want %d: %q", len(names), err, len(attributes), names)
	}
	for name, want := range attributes {
		if got, err := attribute(int(f.Fd()), name); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if info, err := f.Stat(); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// attributesOf returns the names of the attributes that a user may set.
func attributesOf(f *os.File) ([]string, error) {
	all, err := attributes(int(f.Fd()))
	return slices.DeleteFunc(all, func(name string) bool { return !users(name) }), err
}
