// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/vault"
	"credbroker/vault/keychain"
	"credbroker/vault/vaulttest"
)

// passConfig returns the vault in a real password store. The library hands on
// the environment of this process, so it is that of a worker here; tests with
// one are not parallel.
func passConfig(t *testing.T) (keychain.Config, *vaulttest.PasswordStore) {
	t.Helper()
	s := vaulttest.NewPasswordStore(t)
	t.Setenv("GNUPGHOME", s.GnuPGHome)
	t.Setenv("PASSWORD_STORE_DIR", s.Dir)
	t.Setenv("PASSWORD_STORE_GPG_OPTS", "--pinentry-mode=error --batch --no-tty")
	return keychain.Config{Backend: keychain.Pass, Program: "/usr/bin/pass", Dir: s.Dir, Environ: os.Environ()}, s
}

// The conformance suite, on a real password store.
func TestPass(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		c, s := passConfig(t)
		create(t, c)
		path := func(name string) string { return filepath.Join(s.Dir, "broker", name+".gpg") }
		return vaulttest.Place{
			Open: func(ctx context.Context) (vault.Backend, error) { return keychain.Open(ctx, c) },
			States: []vaulttest.State{
				{Name: "locked", Want: vault.ErrLocked, Break: s.Lock, Mend: s.Unlock},
				{Name: "hanging", Want: vault.ErrTimeout, Break: s.Freeze, Mend: s.Thaw},
				{
					Name: "vanished", Want: vault.ErrGone,
					Break: func() { must(t, os.Rename(s.Dir, s.Dir+".away")) },
					Mend:  func() { must(t, os.Rename(s.Dir+".away", s.Dir)) },
				},
				{
					Name: "another store", Want: vault.ErrGone,
					Break: func() {
						must(t, os.Rename(s.Dir+"/broker", s.Dir+"/away"))
						must(t, os.Mkdir(s.Dir+"/broker", 0o700))
					},
					Mend: func() {
						must(t, os.RemoveAll(s.Dir+"/broker"))
						must(t, os.Rename(s.Dir+"/away", s.Dir+"/broker"))
					},
				},
			},
			Spoil: func(name string) { must(t, os.Truncate(path(name), 60)) },
			Copy: func(from, to string) {
				data, err := os.ReadFile(path(from))
				must(t, err)
				must(t, os.WriteFile(path(to), data, 0o600))
			},
		}
	})
}

// F17, F18, F19: a locked password store asks once, with an end to it, and
// never by way of the library.
func TestF17PassAsks(t *testing.T) {
	c, s := passConfig(t)
	r := mustPut(t, create(t, c), "dev")
	c.Session = []string{"DISPLAY=:99"}
	for _, test := range []struct {
		name, answer string
		want         error
	}{
		{"cancelled", vaulttest.AnswerCancel, vault.ErrDenied},
		{"wrong", vaulttest.AnswerWrong, vault.ErrDenied},
		{"answered", vaulttest.AnswerRight, nil},
	} {
		s.Lock()
		s.Answer(test.answer)
		before := s.Asked()
		if _, err := keychain.Open(t.Context(), c); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if s.Asked() == before {
			t.Errorf("%s: nobody was asked", test.name)
		}
	}
	before := s.Asked()
	if _, err := reopen(t, c).Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
		t.Errorf("get after the answer: %v", err)
	}
	if s.Asked() != before {
		t.Error("the user was asked again")
	}
	s.Lock()
	c.Silent = true
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrLocked) || s.Asked() != before {
		t.Errorf("where nobody waits: %v, asked %t; want ErrLocked, and nobody asked", err, s.Asked() != before)
	}
	c.Silent, c.Session = false, nil
	s.Answer(vaulttest.AnswerCancel)
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrLocked) || !strings.Contains(err.Error(), "cannot ask") {
		t.Errorf("without a place for a dialog: %v, want ErrLocked", err)
	}
}

// F19: nobody answers GnuPG's dialog.
func TestF19PassUnanswered(t *testing.T) {
	c, s := passConfig(t)
	create(t, c)
	s.Lock()
	s.Answer(vaulttest.AnswerNever)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := keychain.Open(ctx, c); !errors.Is(err, vault.ErrTimeout) || !strings.Contains(err.Error(), "nobody answered") {
		t.Errorf("open: %v, want ErrTimeout", err)
	}
	if _, err := os.Stat(filepath.Join(s.GnuPGHome, "pinentry.shown")); err != nil {
		t.Errorf("no dialog was up: %v", err)
	}
}

// An agent that keeps nothing would ask at each call of the library, which has
// no end to it: it is refused.
func TestPassAgentKeepsNothing(t *testing.T) {
	c, s := passConfig(t)
	create(t, c)
	conf := filepath.Join(s.GnuPGHome, "gpg-agent.conf")
	text, err := os.ReadFile(conf)
	must(t, err)
	must(t, os.WriteFile(conf, append(text, "default-cache-ttl 0\nmax-cache-ttl 0\n"...), 0o600))
	s.Lock()
	s.Answer(vaulttest.AnswerRight)
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrLocked) || !strings.Contains(err.Error(), "did not keep") {
		t.Errorf("open: %v, want ErrLocked that names the agent", err)
	}
}

// P25, P26: what is not there is not made, and no program of others is run.
func TestP25PassIsNotMade(t *testing.T) {
	c, s := passConfig(t)
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrGone) {
		t.Errorf("open what was never made: %v, want ErrGone", err)
	}
	entries, err := os.ReadDir(s.Dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("the password store has %v, want .gpg-id alone", entries)
	}
	c.Create = true
	elsewhere := c
	elsewhere.Dir = t.TempDir()
	if _, err := keychain.Open(t.Context(), elsewhere); !errors.Is(err, vault.ErrGone) {
		t.Errorf("a directory that is no password store: %v, want ErrGone", err)
	}
	for path, want := range map[string]error{"pass": vault.ErrNoBackend, "/usr/bin/no-pass": vault.ErrGone} {
		missing := c
		missing.Program = path
		if _, err := keychain.Open(t.Context(), missing); !errors.Is(err, want) {
			t.Errorf("program %q: %v, want %v", path, err, want)
		}
	}
}

// P48 and K19: a program that others could replace is not run.
func TestP48PassOfOthersIsNotRun(t *testing.T) {
	c, _ := passConfig(t)
	dir := t.TempDir()
	mark := filepath.Join(dir, "ran")
	c.Create = true
	for name, mode := range map[string]os.FileMode{"group": 0o775, "world": 0o757, "owner": 0o755} {
		c.Program = filepath.Join(dir, name)
		must(t, os.WriteFile(c.Program, []byte("#!/bin/sh\n: >"+mark+"\n"), mode))
		must(t, os.Chmod(c.Program, mode))
		if name == "owner" && os.Getuid() == 0 {
			must(t, os.Chown(c.Program, 65534, 65534))
		}
		if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrUnsafe) {
			t.Errorf("%s: %v, want ErrUnsafe", name, err)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program was run")
	}
}
