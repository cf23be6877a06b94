// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"credbroker/vault/vaulttest"
)

// keyring is the desktop's keyring: a real one, on a bus of its own.
func (s *scene) keyring() {
	if _, err := os.Lstat(filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "bus")); err == nil {
		s.t.Fatal("this user has a session bus in /run/user, which the programs prefer: it is not for tests")
	}
	ring := vaulttest.StartKeyring(s.t)
	s.env = append(s.env, "DBUS_SESSION_BUS_ADDRESS="+ring.Address)
	s.must(s.run("broker", "init", "--backend", "secret-service", "--yes"))
	data, err := os.ReadFile(s.configFile())
	if err != nil {
		s.t.Fatal(err)
	}
	overwrite(s.t, s.configFile(), string(data)+"\n[aws]\nendpoint_url = "+s.account.Endpoint+"\n")
	s.add("dev", "ann", "--no-mfa")
	labels := ring.Labels()
	slices.Sort(labels)
	var deny *dbus.Conn
	s.play(
		cause{name: "keychain locked", code: "keychain_locked", do: ring.Lock, undo: ring.Unlock, warm: true, foreground: true},
		cause{name: "keychain hanging", code: "keychain_timeout", do: ring.Freeze, undo: ring.Thaw, warm: true},
		cause{name: "keychain gone", code: "keychain_gone", do: ring.Kill, undo: ring.Start, warm: true, foreground: true},
		cause{
			name: "keychain denied", code: "keychain_denied", warm: true, foreground: true,
			do:   func() { ring.Kill(); deny = s.denier(ring.Address) },
			undo: func() { _ = deny.Close(); ring.Start() },
		},
		cause{name: "keychain locked (add)", code: "keychain_locked", do: ring.Lock, undo: ring.Unlock, call: func() result {
			return s.finish(s.addCommand("new", "bob", "--no-mfa"))
		}, again: func() result { return s.run("broker", "credential-process", "dev") }},
		cause{name: "keychain locked (remove)", code: "keychain_locked", do: ring.Lock, undo: ring.Unlock, call: func() result {
			return s.run("broker", "remove", "dev", "--yes")
		}, again: func() result { return s.run("broker", "credential-process", "dev") }},
	)
	now := ring.Labels()
	slices.Sort(now)
	if !slices.Equal(labels, now) {
		s.t.Errorf("the keyring held %q, and holds %q", labels, now)
	}
}

// denier is a Secret Service whose user says no: its collection is locked, and
// every dialog is dismissed.
type denier struct{ conn *dbus.Conn }

const (
	secretService    = dbus.ObjectPath("/org/freedesktop/secrets")
	lockedCollection = secretService + "/collection/login"
	dismissedPrompt  = secretService + "/prompt/p1"
)

func (s *scene) denier(bus string) *dbus.Conn {
	s.t.Helper()
	conn, err := dbus.Connect(bus)
	if err != nil {
		s.t.Fatal(err)
	}
	d := denier{conn}
	for path, iface := range map[dbus.ObjectPath]string{
		secretService: "org.freedesktop.Secret.Service", dismissedPrompt: "org.freedesktop.Secret.Prompt",
	} {
		if err := conn.Export(d, path, iface); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, path := range []dbus.ObjectPath{secretService, lockedCollection} {
		if err := conn.Export(d, path, "org.freedesktop.DBus.Properties"); err != nil {
			s.t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		s.t.Fatal(fmt.Errorf("own the service's name: %v, %w", reply, err))
	}
	return conn
}

// ReadAlias answers that the locked collection is the default one.
func (denier) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) { return lockedCollection, nil }

// OpenSession opens a session.
func (denier) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), secretService + "/session/s1", nil
}

// Unlock wants a dialog.
func (denier) Unlock([]dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	return []dbus.ObjectPath{}, dismissedPrompt, nil
}

// Get says that everything is locked.
func (denier) Get(_, name string) (dbus.Variant, *dbus.Error) {
	if name == "Collections" {
		return dbus.MakeVariant([]dbus.ObjectPath{lockedCollection}), nil
	}
	return dbus.MakeVariant(true), nil
}

// Prompt is dismissed at once.
func (d denier) Prompt(string) *dbus.Error {
	go func() {
		_ = d.conn.Emit(dismissedPrompt, "org.freedesktop.Secret.Prompt.Completed", true, dbus.MakeVariant([]dbus.ObjectPath{}))
	}()
	return nil
}

// Dismiss has nothing to do.
func (denier) Dismiss() *dbus.Error { return nil }

// moved takes a file away, and brings it back.
func (s *scene) moved(path string) (do, undo func()) {
	aside := path + ".aside"
	rename := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			s.t.Fatal(err)
		}
	}
	return func() { rename(path, aside) }, func() { rename(aside, path) }
}

// changed puts other text into a file, and then what was there.
func (s *scene) changed(path, text string) (do, undo func()) {
	was, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return func() { overwrite(s.t, path, text) }, func() { overwrite(s.t, path, string(was)) }
}

// fileVault is the vault of encrypted files, and the index of both kinds.
func (s *scene) fileVault() {
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	state := filepath.Join(s.home, ".local", "state", "broker")
	items, err := filepath.Glob(filepath.Join(state, "vault", "broker.v1.*"))
	if err != nil || len(items) != 1 {
		s.t.Fatalf("items %q, %v", items, err)
	}
	made := func(name, code string, do, undo func()) cause {
		return cause{name: name, code: code, do: do, undo: undo, warm: true, foreground: true}
	}
	both := func(do1, undo1, do2, undo2 func()) (do, undo func()) {
		return func() { do1(); do2() }, func() { undo1(); undo2() }
	}
	passphrase := filepath.Join(s.home, ".config", "broker", "passphrase")
	index := filepath.Join(state, "state.json")
	type change func() (do, undo func())
	one := func(name, code string, c change) cause {
		do, undo := c()
		return made(name, code, do, undo)
	}
	s.torn = true
	s.play(
		one("passphrase file gone", "keychain_gone", func() (func(), func()) { return s.moved(passphrase) }),
		one("wrong passphrase file", "wrong_passphrase", func() (func(), func()) { return s.changed(passphrase, strings.Repeat("x", 32)) }),
		one("passphrase file cut", "wrong_passphrase", func() (func(), func()) { return s.changed(passphrase, "short") }),
		one("vault gone", "keychain_gone", func() (func(), func()) { return s.moved(filepath.Join(state, "vault")) }),
		one("item gone", "keychain_corrupt", func() (func(), func()) { return s.moved(items[0]) }),
		one("item damaged", "keychain_corrupt", func() (func(), func()) { return s.changed(items[0], "not what was stored") }),
		one("vault open to others", "keychain_failed", func() (func(), func()) {
			mode := func(m os.FileMode) func() {
				return func() {
					if err := os.Chmod(filepath.Join(state, "vault"), m); err != nil {
						s.t.Fatal(err)
					}
				}
			}
			return mode(0o755), mode(0o700)
		}),
	)
	lost := func(c change) change {
		return func() (func(), func()) {
			do, undo := c()
			// The daemon has the index in memory, and would write it again.
			return func() { s.killDaemon(); do() }, func() { s.killDaemon(); undo() }
		}
	}
	cold := func(c cause) cause { c.warm, c.keep = false, false; return c }
	s.play(
		cold(one("index lost", "index_lost", lost(func() (func(), func()) {
			d1, u1 := s.moved(index)
			d2, u2 := s.moved(index + ".1")
			return both(d1, u1, d2, u2)
		}))),
		cold(one("index cut", "index_lost", lost(func() (func(), func()) { return s.changed(index, `{"v":1,"keys":{"de`) }))),
		cold(one("index of another host", "index_lost", lost(func() (func(), func()) {
			data, err := os.ReadFile(index)
			if err != nil {
				s.t.Fatal(err)
			}
			host, err := os.Hostname()
			if err != nil {
				s.t.Fatal(err)
			}
			return s.changed(index, strings.Replace(string(data), `"host":"`+host+`"`, `"host":"elsewhere"`, 1))
		}))),
	)
}

// passphrase is a file vault that opens with what a user types.
func (s *scene) passphrase() {
	said := func(text string, args ...string) result {
		cmd := s.command("broker", args...)
		cmd.Stdin = strings.NewReader(text + "\n")
		return s.finish(cmd)
	}
	const right = "correct horse battery"
	s.must(said(right, "init", "--backend", "file", "--passphrase-stdin", "--yes"))
	data, err := os.ReadFile(s.configFile())
	if err != nil {
		s.t.Fatal(err)
	}
	overwrite(s.t, s.configFile(), string(data)+"\n[aws]\nendpoint_url = "+s.account.Endpoint+"\n")
	unlocked := func() { s.must(said(right, "unlock", "--stdin")) }
	locked := func() { s.must(s.run("broker", "lock")) }
	unlocked()
	s.add("dev", "ann", "--no-mfa")
	s.play(
		cause{name: "vault locked", code: "keychain_locked", do: locked, undo: unlocked, keep: true, foreground: true},
		cause{
			name: "vault locked (add)", code: "keychain_locked", do: locked, undo: unlocked, keep: true,
			call:  func() result { return s.finish(s.addCommand("new", "bob", "--no-mfa")) },
			again: func() result { return s.run("broker", "credential-process", "dev") },
		},
		cause{
			name: "wrong passphrase (unlock)", code: "wrong_passphrase", do: locked, keep: true,
			call:  func() result { return said("wrong", "unlock", "--stdin") },
			again: func() result { unlocked(); return s.run("broker", "credential-process", "dev") },
		},
	)
}
