// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

// TestP06ExactlyOneDaemon: twenty daemons start at once, fifty times. One
// serves, the others end with 75, none breaks it.
func TestP06ExactlyOneDaemon(t *testing.T) {
	w := newWorld(t)
	w.initialise()
	w.killDaemon()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		var daemons []*background
		for range 20 {
			daemons = append(daemons, w.start("brokerd"))
		}
		w.eventually("one daemon is left", func() error {
			if n := countRunning(daemons); n != 1 {
				return errors.New(itoa(n) + " run")
			}
			return nil
		})
		serving := w.daemonPID()
		for _, d := range daemons {
			if d.running() {
				if d.Process.Pid != serving {
					t.Fatalf("round %d: pid %d is left, pid %d serves", round, d.Process.Pid, serving)
				}
				continue
			}
			if r := d.wait(); r.status != 75 {
				t.Fatalf("round %d: a loser ended with %d, want 75; stderr %q", round, r.status, r.stderr)
			}
		}
		w.must(w.run("broker", "status", "--json"))
		if got := w.daemonPID(); got != serving {
			t.Fatalf("round %d: pid %d serves now, pid %d did", round, got, serving)
		}
		if err := syscall.Kill(serving, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for _, d := range daemons {
			d.wait()
		}
	}
}

func countRunning(all []*background) int {
	n := 0
	for _, b := range all {
		if b.running() {
			n++
		}
	}
	return n
}

// TestNextClientIsServed: whatever happened to the daemon and its socket, the
// next client is served. The temporary credentials are gone with the daemon's
// memory, so the profile is one that needs no code.
func TestNextClientIsServed(t *testing.T) {
	t.Parallel()
	for name, ruin := range map[string]func(t *testing.T, w *world){
		"kill -9": func(t *testing.T, w *world) {
			w.killDaemon()
		},
		"SIGTERM": func(t *testing.T, w *world) {
			pid := w.daemonPID()
			w.signal(pid, syscall.SIGTERM)
			w.eventually("the daemon ends", func() error {
				if testprograms.Alive(pid) {
					return errors.New("it runs")
				}
				return nil
			})
		},
		"stale lock and socket": func(t *testing.T, w *world) {
			w.killDaemon()
			if !fileExists(w.socket()) {
				t.Fatal("kill -9 removed the socket?")
			}
		},
		"removed socket": func(t *testing.T, w *world) {
			remove(t, w.socket())
		},
		"removed directory": func(t *testing.T, w *world) {
			w.removeAll(filepath.Dir(w.socket()))
		},
		"removed socket of a dead daemon": func(t *testing.T, w *world) {
			w.killDaemon()
			remove(t, w.socket())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.initialise()
			w.add("dev", "ann", "--no-mfa")
			w.credentials("dev")
			old := w.daemonPID()
			ruin(t, w)
			begin := time.Now()
			w.credentials("dev")
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("the next client waited %v", took)
			}
			now := w.daemonPID()
			if now == 0 {
				t.Fatal("nobody serves")
			}
			// A daemon that lost its socket binds anew or ends; it never
			// stays on as a second one.
			w.eventually("one daemon is left", func() error {
				if old != now && testprograms.Alive(old) {
					return errors.New("the old one still runs")
				}
				return nil
			})
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestLostIndexIsRecovered: state.json is deleted or garbled; the helper names
// broker recover, recover brings the keys back, and minting works.
func TestLostIndexIsRecovered(t *testing.T) {
	t.Parallel()
	for name, ruin := range map[string]func(t *testing.T, path string){
		"deleted": remove,
		"garbled": func(t *testing.T, path string) { overwrite(t, path, "{\"v\":1,\"keys\":{\"dev\":") },
		"empty":   func(t *testing.T, path string) { overwrite(t, path, "") },
		"binary":  func(t *testing.T, path string) { overwrite(t, path, strings.Repeat("\x00\xff", 4096)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			w.add("ops", "bob", "--no-mfa")
			w.add("two", "bob", "--mfa-serial", w.user("bob").Devices[1].SerialNumber)
			w.killDaemon()
			state := filepath.Join(w.home, ".local", "state", "broker")
			matches, err := filepath.Glob(filepath.Join(state, "state.json*"))
			if err != nil || len(matches) == 0 {
				t.Fatalf("no state file: %v", err)
			}
			for _, path := range matches {
				ruin(t, path)
			}
			r := w.run("broker", "credential-process", "ops")
			if r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, "broker recover") {
				t.Fatalf("with a lost index: status %d, stdout %q, stderr %q; want 5 and a line that names broker recover", r.status, r.stdout, r.stderr)
			}
			w.must(w.run("broker", "recover"))
			list := w.must(w.run("broker", "list"))
			for _, want := range []string{"dev", "ops", w.user("ann").AccessKeys[0].AccessKeyID, w.user("bob").AccessKeys[0].AccessKeyID} {
				if !strings.Contains(list.stdout, want) {
					t.Errorf("list after recover = %q, want %s in it", list.stdout, want)
				}
			}
			w.prime("dev")
			w.credentials("dev")
			w.credentials("ops") // needs no code, as before
			if _, want, _ := strings.Cut(w.user("bob").Devices[1].SerialNumber, w.account.AccountID+":"); want == "" || !strings.Contains(list.stdout, want) {
				t.Errorf("list after recover = %q, want the device %s in it", list.stdout, want)
			}
		})
	}
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := testprograms.Write(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
