// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// watch scans the daemon, all command lines and all files of a world, again
// and again, until stop is called; it returns what it found and how often it
// looked into a living daemon.
type watch struct {
	w     *world
	n     needle
	stop  func()
	mu    sync.Mutex
	found []string
	scans int
}

func (w *world) watchFor(n needle) *watch {
	done := make(chan struct{})
	var group sync.WaitGroup
	v := &watch{w: w, n: n}
	v.stop = sync.OnceFunc(func() { close(done); group.Wait() })
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				v.look()
			}
		}
	})
	w.t.Cleanup(v.stop)
	return v
}

func (v *watch) look() {
	found := v.n.scanCommandLines()
	if pid := v.w.daemonPID(); pid != 0 {
		in, err := v.n.scanMemory(pid)
		found = append(found, in...)
		if err == nil {
			v.mu.Lock()
			v.scans++
			v.mu.Unlock()
		} else if !errors.Is(err, fs.ErrNotExist) {
			found = append(found, "scan of brokerd: "+err.Error())
		}
	}
	if len(found) > 0 {
		v.mu.Lock()
		v.found = append(v.found, found...)
		v.mu.Unlock()
	}
}

// looks returns how often it has looked into a living daemon.
func (v *watch) looks() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.scans
}

// sawNothing ends the watch, with everything still in place, and fails the test
// if it found anything, or looked less often than that into a living daemon.
func (v *watch) sawNothing(least int) {
	v.w.t.Helper()
	v.look()
	v.stop()
	if len(v.found) > 0 {
		slices.Sort(v.found)
		v.w.t.Errorf("it was seen:\n%s", strings.Join(slices.Compact(v.found), "\n"))
	}
	if v.scans < least {
		v.w.t.Errorf("only %d scans of a living daemon", v.scans)
	}
}

// secrets are the long-lived secrets of users.
func (w *world) secrets(names ...string) needle {
	w.t.Helper()
	all := needle{}
	for _, name := range names {
		all.add(name+"'s", newNeedle(w.user(name).AccessKeys[0].SecretAccessKey))
	}
	return all
}

// TestP29LongLivedSecretNeverEntersTheDaemon: 50 mints, adds and removes while
// the daemon, every command line and every file are scanned.
func TestP29LongLivedSecretNeverEntersTheDaemon(t *testing.T) {
	t.Parallel()
	needRoot(t)
	begin := time.Now().Add(-time.Second)
	w := newWorld(t)
	w.ready()
	canary := w.secrets("ann", "eve")
	w.prime("dev")
	v := w.watchFor(canary)
	for i := 0; i < 50 || v.looks() < 10; i++ { // eve's key comes and goes, so that each time is a mint
		w.add("again", "eve", "--no-mfa")
		w.credentials("again")
		w.must(w.run("broker", "remove", "again", "--yes"))
	}
	temporary := w.credentials("dev")
	v.sawNothing(10)
	if calls := w.log("GetSessionToken"); len(calls) < 51 {
		t.Errorf("%d GetSessionToken calls, want 51", len(calls))
	}
	// broker-sandbox is the one who may have it.
	files := canary.scanFiles(t, begin, w.dir, os.TempDir())
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "/sandbox.json") })
	if len(files) > 0 {
		t.Errorf("the long-lived secret lies in files:\n%s", strings.Join(files, "\n"))
	}

	// The same scanner finds what is there: the temporary secret in the
	// daemon, a planted canary in a process and in a file.
	if in, err := newNeedle(temporary.SecretAccessKey).scanMemory(w.daemonPID()); err != nil || len(in) == 0 {
		t.Errorf("the scanner does not find the temporary secret in brokerd: %v", err)
	}
	if in, err := canary.scanMemory(os.Getpid()); err != nil || len(in) == 0 {
		t.Errorf("the scanner does not find the canary in this process, which holds it: %v", err)
	}
	planted := w.command("/bin/sleep", "60")
	planted.Env = append(planted.Env, "PLANTED="+w.user("ann").AccessKeys[0].SecretAccessKey)
	w.startCommand(planted)
	w.eventually("the scanner finds a planted canary", func() error {
		if len(canary.scanCommandLines()) == 0 {
			return errors.New("not found")
		}
		return nil
	})
	if len(canary.scanFiles(t, begin, w.dir)) == 0 {
		t.Error("the scanner does not find the canary in sandbox.json")
	}
}
