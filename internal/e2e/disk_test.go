// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testtracer"
)

// keys returns profile → access key ID of what is stored.
func (w *world) keys() map[string]string {
	w.t.Helper()
	var list struct {
		Keys []struct {
			Profile     string `json:"profile"`
			AccessKeyID string `json:"accessKeyId"`
		} `json:"keys"`
	}
	r := w.must(w.run("broker", "list", "--json"))
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		w.t.Fatalf("%s: %v", r.stdout, err)
	}
	keys := map[string]string{}
	for _, k := range list.Keys {
		keys[k.Profile] = k.AccessKeyID
	}
	return keys
}

// tryBob stores bob's key, or not.
func (w *world) tryBob() result {
	w.t.Helper()
	return w.finish(w.addCommand("bob", "bob", "--mfa-serial", w.user("bob").Devices[0].SerialNumber))
}

// leftovers returns the temporary files in the state directory.
func (w *world) leftovers() []string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.home, ".local", "state", "broker", ".*.tmp-*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// TestF26DiskErrors: when the disk fails under the daemon, or under the worker
// that stores an item, the new key counts as not written, the old one serves,
// and the next try, on a disk that works, succeeds.
func TestF26DiskErrors(t *testing.T) {
	t.Parallel()
	broken := testtracer.Strike{Fail: syscall.EIO}
	for _, name := range []string{"fsync", "renameat"} {
		t.Run("daemon "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			w.killDaemon()
			w.daemonTraced(every(name, broken))
			refused := w.tryBob()
			if refused.status != 1 || refused.stdout != "" || !strings.Contains(refused.stderr, "input/output error") {
				t.Errorf("add: exit status %d, stdout %q, stderr %q", refused.status, refused.stdout, refused.stderr)
			}
			if got := w.keys(); len(got) != 1 || got["dev"] == "" {
				t.Errorf("after the refusal: %v", got)
			}
			w.killDaemon()
			if got := w.keys(); len(got) != 1 || got["dev"] == "" {
				t.Errorf("after the restart: %v", got)
			}
			w.must(w.tryBob())
			w.prime("dev")
			if n := len(w.keys()); n != 2 {
				t.Errorf("%d keys in the end", n)
			}
		})
	}
	t.Run("worker", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.ready()
		for _, name := range []string{"fsync", "renameat2"} {
			cmd := w.addCommand("bob", "bob", "--mfa-serial", w.user("bob").Devices[0].SerialNumber)
			// The client, and the worker that it starts; the daemon runs already.
			refused, _ := w.startTraced(cmd, testtracer.Options{Below: []string{w.home}, Children: true, Strike: every(name, broken)}).wait()
			if refused.status != 5 || !strings.Contains(refused.stderr, "input/output error") {
				t.Errorf("%s: exit status %d, stderr %q", name, refused.status, refused.stderr)
			}
			if got := w.keys(); len(got) != 1 || got["dev"] == "" {
				t.Errorf("%s: after the refusal: %v", name, got)
			}
		}
		w.must(w.tryBob())
		w.prime("dev")
	})
}

// TestF27CrashBeforeTheRename: a daemon that dies between writing a file and
// renaming it leaves the old one whole, and something to sweep up: the next
// daemon does, once nobody can be writing it any more. The client that saw the
// first one die has the second finish the work.
func TestF27CrashBeforeTheRename(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	before := w.keys()
	w.killDaemon()
	dying := w.daemonTraced(every("renameat", testtracer.Strike{Kill: testtracer.Before}))
	w.must(w.tryBob())
	if r, calls := dying.wait(); r.status != -1 || calls[len(calls)-1].Name != "renameat" {
		t.Errorf("the first daemon did not die: status %d, calls %v", r.status, calls)
	}
	left := w.leftovers()
	if len(left) == 0 {
		t.Fatal("the crash left nothing behind: it came too late to show anything")
	}
	if got := w.keys(); len(got) != 2 || got["dev"] != before["dev"] || got["bob"] == "" {
		t.Errorf("after the crash: %v, before %v", got, before)
	}
	for _, path := range left {
		if !fileExists(path) {
			t.Errorf("a young file was swept: %s", path)
		}
	}
	w.killDaemon()
	old := time.Now().Add(-2 * time.Hour)
	for _, path := range left {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	w.must(w.run("broker", "list"))
	w.eventually("the leftovers are gone", func() error {
		if got := w.leftovers(); len(got) != 0 {
			return errors.New(strings.Join(got, ", "))
		}
		return nil
	})
	w.prime("dev")
}
