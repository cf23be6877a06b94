// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// stock makes the vault list these items.
func (f *fakeAWS) stock(items ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = items
}

// strays are the items that status names.
func (r *rig) strayItems() []string {
	r.t.Helper()
	var items []string
	for _, p := range r.found("neither index nor journal") {
		items = append(items, p.Message[strings.LastIndex(p.Message, " ")+1:])
		if !strings.Contains(p.Hint, "broker doctor") || !strings.Contains(p.Hint, "broker remove --item ") {
			r.t.Errorf("%+v", p)
		}
	}
	return items
}

// TestStrays: an item that nobody knows of is named when two hunts have seen it,
// without a dialog and without being read; once a day is enough.
func TestStrays(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		key := r.add("dev", annKey, details())
		all, err := r.index.whole()
		if err != nil {
			t.Fatal(err)
		}
		mine, stray, doomedItem := all.Keys[key.Profile].Item, newItem(), newItem()
		if err := r.index.update(func(s *state) error { s.Doomed = append(s.Doomed, doomed{"dev", annKey, doomedItem}); return nil }); err != nil {
			t.Fatal(err)
		}
		r.aws.stock(mine, stray, doomedItem)
		r.huntStrays(t.Context())
		if got := r.strayItems(); len(got) != 0 {
			t.Errorf("after one hunt: %q", got)
		}
		r.huntStrays(t.Context())
		if got := r.strayItems(); !slices.Equal(got, []string{stray}) {
			t.Errorf("after two: %q", got)
		}
		r.huntStrays(t.Context())
		if n := r.aws.calls("Strays"); n != 2 || !slices.Contains(r.aws.seenCalls(), "Strays true false") {
			t.Errorf("%d hunts: %q", n, r.aws.seenCalls())
		}
		err2 := refused(r, ipc.OpRemove, ipc.RemoveParams{Item: mine})
		wantCode(t, "an item of the index", err2, ipc.CodeRefused)
		do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Item: stray, Profile: "old", AccessKeyID: bobKey})
		if got := r.strayItems(); len(got) != 0 || !r.aws.items[stray] {
			t.Errorf("it was deleted, and yet %q", got)
		}
		r.clock.move(25*time.Hour, 25*time.Hour)
		r.huntStrays(t.Context())
		if n := r.aws.calls("Strays"); n != 3 {
			t.Errorf("%d hunts in two days", n)
		}
	})
}

// TestPromisedItems: what a client is about to store is nobody's stray, for as
// long as it may take.
func TestPromisedItems(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		place := do[ipc.Reservation](r, ipc.OpReserve, ipc.ReserveParams{Profile: "dev", AccessKeyID: annKey})
		if s := r.status(); !slices.Equal(s.Reserved, []string{place.Item}) {
			t.Errorf("reserved: %q", s.Reserved)
		}
		wantCode(t, "remove it", refused(r, ipc.OpRemove, ipc.RemoveParams{Item: place.Item}), ipc.CodeRefused)
		r.aws.stock(place.Item)
		r.huntStrays(t.Context())
		r.clock.move(25*time.Hour, 25*time.Hour) // its client was killed
		r.huntStrays(t.Context())
		r.huntStrays(t.Context())
		if got := r.strayItems(); !slices.Equal(got, []string{place.Item}) || len(r.status().Reserved) != 0 {
			t.Errorf("a day later: %q", got)
		}
	})
}

// TestNoHuntInTheDark: without an index, with a journal that cannot be read, and
// in a store that is locked, nothing is a stray.
func TestNoHuntInTheDark(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.aws.stock(newItem())
		r.aws.failNext("Strays", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "locked"})
		r.huntStrays(t.Context())
		r.huntStrays(t.Context())
		if n := r.aws.calls("Strays"); n != 1 {
			t.Errorf("a locked store was asked %d times", n)
		}
		r.clock.move(time.Hour, time.Hour)
		r.rotations.broken = []error{errHungUp}
		r.huntStrays(t.Context())
		r.rotations.broken = nil
		r.write("config", "[vault]\nbackend = keychain\n")
		r.refresh()
		r.huntStrays(t.Context())
		if n := r.aws.calls("Strays"); n != 1 {
			t.Errorf("%d hunts", n)
		}
	})
}
