// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"credbroker/vault"
	"credbroker/vault/keychain"
	"credbroker/vault/vaulttest"
)

// startService starts a Secret Service that a test can make do anything, with
// its collection locked.
func startService(t *testing.T) *vaulttest.Service {
	t.Helper()
	s := vaulttest.StartService(t, os.Getenv("KEYCHAIN_TEST_BUS"))
	s.Lock()
	return s
}

// The conformance suite, on a service that hangs and lies. The real one is in
// secretservice_test.go.
func TestLyingService(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		s := vaulttest.StartService(t, os.Getenv("KEYCHAIN_TEST_BUS"))
		c := serviceConfig()
		return vaulttest.Place{
			Open: func(ctx context.Context) (vault.Backend, error) { return keychain.Open(ctx, c) },
			States: []vaulttest.State{
				{Name: "locked", Want: vault.ErrLocked, Break: s.Lock, Mend: s.Unlock},
				{Name: "dead", Want: vault.ErrGone, Break: s.Die, Mend: func() { s.Start(os.Getenv("KEYCHAIN_TEST_BUS")) }},
			},
			Lie: s.Lie,
		}
	})
}

// F53: an item that vanished, and one that is there twice, is damage. Nothing is
// made in its place.
func TestF53VanishedOrDouble(t *testing.T) {
	s := vaulttest.StartService(t, os.Getenv("KEYCHAIN_TEST_BUS"))
	store := reopen(t, serviceConfig())
	for name, spoil := range map[string]func(string){"vanished": s.Drop, "double": s.Double} {
		r := mustPut(t, store, "dev")
		spoil(r.Item)
		before := s.Names()
		if _, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
		if after := s.Names(); len(after) != len(before) {
			t.Errorf("%s: the store has %q, and had %q", name, after, before)
		}
	}
}

// The user answers the dialog. The collection's path has an escape in it, as
// those of gnome-keyring do, which the library decodes.
func TestF17PromptAnswered(t *testing.T) {
	f := startService(t)
	f.OnPrompt(func() {
		f.Unlock()
		f.Complete(false)
	})
	if _, err := keychain.Open(t.Context(), serviceConfig()); err != nil {
		t.Errorf("open: %v", err)
	}
}

// F18: the user cancels the dialog.
func TestF18PromptDismissed(t *testing.T) {
	f := startService(t)
	f.OnPrompt(func() { f.Complete(true) })
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("open: %v, want ErrDenied", err)
	}
}

// Where nobody waits, nobody is asked.
func TestF17NoPromptWhenSilent(t *testing.T) {
	f := startService(t)
	asked := make(chan bool, 1)
	f.OnPrompt(func() {
		asked <- true
		f.Complete(true)
	})
	c := serviceConfig()
	c.Silent = true
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("open: %v, want ErrLocked", err)
	}
	if len(asked) != 0 {
		t.Error("a dialog came up")
	}
}

// A service that says that it was answered, and stays locked.
func TestPromptAnsweredInVain(t *testing.T) {
	f := startService(t)
	f.OnPrompt(func() { f.Complete(false) })
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("open: %v, want ErrLocked", err)
	}
}

// F19: nobody answers the dialog. It is taken down again.
func TestF19PromptUnanswered(t *testing.T) {
	f := startService(t)
	f.OnPrompt(func() {})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // the dialog is up by then
	defer cancel()
	if _, err := keychain.Open(ctx, serviceConfig()); !errors.Is(err, vault.ErrTimeout) {
		t.Errorf("open: %v, want ErrTimeout", err)
	}
	deadline, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f.Dismissed() && deadline.Err() == nil {
		<-tick.C
	}
	if !f.Dismissed() {
		t.Error("the dialog stays up")
	}
}

// F20: the service dies while its dialog is up.
func TestF20ServiceDiesDuringPrompt(t *testing.T) {
	f := startService(t)
	f.OnPrompt(func() { f.Die() })
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrGone) {
		t.Errorf("open: %v, want ErrGone", err)
	}
}

func TestNoDefaultCollection(t *testing.T) {
	f := startService(t)
	for path, want := range map[dbus.ObjectPath]error{"/": vault.ErrGone, "/somewhere/else": vault.ErrFailed} {
		f.SetAlias(path)
		if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, want) {
			t.Errorf("alias %s: %v, want %v", path, err, want)
		}
	}
}
