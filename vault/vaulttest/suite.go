// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"credbroker/internal/secret"
	"credbroker/vault"
)

// limit is the deadline of each call in the suite, many times what a store
// needs on a busy machine; short is that of a call which is meant to hang.
const (
	limit = 5 * time.Second
	short = 300 * time.Millisecond
)

// State is a way in which a whole store is out of order.
type State struct {
	Name string
	// Break puts the store into the state, Mend ends it.
	Break, Mend func()
	// Want is the kind of error that each call must return meanwhile.
	Want error
	// ReadsWork says that only writes fail, as where a lock is held.
	ReadsWork bool
}

// Place is one store for the suite.
type Place struct {
	// Open opens the store as another worker would.
	Open func(context.Context) (vault.Backend, error)
	// States are those that the store can be put into.
	States []State
	// Spoil damages the stored form of an item; nil where nobody can.
	Spoil func(name string)
	// Copy puts a copy of one item in the place of another; nil as above.
	Copy func(from, to string)
	// Lie makes the store lie, until Honest; nil where nobody can.
	Lie func(Lie)
}

// Run runs the suite. Each test gets a Place of its own from start.
func Run(t *testing.T, start func(t *testing.T) Place) {
	tests := []struct {
		name string
		f    func(*testing.T, Place)
	}{
		{"RoundTrip", testRoundTrip},
		{"PutTwice", testPutTwice},
		{"PutTwiceAtOnce", testPutTwiceAtOnce},
		{"Many", testMany},
		{"DeleteTwice", testDeleteTwice},
		{"Missing", testMissing},
		{"Binding", testBinding},
		{"P24Copied", testCopied},
		{"P24Spoiled", testSpoiled},
		{"P26States", testStates},
		{"P26Lies", testLies},
		{"P49Names", testNames},
		{"Probe", testProbe},
		{"Cancelled", testCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.f(t, start(t)) })
	}
}

// NewRecord returns a record with a name of its own and a plausible key, for
// tests of any package.
func NewRecord(t testing.TB, profile string) vault.Record {
	t.Helper()
	name, err := vault.NewName(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	unique := strings.ToUpper(name[len(vault.Prefix) : len(vault.Prefix)+16])
	return vault.Record{
		Item: name, Profile: profile, AccessKeyID: "AKIA" + unique,
		SecretAccessKey: secret.New("canary/" + strings.Repeat("x", 17) + unique),
		AccountID:       "111122223333", ARN: "arn:aws:iam::111122223333:user/ann",
		StoredAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
}

func open(t *testing.T, p Place) *vault.Store {
	t.Helper()
	return openWithin(t, p, limit)
}

func openWithin(t *testing.T, p Place, limit time.Duration) *vault.Store {
	t.Helper()
	b, err := p.Open(t.Context())
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	return vault.NewStore(b, limit)
}

func put(t *testing.T, s *vault.Store, r vault.Record) {
	t.Helper()
	if err := s.Put(t.Context(), r); err != nil {
		t.Fatalf("put: %v", err)
	}
}

// expect fails the test unless the store holds r.
func expect(t *testing.T, s *vault.Store, r vault.Record) {
	t.Helper()
	got, err := s.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if !got.SecretAccessKey.Equal(r.SecretAccessKey) {
		t.Errorf("got another secret access key than was stored")
	}
	got.SecretAccessKey, r.SecretAccessKey = secret.String{}, secret.String{}
	if got != r {
		t.Errorf("got %+v, want %+v", got, r)
	}
}

func names(t *testing.T, s *vault.Store) []string {
	t.Helper()
	names, err := s.List(t.Context())
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	slices.Sort(names)
	return names
}

func testRoundTrip(t *testing.T, p Place) {
	a, b := NewRecord(t, "dev"), NewRecord(t, "team/prod@eu:1+2%.-_")
	store := open(t, p)
	put(t, store, a)
	put(t, store, b)
	again := open(t, p)
	expect(t, again, a)
	expect(t, again, b)
	want := []string{a.Item, b.Item}
	slices.Sort(want)
	if got := names(t, again); !slices.Equal(got, want) {
		t.Errorf("list = %v, want %v", got, want)
	}
	if err := again.Delete(t.Context(), a.Item, a.Profile, a.AccessKeyID); err != nil {
		t.Fatalf("delete: %v", err)
	}
	expect(t, store, b)
	if got := names(t, store); !slices.Equal(got, []string{b.Item}) {
		t.Errorf("list = %v, want only %s", got, b.Item)
	}
}

func testPutTwice(t *testing.T, p Place) {
	store, first := open(t, p), NewRecord(t, "dev")
	put(t, store, first)
	second := NewRecord(t, "other")
	second.Item = first.Item
	if err := store.Put(t.Context(), second); !errors.Is(err, vault.ErrExists) {
		t.Errorf("second put: %v, want ErrExists", err)
	}
	expect(t, store, first)
}

func testPutTwiceAtOnce(t *testing.T, p Place) {
	const writers = 4
	store, first := open(t, p), NewRecord(t, "dev")
	var wg sync.WaitGroup
	results := make(chan error, writers)
	for range writers {
		wg.Go(func() { results <- store.Put(t.Context(), first) })
	}
	wg.Wait()
	close(results)
	stored := 0
	for err := range results {
		if err == nil {
			stored++
		} else if !errors.Is(err, vault.ErrExists) {
			t.Errorf("put: %v, want nil or ErrExists", err)
		}
	}
	if stored < 1 {
		t.Error("nobody stored the item")
	}
	expect(t, store, first)
}

func testMany(t *testing.T, p Place) {
	const each = 3
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			backend, err := p.Open(t.Context())
			if err != nil {
				t.Errorf("open the store: %v", err)
				return
			}
			store := vault.NewStore(backend, 4*limit)
			for j := range each {
				r := NewRecord(t, fmt.Sprintf("p%d.%d", i, j))
				if err := store.Put(t.Context(), r); err != nil {
					t.Errorf("put: %v", err)
				}
				if _, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
					t.Errorf("get: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(names(t, open(t, p))); got != 4*each {
		t.Errorf("the store has %d items, want %d", got, 4*each)
	}
}

func testDeleteTwice(t *testing.T, p Place) {
	store, r := open(t, p), NewRecord(t, "dev")
	put(t, store, r)
	for range 2 {
		if err := store.Delete(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	if _, err := store.Read(t.Context(), r.Item); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("read: %v, want ErrNotFound", err)
	}
}

// An item that the index has and the store has not is damage, never "no key".
func testMissing(t *testing.T, p Place) {
	store, r := open(t, p), NewRecord(t, "dev")
	_, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID)
	if !errors.Is(err, vault.ErrCorrupt) || errors.Is(err, vault.ErrNotFound) {
		t.Errorf("get: %v, want ErrCorrupt alone", err)
	}
	if got := names(t, store); len(got) != 0 {
		t.Errorf("a probe stayed behind: %v", got)
	}
}

func testBinding(t *testing.T, p Place) {
	store, a, b := open(t, p), NewRecord(t, "dev"), NewRecord(t, "prod")
	put(t, store, a)
	put(t, store, b)
	for _, ask := range []vault.Record{
		{Item: a.Item, Profile: b.Profile, AccessKeyID: a.AccessKeyID},
		{Item: a.Item, Profile: a.Profile, AccessKeyID: b.AccessKeyID},
		{Item: b.Item, Profile: a.Profile, AccessKeyID: a.AccessKeyID},
	} {
		if _, err := store.Get(t.Context(), ask.Item, ask.Profile, ask.AccessKeyID); !errors.Is(err, vault.ErrMismatch) {
			t.Errorf("get %+v: %v, want ErrMismatch", ask, err)
		}
		if err := store.Delete(t.Context(), ask.Item, ask.Profile, ask.AccessKeyID); !errors.Is(err, vault.ErrMismatch) {
			t.Errorf("delete %+v: %v, want ErrMismatch", ask, err)
		}
	}
	expect(t, store, a)
	expect(t, store, b)
}

// P24: an item in the place of another is noticed.
func testCopied(t *testing.T, p Place) {
	store, dev, prod := open(t, p), NewRecord(t, "dev"), NewRecord(t, "prod")
	put(t, store, dev)
	put(t, store, prod)
	if p.Copy == nil {
		return // testBinding is all that such a store allows
	}
	p.Copy(prod.Item, dev.Item)
	again := open(t, p)
	if _, err := again.Get(t.Context(), dev.Item, dev.Profile, dev.AccessKeyID); !errors.Is(err, vault.ErrMismatch) {
		t.Errorf("get: %v, want ErrMismatch", err)
	}
	if err := again.Delete(t.Context(), dev.Item, dev.Profile, dev.AccessKeyID); !errors.Is(err, vault.ErrMismatch) {
		t.Errorf("delete: %v, want ErrMismatch", err)
	}
	expect(t, again, prod)
}

func testSpoiled(t *testing.T, p Place) {
	store, r := open(t, p), NewRecord(t, "dev")
	put(t, store, r)
	if p.Spoil == nil {
		return
	}
	p.Spoil(r.Item)
	again := open(t, p)
	_, err := again.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID)
	if !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("get: %v, want ErrCorrupt", err)
	}
	if err != nil && strings.Contains(err.Error(), "canary/") {
		t.Errorf("the error quotes the item: %v", err)
	}
	// What cannot be read cannot be lost: forgetting it is the way out.
	if err := again.Delete(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func testProbe(t *testing.T, p Place) {
	store, r := open(t, p), NewRecord(t, "dev")
	put(t, store, r)
	if err := store.Probe(t.Context()); err != nil {
		t.Fatalf("probe: %v", err)
	}
	if err := store.ProbeItem(t.Context(), r.Item); !errors.Is(err, vault.ErrExists) {
		t.Errorf("probe under a name in use: %v, want ErrExists", err)
	}
	expect(t, store, r)
}

func testCancelled(t *testing.T, p Place) {
	store, r := open(t, p), NewRecord(t, "dev")
	put(t, store, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// A store may have answered before it looked; it may not have said "not found".
	if _, err := store.Get(ctx, r.Item, r.Profile, r.AccessKeyID); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v, want context.Canceled", err)
	}
	expect(t, store, r)
}
