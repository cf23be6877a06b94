// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"errors"
	"testing"

	"credbroker/vault"
)

// testLies holds a store to what it says: no lie of it becomes a key that was
// lost, a key that was another's, or a "there is no such key".
func testLies(t *testing.T, p Place) {
	if p.Lie == nil {
		return // a real store, which nobody can make lie
	}
	for _, test := range []struct {
		name string
		lie  Lie
		f    func(*testing.T, *vault.Store, vault.Record, vault.Record)
	}{
		{"K8 forgets", Forgets, forgets},
		{"K16 swaps", Swaps, swaps},
		{"K9 denies", Denies, denies},
		{"K21 clings", Clings, clings},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, a, b := open(t, p), NewRecord(t, "dev"), NewRecord(t, "prod")
			put(t, store, a)
			put(t, store, b)
			p.Lie(test.lie)
			defer p.Lie(Honest)
			test.f(t, store, a, b)
			p.Lie(Honest)
			expect(t, open(t, p), a)
			expect(t, open(t, p), b)
		})
	}
}

// forgets: "stored" is believed only after the item was read back.
func forgets(t *testing.T, store *vault.Store, _, _ vault.Record) {
	if err := store.Put(t.Context(), NewRecord(t, "new")); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("put: %v, want ErrCorrupt", err)
	}
	if err := store.Probe(t.Context()); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("probe: %v, want ErrCorrupt", err)
	}
}

// swaps: one of the two reads returns the other item.
func swaps(t *testing.T, store *vault.Store, a, b vault.Record) {
	swapped := 0
	for _, r := range []vault.Record{a, b} {
		got, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID)
		switch {
		case err == nil && got.AccessKeyID != r.AccessKeyID:
			t.Errorf("get %s: it is %s", r.AccessKeyID, got.AccessKeyID)
		case errors.Is(err, vault.ErrMismatch):
			swapped++
		case err != nil:
			t.Errorf("get %s: %v, want ErrMismatch", r.AccessKeyID, err)
		}
		if err == nil {
			continue
		}
		if err := store.Delete(t.Context(), r.Item, r.Profile, r.AccessKeyID); !errors.Is(err, vault.ErrMismatch) {
			t.Errorf("delete %s: %v, want ErrMismatch", r.AccessKeyID, err)
		}
	}
	if swapped == 0 {
		t.Error("nothing was swapped: this test proves nothing")
	}
}

// denies: "not found" of everything is a store that does not work, not a key
// that is missing, nor one that is deleted.
func denies(t *testing.T, store *vault.Store, a, _ vault.Record) {
	_, err := store.Get(t.Context(), a.Item, a.Profile, a.AccessKeyID)
	if err == nil || errors.Is(err, vault.ErrNotFound) {
		t.Errorf("get: %v, want an error about the store", err)
	}
	if err := store.Delete(t.Context(), a.Item, a.Profile, a.AccessKeyID); err == nil || errors.Is(err, vault.ErrNotFound) {
		t.Errorf("delete: %v, want an error about the store", err)
	}
}

// clings: "deleted" is believed only once the item is seen to be absent.
func clings(t *testing.T, store *vault.Store, a, _ vault.Record) {
	if err := store.Delete(t.Context(), a.Item, a.Profile, a.AccessKeyID); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("delete: %v, want ErrDenied", err)
	}
}
