// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/vault/vaulttest"
)

// desktopWorld is a world with a session bus of its own, in which broker is not
// initialised yet.
func desktopWorld(t *testing.T) (*world, *vaulttest.Bus) {
	t.Helper()
	if _, err := os.Lstat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		t.Skip("this user has a session bus, which is not for tests")
	}
	w := newWorld(t)
	bus, err := vaulttest.StartBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Remove(); err != nil {
			t.Error(err)
		}
	})
	w.env = append(w.env, "DBUS_SESSION_BUS_ADDRESS="+bus.Address)
	return w, bus
}

// keyringWorld is a world with ann's key in a real keyring, as dev and without
// MFA: every helper that finds no session reads the key.
func keyringWorld(t *testing.T) (*world, *vaulttest.Keyring) {
	t.Helper()
	w, bus := desktopWorld(t)
	k := bus.StartKeyring(t)
	w.keysIn("secret-service")
	return w, k
}

// serviceWorld is keyringWorld with a Secret Service that does what it is told.
func serviceWorld(t *testing.T) (*world, *vaulttest.Bus, *vaulttest.Service) {
	t.Helper()
	w, bus := desktopWorld(t)
	s := vaulttest.StartService(t, bus.Address)
	w.keysIn("secret-service")
	return w, bus, s
}

func (w *world) keysIn(backend string) {
	w.t.Helper()
	w.initialiseWith(backend)
	w.add("dev", "ann", "--no-mfa")
	w.awsConfig("[profile dev]\nregion = eu-west-1\n")
}

// forget drops the sessions: the daemon starts anew.
func (w *world) forget() {
	w.t.Helper()
	w.killDaemon()
	w.status0()
}

// status0 starts a daemon if there is none.
func (w *world) status0() {
	w.t.Helper()
	w.must(w.run("broker", "status", "--json"))
}

// refused checks how a helper fails because of the store: status 5, nothing on
// stdout, the words, and what to do.
func (w *world) refused(what string, r result, words string) {
	w.t.Helper()
	if r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, words) || strings.Count(r.stderr, "\n") > 2 {
		w.t.Errorf("%s: status %d, stdout %q, stderr %q; want 5 and %q", what, r.status, r.stdout, r.stderr, words)
	}
}

func (w *world) mint() result { return w.run("broker", "credential-process", "dev") }

// crowd starts helpers that wait, and returns once the daemon has them all.
func (w *world) crowd(n int, profiles ...string) []*background {
	w.t.Helper()
	var all []*background
	for i := range n {
		all = append(all, w.start("broker", "credential-process", profiles[i%len(profiles)]))
	}
	w.eventually(fmt.Sprintf("%d helpers are connected", n), func() error {
		if got := w.connected(); got < n {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
	return all
}

// connected returns how many connections the daemon has, as the kernel says.
func (w *world) connected() int {
	data, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 8 && fields[5] == "03" && fields[7] == w.socket() {
			n++
		}
	}
	return n
}

// F17: a locked keyring that cannot ask is an error within three seconds, for
// all who wait; unlocked, it serves.
func TestF17LockedKeyring(t *testing.T) {
	t.Parallel()
	w, k := keyringWorld(t)
	w.forget()
	k.Lock()
	w.within(3*time.Second, "the refusal", func() { w.refused("locked", w.mint(), "locked") })
	k.Unlock()
	w.credentials("dev")
}

// F17: whoever waits for a locked keyring, for one key or for another, shares
// one dialog, and its answer.
func TestF17OneDialogForAll(t *testing.T) {
	t.Parallel()
	w, _, s := serviceWorld(t)
	w.add("ops", "bob", "--no-mfa")
	for _, test := range []struct {
		name   string
		answer func()
		check  func(*background)
	}{
		{"cancelled", func() { s.Complete(true) }, func(b *background) {
			w.refused("cancelled", b.wait(), "cancelled")
		}},
		{"answered", func() { s.Unlock(); s.Complete(false) }, func(b *background) { w.document(b.wait()) }},
	} {
		w.forget()
		s.Lock()
		before := s.Prompts()
		helpers := w.crowd(10, "dev", "ops")
		w.eventually("both keys are asked for", func() error {
			if n := w.workers(); n != 2 {
				return fmt.Errorf("%d workers", n)
			}
			return nil
		})
		w.eventually("a dialog is up", func() error {
			if s.Prompts() == before {
				return errors.New("there is none")
			}
			return nil
		})
		test.answer()
		for _, helper := range helpers {
			test.check(helper)
		}
		if n := s.Prompts() - before; n != 1 {
			t.Errorf("%s: %d dialogs for ten callers and two keys, want 1", test.name, n)
		}
	}
}

// workers returns how many workers of this world run.
func (w *world) workers() int { return len(w.workerPIDs()) }

// workerPIDs returns the processes that the daemon has started. One that still has
// the daemon's name is about to become a program: who stops it then stops the
// thread of the daemon that waits for that.
func (w *world) workerPIDs() []int {
	daemon := w.daemonPID()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		w.t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		var pid, parent int
		var name, state string
		data, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		if _, err := fmt.Sscanf(string(data), "%d %s %s %d", &pid, &name, &state, &parent); err == nil && parent == daemon && state != "Z" && name != "(brokerd)" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// F18: the user cancels. The daemon lives, and asks again next time.
func TestF18DialogCancelled(t *testing.T) {
	t.Parallel()
	w, _, s := serviceWorld(t)
	w.forget()
	daemon := w.daemonPID()
	s.Lock()
	s.OnPrompt(func() { s.Complete(true) })
	w.refused("cancelled", w.mint(), "cancelled")
	s.OnPrompt(func() { s.Unlock(); s.Complete(false) })
	w.credentials("dev")
	if now := w.daemonPID(); now != daemon {
		t.Errorf("pid %d serves, pid %d did", now, daemon)
	}
}

// F19: the service hangs. The worker is gone at its deadline, and so is the
// wait of everybody.
func TestF19HangingKeyring(t *testing.T) {
	t.Parallel()
	w, k := keyringWorld(t)
	w.forget()
	k.Freeze()
	defer k.Thaw()
	r := w.mint()
	w.refused("hanging", r, "did not answer")
	w.eventually("no worker is left", func() error {
		if pids := w.workerPIDs(); len(pids) != 0 {
			return fmt.Errorf("%v run", pids)
		}
		return nil
	})
	k.Thaw()
	w.credentials("dev")
}

// F20: the service, or the whole bus, dies while its dialog is up.
func TestF20DeathDuringDialog(t *testing.T) {
	t.Parallel()
	w, bus, s := serviceWorld(t)
	for _, test := range []struct {
		name      string
		die, mend func()
	}{
		{"service", s.Die, func() { s.Start(bus.Address) }},
		{"bus", bus.Stop, func() {
			if err := bus.Start(); err != nil {
				t.Fatal(err)
			}
			s.Start(bus.Address)
		}},
	} {
		w.forget()
		s.Lock()
		s.OnPrompt(test.die)
		w.refused(test.name, w.mint(), "went away")
		s.Unlock()
		test.mend()
		w.credentials("dev") // F21: by the same daemon
	}
}

// F21: bus and keyring are started anew under a daemon that lives on.
func TestF21BusRestart(t *testing.T) {
	t.Parallel()
	w, k := keyringWorld(t)
	w.forget()
	daemon := w.daemonPID()
	k.Bus().Stop()
	k.Kill()
	w.refused("no bus", w.mint(), "bus")
	if err := k.Bus().Start(); err != nil {
		t.Fatal(err)
	}
	k.Start()
	w.credentials("dev")
	if now := w.daemonPID(); now != daemon {
		t.Errorf("pid %d serves, pid %d did", now, daemon)
	}
}

// F22: there is no bus, as after ssh. The store that was chosen is not there,
// broker says so, and starts no bus of its own.
func TestF22NoBus(t *testing.T) {
	t.Parallel()
	w, _ := keyringWorld(t)
	w.killDaemon()
	mark := filepath.Join(w.dir, "launched")
	for _, dir := range []string{w.bin, filepath.Join(w.dir, "first")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		launcher := filepath.Join(dir, "dbus-launch")
		if err := os.WriteFile(launcher, []byte("#!/bin/sh\n: >"+mark+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var bare []string
	for _, entry := range w.env {
		if strings.HasPrefix(entry, "PATH=") {
			entry = "PATH=" + filepath.Join(w.dir, "first") + ":" + strings.TrimPrefix(entry, "PATH=")
		}
		if !strings.HasPrefix(entry, "DBUS_SESSION_BUS_ADDRESS=") {
			bare = append(bare, entry)
		}
	}
	full := w.env
	w.env = bare
	w.refused("no bus", w.mint(), "no session bus")
	key := w.user("bob").AccessKeys[0]
	add := w.command("broker", "add", "ops", "--stdin", "--no-mfa")
	add.Stdin = strings.NewReader(key.AccessKeyID + "\n" + key.SecretAccessKey + "\n")
	if r := w.finish(add); r.status != 5 || !strings.Contains(r.stderr, "no session bus") {
		t.Errorf("add: status %d, stderr %q; want 5", r.status, r.stderr)
	}
	if fileExists(mark) {
		t.Error("dbus-launch was run")
	}
	if fileExists(filepath.Join(w.home, ".local", "state", "broker", "vault")) {
		t.Error("a file vault was made in its place")
	}
	w.killDaemon()
	w.env = full
	w.credentials("dev")
}

// F23: while a slow keychain holds up one mint, status answers, and so does
// what needs no key.
func TestF23SlowKeychain(t *testing.T) {
	t.Parallel()
	w, _, s := serviceWorld(t)
	w.add("ops", "bob", "--no-mfa")
	w.forget()
	w.credentials("ops") // from here on it is in the cache
	w.settled()
	w.eventually("the keychain is busy all the while", func() error { // a call of it may take 5 seconds
		s.Hold()
		defer s.Release()
		helper := w.start("broker", "credential-process", "dev")
		w.eventually("the keychain is busy", func() error {
			if s.Waiting() == 0 {
				return errors.New("nobody waits")
			}
			return nil
		})
		w.status0()
		w.credentials("ops")
		if s.Waiting() == 0 || !helper.running() {
			helper.wait()
			return errors.New("this machine is too slow for it")
		}
		s.Release()
		w.document(helper.wait())
		return nil
	})
}

// F53: the item is gone, or there twice. That is damage: nothing is made in its
// place, the index stays, and once the item is back, so is the key.
func TestF53VanishedOrDoubleItem(t *testing.T) {
	t.Parallel()
	w, _, s := serviceWorld(t)
	names := s.Names()
	if len(names) != 1 {
		t.Fatalf("the store has %q, want one item", names)
	}
	w.forget()
	s.Double(names[0])
	r := w.mint()
	w.refused("twice", r, "2 items")
	s.Drop(names[0])
	r = w.mint()
	w.refused("vanished", r, "missing")
	if left := s.Names(); len(left) != 0 {
		t.Errorf("the store has %q: something was made", left)
	}
	if list := w.must(w.run("broker", "list")); !strings.Contains(list.stdout, "dev") {
		t.Errorf("list = %q, want dev still in it", list.stdout)
	}
	w.add("dev", "ann", "--no-mfa", "--replace")
	w.credentials("dev")
}

// P26: what a store says is not believed before it is seen to be true.
func TestP26LyingStore(t *testing.T) {
	t.Parallel()
	w, _, s := serviceWorld(t)
	w.forget()
	for lie, words := range map[vaulttest.Lie]string{vaulttest.Denies: "did not keep", vaulttest.Forgets: ""} {
		s.Lie(lie)
		if words != "" {
			w.refused("lie", w.mint(), words)
		}
		r := w.finish(w.addCommand("ops", "bob", "--no-mfa"))
		if r.status != 5 || !strings.Contains(r.stderr, "did not keep") {
			t.Errorf("add to a store that lies: status %d, stderr %q; want 5", r.status, r.stderr)
		}
		s.Lie(vaulttest.Honest)
	}
	if list := w.must(w.run("broker", "list")); strings.Contains(list.stdout, "ops") || !strings.Contains(list.stdout, "dev") {
		t.Errorf("list = %q, want dev and no ops", list.stdout)
	}
	w.credentials("dev")
}
