// SPDX-License-Identifier: Apache-2.0

//go:build linux

package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// only fails unless dir holds exactly the files named.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestWriteThenRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	for _, tt := range []struct {
		data string
		perm fs.FileMode
	}{
		{"first", 0o600},
		{"", 0o600},
		{strings.Repeat("long ", 100000), 0o400},
		{"after a file that cannot be written", 0o644},
	} {
		if err := Write(path, []byte(tt.data), tt.perm); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, int64(len(tt.data)))
		if err != nil || string(got) != tt.data {
			t.Errorf("Read = %d bytes, %v, want %d", len(got), err, len(tt.data))
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != tt.perm {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, tt.perm)
		}
	}
	only(t, dir, "state.json")
}

func TestWriteHasTheModeWhateverTheUmask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	old := unix.Umask(0o777)
	err := Write(path, []byte("x"), 0o640)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v, want 0640", info.Mode(), err)
	}
}

// What stands in the way of Write, and what it leaves.
func TestWriteRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(path string) error
	}{
		{"symlink", func(path string) error {
			return errors.Join(os.WriteFile(path+"-target", []byte("precious"), 0o600), os.Symlink(path+"-target", path))
		}},
		{"dangling symlink", func(path string) error { return os.Symlink(path+"-target", path) }},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"file of another", func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("precious"), 0o666), chown(path, 1002))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			planted(t, tt.plant(path))
			before, _ := os.ReadDir(dir)
			err := Write(path, []byte("new"), 0o600)
			if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), path) {
				t.Errorf("Write: %v, want %v with the path", err, ErrUnsafe)
			}
			after, _ := os.ReadDir(dir)
			if len(after) != len(before) {
				t.Errorf("Write leaves %v, before %v", after, before)
			}
			for _, name := range []string{path, path + "-target"} {
				if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
					if data, err := os.ReadFile(name); err != nil || string(data) != "precious" {
						t.Errorf("%s holds %q, %v", name, data, err)
					}
				}
			}
		})
	}
}

var errNeedRoot = errors.New("this test needs root to act as other users")

// chown makes a file another user's.
func chown(path string, uid int) error {
	if os.Geteuid() != 0 {
		return errNeedRoot
	}
	return os.Chown(path, uid, uid)
}

// planted lets a test that needs root skip on a developer's own account.
func planted(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, errNeedRoot) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "no", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v, want %v", err, fs.ErrNotExist)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "file", "f"), nil, 0o600); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file for a directory: %v, want %v", err, unix.ENOTDIR)
	}
	if err := Write(filepath.Join(dir, strings.Repeat("x", 250)), nil, 0o600); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("long name: %v, want %v", err, unix.ENAMETOOLONG)
	}
	only(t, dir, "file")
}

// A full disk, a read-only one: the old file is whole and nothing else is left.
func TestFullDiskLeavesTheOldFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this test needs root to mount a small disk")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "state.json")
	old := bytes.Repeat([]byte("o"), 4000)
	if err := Write(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(want error) {
		t.Helper()
		if err := Write(path, bytes.Repeat([]byte("n"), 128<<10), 0o600); !errors.Is(err, want) {
			t.Errorf("Write: %v, want %v", err, want)
		}
		if got, err := Read(path, 1<<20); err != nil || !bytes.Equal(got, old) {
			t.Errorf("the old file has %d bytes, %v", len(got), err)
		}
		only(t, dir, "state.json")
	}
	check(unix.ENOSPC)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	check(unix.EROFS)
}

func TestReadRefuses(t *testing.T) {
	write := func(mode fs.FileMode) func(string) error {
		return func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("data"), 0o600), os.Chmod(path, mode))
		}
	}
	for _, tt := range []struct {
		name  string
		plant func(path string) error
		want  error
	}{
		{"ok", write(0o600), nil},
		{"readable by all", write(0o644), nil},
		{"writable by its group", write(0o620), ErrUnsafe},
		{"writable by all", write(0o602), ErrUnsafe},
		{"missing", func(string) error { return nil }, fs.ErrNotExist},
		{"too large", func(path string) error { return os.WriteFile(path, []byte("data and more"), 0o600) }, ErrTooLarge},
		{"symlink", func(path string) error {
			return errors.Join(write(0o600)(path+"-target"), os.Symlink(path+"-target", path))
		}, ErrUnsafe},
		{"hard link", func(path string) error {
			return errors.Join(write(0o600)(path+"-target"), os.Link(path+"-target", path))
		}, ErrUnsafe},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, ErrUnsafe},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o600) }, ErrUnsafe},
		{"socket", func(path string) error {
			return unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
		}, unix.ENXIO},
		{"of another", func(path string) error { return errors.Join(write(0o600)(path), chown(path, 1002)) }, ErrUnsafe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			planted(t, tt.plant(path))
			data, err := Read(path, 4)
			if !errors.Is(err, tt.want) {
				t.Errorf("Read: %v, want %v", err, tt.want)
			}
			if (err == nil) != (string(data) == "data") {
				t.Errorf("Read = %q, %v", data, err)
			}
			if err != nil && strings.Count(err.Error(), path) != 1 {
				t.Errorf("the error does not name the file once: %v", err)
			}
		})
	}
}

// A reader finds one whole content or another, whoever writes meanwhile.
func TestReadersAndWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	contents := [][]byte{bytes.Repeat([]byte("a"), 5000), bytes.Repeat([]byte("b"), 50000)}
	if err := Write(path, contents[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, c := range contents {
		wg.Go(func() {
			for range 20 {
				if err := Write(path, c, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				got, err := Read(path, 1<<20)
				if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
					t.Errorf("Read: %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	only(t, dir, "f")
}
