// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// tempDir is t.TempDir, but for Wine, which cannot remove it all and need not:
// its disk is thrown away.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "broker-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestWriteThenRead(t *testing.T) {
	dir := filepath.Join(tempDir(t), "a", "b")
	if err := MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.json")
	for _, data := range []string{"first", "", strings.Repeat("long ", 100000)} {
		if err := Write(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path, int64(len(data))); err != nil || string(got) != data {
			t.Errorf("Read = %d bytes, %v, want %d", len(got), err, len(data))
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v is left, %v", entries, err)
	}
	if _, err := Read(path, 10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a long file: %v, want %v", err, ErrTooLarge)
	}
	if _, err := Read(path+"-no", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want %v", err, fs.ErrNotExist)
	}
}

func TestDirectoryIsRefused(t *testing.T) {
	path := filepath.Join(tempDir(t), "d")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, nil, 0o600); !errors.Is(err, ErrUnsafe) {
		t.Errorf("Write: %v, want %v", err, ErrUnsafe)
	}
	if _, err := Read(path, 10); !errors.Is(err, ErrUnsafe) {
		t.Errorf("Read: %v, want %v", err, ErrUnsafe)
	}
}

func TestHardLinkIsRefused(t *testing.T) {
	path := filepath.Join(tempDir(t), "f")
	if err := errors.Join(Write(path, []byte("x"), 0o600), os.Link(path, path+"2")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, 10); !errors.Is(err, ErrUnsafe) {
		t.Errorf("Read: %v, want %v", err, ErrUnsafe)
	}
}

// What others may do with a file is read from its list.
func TestGrantee(t *testing.T) {
	user, err := self()
	if err != nil {
		t.Fatal(err)
	}
	me := "(A;;FA;;;" + user.String() + ")"
	for _, tt := range []struct {
		name, dacl     string
		reads, changes string
	}{
		{"private", me + "(A;;FA;;;SY)(A;;FA;;;BA)", "", ""},
		{"all read", me + "(A;;FR;;;WD)", "S-1-1-0", ""},
		{"all write", me + "(A;;FW;;;WD)", "", "S-1-1-0"},
		{"users change", me + "(A;;0x1301bf;;;BU)", "S-1-5-32-545", "S-1-5-32-545"},
		{"denied", me + "(D;;FA;;;WD)", "", ""},
		{"for what is below", me + "(A;OICIIO;FA;;;WD)", "", ""},
		{"may delete what is in it", me + "(A;;0x40;;;AU)", "", "S-1-5-11"},
		{"may let themselves in", me + "(A;;WD;;;AU)", "", "S-1-5-11"},
	} {
		sd, err := windows.SecurityDescriptorFromString("D:P" + tt.dacl)
		if err != nil {
			t.Fatal(err)
		}
		dacl, _, err := sd.DACL()
		if err != nil {
			t.Fatal(err)
		}
		if who, err := grantee(dacl, user, Reading); who != tt.reads || err != nil {
			t.Errorf("%s: %q can read (%v), want %q", tt.name, who, err, tt.reads)
		}
		if who, err := grantee(dacl, user, Writing); who != tt.changes || err != nil {
			t.Errorf("%s: %q can write (%v), want %q", tt.name, who, err, tt.changes)
		}
	}
}

// A file that is being read is replaced once the reader is done.
func TestReplaceWaitsForReaders(t *testing.T) {
	path := filepath.Join(tempDir(t), "f")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- Write(path, []byte("new"), 0o600) }()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path, 10); err != nil || !bytes.Equal(got, []byte("new")) {
		t.Errorf("Read = %q, %v", got, err)
	}
}
