// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"credbroker/vault"
)

// P26: a store that is out of order says how, never that an item is missing,
// and nothing is written or lost meanwhile.
func testStates(t *testing.T, p Place) {
	for _, state := range p.States {
		t.Run(state.Name, func(t *testing.T) {
			store, r, fresh := open(t, p), NewRecord(t, "dev"), NewRecord(t, "new")
			put(t, store, r)
			if errors.Is(state.Want, vault.ErrTimeout) {
				store = openWithin(t, p, short)
			}
			state.Break()
			mended := false
			mend := func() {
				if !mended {
					mended = true
					state.Mend()
				}
			}
			defer mend()
			calls := map[string]func(context.Context) error{
				"put":    func(ctx context.Context) error { return store.Put(ctx, fresh) },
				"delete": func(ctx context.Context) error { return store.Delete(ctx, r.Item, r.Profile, r.AccessKeyID) },
				"probe":  store.Probe,
			}
			if !state.ReadsWork {
				calls["get"] = func(ctx context.Context) error {
					_, err := store.Get(ctx, r.Item, r.Profile, r.AccessKeyID)
					return err
				}
				calls["list"] = func(ctx context.Context) error { _, err := store.List(ctx); return err }
			}
			for name, call := range calls {
				began := time.Now() //nolint:forbidigo // how long it takes is what is tested
				err := call(t.Context())
				if !errors.Is(err, state.Want) || errors.Is(err, vault.ErrNotFound) {
					t.Errorf("%s: %v, want %v alone", name, err, state.Want)
				}
				if took := time.Since(began); took > 2*limit { //nolint:forbidigo // as above
					t.Errorf("%s took %v", name, took)
				}
			}
			mend()
			again := open(t, p)
			expect(t, again, r)
		})
	}
}

// P49: names that are not ours reach no store.
func testNames(t *testing.T, p Place) {
	backend, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store := vault.NewStore(backend, limit)
	hex := strings.Repeat("a", 32)
	for _, name := range []string{
		"", ".", "..", "/", `\`, "-x", "CON", "../" + hex, "broker.v1.", "broker.v1." + hex + "/", "broker.v1." + hex + "\n",
		"broker.v1." + strings.ToUpper(hex), "broker.v1.../../../etc/passwd", "broker.v1." + hex[:31] + "\x00", "broker.v2." + hex,
		"broker.v1." + hex[:30] + "é", strings.Repeat("x", 300), "broker.canary", "\x1b[31m",
	} {
		for call, err := range map[string]error{
			"set":    backend.Set(t.Context(), name, []byte("x")),
			"get":    func() error { _, err := backend.Get(t.Context(), name); return err }(),
			"delete": backend.Delete(t.Context(), name),
			"put":    store.Put(t.Context(), vault.Record{Item: name}),
			"read":   func() error { _, err := store.Read(t.Context(), name); return err }(),
			"probe":  store.ProbeItem(t.Context(), name),
		} {
			if !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("%s %q: %v, want ErrCorrupt", call, name, err)
			} else if strings.ContainsAny(err.Error(), "\x00\n\x1b") {
				t.Errorf("%s %q: the error has control characters: %q", call, name, err)
			}
		}
	}
	if got := names(t, store); len(got) != 0 {
		t.Errorf("the store has %q", got)
	}
}
