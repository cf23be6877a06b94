// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// contents returns every file below dir by its path, but for those that may
// change whatever happens: the log, locks, and what fills the disk.
func (w *world) contents(dir string) map[string]string {
	w.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if !d.Type().IsRegular() || strings.HasPrefix(name, "brokerd.log") || strings.HasSuffix(name, ".lock") || name == "filler" {
			return nil
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was a temporary one
		}
		files[path] = string(data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

// unwritable checks what holds where nothing can be written below home. With
// code, what writes ends in words and leaves every file as it was; what reads
// goes on, in a daemon that starts only now, as far as a new session with MFA.
func (w *world) unwritable(says string) {
	w.t.Helper()
	before := w.contents(w.home)
	w.killDaemon()
	w.credentials("ops") // a daemon starts, without a place for its log
	w.must(w.run("broker", "mfa", "-p", "dev", w.code()))
	w.credentials("dev")
	w.must(w.run("broker", "status"))
	w.must(w.run("broker", "list"))
	w.must(w.run("broker", "exec", "ops", "--", "true")) // its overlay is elsewhere
	for _, args := range [][]string{
		{"add", "new", "--stdin", "--no-mfa"},
		{"add", "ops", "--stdin", "--no-mfa", "--replace"},
		{"remove", "dev", "--yes"},
		{"init", "--yes"},
	} {
		cmd := w.command("broker", args...)
		key := w.user("eve").AccessKeys[0]
		cmd.Stdin = strings.NewReader(key.AccessKeyID + "\n" + key.SecretAccessKey + "\n")
		// init has something new to record.
		cmd.Env = append(cmd.Env, "GNUPGHOME="+strings.Repeat("/long", 1200))
		r := w.finish(cmd)
		if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, says) || !strings.Contains(r.stderr, "\nbroker: hint: ") {
			w.t.Errorf("%s: status %d, stdout %q, stderr %q; want 1, nothing, and a line that says %q", r.line, r.status, r.stdout, r.stderr, says)
		}
	}
	w.eventually("every file is as it was", func() error { // the daemon may just be trying to write one by itself
		after := w.contents(w.home)
		for path := range before {
			if before[path] != after[path] {
				return fmt.Errorf("%s was\n%q\nand is\n%q", path, before[path], after[path])
			}
		}
		for path := range after {
			if _, was := before[path]; !was {
				return fmt.Errorf("%s is new", path)
			}
		}
		return nil
	})
	w.credentials("dev")
	w.credentials("ops")
}

// writableAgain checks that what was refused works once there is room.
func (w *world) writableAgain() {
	w.t.Helper()
	w.add("new", "eve", "--no-mfa")
	w.credentials("new")
	w.must(w.run("broker", "remove", "new", "--yes"))
	w.must(w.run("broker", "init", "--yes"))
	w.credentials("ops")
}

// TestF24DiskFullServesOn: every writer keeps the old file, and what is stored
// is served.
func TestF24DiskFullServesOn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	w := newWorld(t)
	mount(t, "tmpfs", w.home, "tmpfs", 0, "size=256k,mode=0700")
	if err := os.Mkdir(filepath.Join(w.home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.ready()
	w.add("ops", "bob", "--no-mfa")
	w.quickCodes()
	w.killDaemon() // which would find the last free bytes of its log
	room := full(t, w.home)
	w.unwritable("no space left on device")
	room()
	w.writableAgain()
}

// TestF25ReadOnlyHomeServesOn: a daemon that starts on a home that is mounted
// read-only serves what is stored, and makes new sessions: they are never on
// disk. What would have to be written is refused.
func TestF25ReadOnlyHomeServesOn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	w := newWorld(t)
	w.ready()
	w.add("ops", "bob", "--no-mfa")
	w.quickCodes()
	mount(t, w.home, w.home, "", syscall.MS_BIND, "")
	remount := func(flags uintptr) {
		w.killDaemon() // which has its lock open
		if err := syscall.Mount("", w.home, "", syscall.MS_BIND|syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	w.unwritable("read-only file system")
	remount(0)
	w.writableAgain()
}

// mount mounts a file system for the life of the test.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mount %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
