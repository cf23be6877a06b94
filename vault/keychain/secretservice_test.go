// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/vault"
	"credbroker/vault/keychain"
	"credbroker/vault/vaulttest"
)

func serviceConfig() keychain.Config {
	return keychain.Config{Backend: keychain.SecretService, Bus: os.Getenv("KEYCHAIN_TEST_BUS")}
}

// The conformance suite, on a real gnome-keyring.
func TestSecretService(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		k := startKeyring(t)
		c := serviceConfig()
		return vaulttest.Place{
			Open: func(ctx context.Context) (vault.Backend, error) { return keychain.Open(ctx, c) },
			States: []vaulttest.State{
				{Name: "locked", Want: vault.ErrLocked, Break: k.Lock, Mend: k.Unlock},
				{Name: "hanging", Want: vault.ErrTimeout, Break: k.Freeze, Mend: k.Thaw},
				{Name: "vanished", Want: vault.ErrGone, Break: k.Kill, Mend: k.Start},
			},
		}
	})
}

// F17: a locked keyring that nothing can unlock says so at once.
func TestF17LockedWithoutADesktop(t *testing.T) {
	k := startKeyring(t)
	k.Lock()
	began := time.Now()
	_, err := keychain.Open(t.Context(), serviceConfig())
	if !errors.Is(err, vault.ErrLocked) {
		t.Errorf("open: %v, want ErrLocked", err)
	}
	took := time.Since(began)
	k.Unlock()
	began = time.Now()
	if _, err := keychain.Open(t.Context(), serviceConfig()); err != nil {
		t.Errorf("open once it is unlocked: %v", err)
	}
	// At most 3 s, on a machine that has nothing else to do.
	if open := time.Since(began); took > 3*time.Second+10*open {
		t.Errorf("it took %v, want at most 3s, while it opens in %v", took, open)
	}
}

// F19: a keyring that hangs when it is opened.
func TestF19HangingAtOpen(t *testing.T) {
	k := startKeyring(t)
	k.Freeze()
	defer k.Thaw()
	c := serviceConfig()
	c.Call = 300 * time.Millisecond
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrTimeout) {
		t.Errorf("open: %v, want ErrTimeout", err)
	}
}

// F22 and P25: no service, and no bus at all, is an error of its own, and
// nothing else is opened in its place.
func TestF22Absent(t *testing.T) {
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrGone) {
		t.Errorf("open without a service: %v, want ErrGone", err)
	}
	_, err := keychain.Open(t.Context(), keychain.Config{Backend: keychain.SecretService})
	if !errors.Is(err, vault.ErrGone) || !strings.Contains(err.Error(), "no session bus") {
		t.Errorf("open without a bus: %v, want ErrGone that names the bus", err)
	}
}

// K6: other programs' items are not replaced, not listed, not read, not deleted.
func TestForeignItemsAreLeftAlone(t *testing.T) {
	k := startKeyring(t)
	k.Plant("Bank password", map[string]string{"app": "browser"}, []byte("x"))
	k.Plant("dev", map[string]string{"profile": "dev"}, []byte("x"))
	store := reopen(t, serviceConfig())
	r := mustPut(t, store, "dev")
	names, err := store.List(t.Context())
	must(t, err)
	if !slices.Equal(names, []string{r.Item}) {
		t.Errorf("list = %q, want only ours", names)
	}
	must(t, store.Delete(t.Context(), r.Item, r.Profile, r.AccessKeyID))
	got := k.Labels()
	slices.Sort(got)
	if want := []string{"Bank password", "dev"}; !slices.Equal(got, want) {
		t.Errorf("the keyring has %q, want %q", got, want)
	}
}

// F53: two items of one name are damage, not a choice.
func TestF53TwoItemsOfOneName(t *testing.T) {
	k := startKeyring(t)
	store := reopen(t, serviceConfig())
	r := mustPut(t, store, "dev")
	k.Plant("squatter", map[string]string{"profile": r.Item, "more": "1"}, []byte(`{"Key":"x"}`))
	for name, err := range map[string]error{
		"get": func() error { _, err := store.Read(t.Context(), r.Item); return err }(),
		"delete": func() error {
			b, _ := keychain.Open(t.Context(), serviceConfig())
			return b.Delete(t.Context(), r.Item)
		}(),
	} {
		if !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if got := len(k.Labels()); got != 2 {
		t.Errorf("the keyring has %d items, want both", got)
	}
}

// An item of ours that another program has written is damage, and its text is
// in no error.
func TestItemOfAnotherProgram(t *testing.T) {
	k := startKeyring(t)
	store := reopen(t, serviceConfig())
	for _, text := range []string{"canary canary", `{"Key":7}`, `{"Key":"other","Data":"Y2FuYXJ5"}`, ""} {
		r := vaulttest.NewRecord(t, "dev")
		k.Plant("planted", map[string]string{"profile": r.Item}, []byte(text))
		_, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID)
		if !errors.Is(err, vault.ErrCorrupt) && !errors.Is(err, vault.ErrMismatch) {
			t.Errorf("%q: %v, want ErrCorrupt or ErrMismatch", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary canary") {
			t.Errorf("%q: quoted in %v", text, err)
		}
	}
}

// K5: no collection is ever created.
func TestNoCollectionIsCreated(t *testing.T) {
	k := startKeyring(t)
	before := k.Collections()
	mustPut(t, reopen(t, serviceConfig()), "dev")
	if after := k.Collections(); !slices.Equal(before, after) {
		t.Errorf("collections = %v, want %v", after, before)
	}
}
