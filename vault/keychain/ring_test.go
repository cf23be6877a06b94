// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/99designs/keyring"

	"credbroker/vault"
	"credbroker/vault/vaulttest"
)

// osStatus is like the error type of the library's Keychain.
type osStatus int

func (s osStatus) Error() string { return "OSStatus" }

// array is a keyring of the library that can be told to fail.
type array struct {
	*keyring.ArrayKeyring
	err  error
	hang chan struct{}
}

func (a *array) fail() error {
	if a.hang != nil {
		<-a.hang
	}
	return a.err
}

func (a *array) Get(name string) (keyring.Item, error) {
	if err := a.fail(); err != nil {
		return keyring.Item{}, err
	}
	return a.ArrayKeyring.Get(name)
}

func (a *array) Set(item keyring.Item) error {
	if err := a.fail(); err != nil {
		return err
	}
	return a.ArrayKeyring.Set(item)
}

func (a *array) Remove(name string) error {
	if err := a.fail(); err != nil {
		return err
	}
	return a.ArrayKeyring.Remove(name)
}

func (a *array) Keys() ([]string, error) {
	if err := a.fail(); err != nil {
		return nil, err
	}
	return a.ArrayKeyring.Keys()
}

// The conformance suite, on the wrapper that macOS and Windows have.
func TestRing(t *testing.T) {
	t.Parallel()
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		a := &array{ArrayKeyring: keyring.NewArrayKeyring(nil)}
		r := &ring{ring: a, list: a.Keys, kind: osStatusKind}
		fails := func(name string, err, want error) vaulttest.State {
			return vaulttest.State{Name: name, Want: want, Break: func() { a.err = err }, Mend: func() { a.err = nil }}
		}
		return vaulttest.Place{
			Open: func(context.Context) (vault.Backend, error) { return r, nil },
			States: []vaulttest.State{
				fails("locked", osStatus(-25308), vault.ErrLocked),
				fails("cancelled", osStatus(-128), vault.ErrDenied),
				fails("no keychain", osStatus(-25294), vault.ErrGone),
				fails("something else", osStatus(-50), vault.ErrFailed),
			},
		}
	})
}

// K10: an item that is there is not updated, and no call outlives its deadline.
func TestRingIsBounded(t *testing.T) {
	t.Parallel()
	a := &array{ArrayKeyring: keyring.NewArrayKeyring(nil), hang: make(chan struct{})}
	defer close(a.hang)
	r := &ring{ring: a, list: a.Keys, kind: osStatusKind}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	record := vaulttest.NewRecord(t, "dev")
	for name, err := range map[string]error{
		"set":    r.Set(ctx, record.Item, nil),
		"delete": r.Delete(ctx, record.Item),
		"get":    func() error { _, err := r.Get(ctx, record.Item); return err }(),
		"list":   func() error { _, err := r.List(ctx); return err }(),
	} {
		if !errors.Is(err, vault.ErrTimeout) {
			t.Errorf("%s: %v, want ErrTimeout", name, err)
		}
	}
}

// Of a store that has other programs' items, only ours are listed.
func TestRingListsOurs(t *testing.T) {
	t.Parallel()
	record := vaulttest.NewRecord(t, "dev")
	a := &array{ArrayKeyring: keyring.NewArrayKeyring([]keyring.Item{{Key: "Bank"}, {Key: record.Item}, {Key: ""}})}
	names, err := (&ring{ring: a, list: a.Keys, kind: osStatusKind}).List(t.Context())
	if err != nil || !slices.Equal(names, []string{record.Item}) {
		t.Errorf("list = %q, %v; want ours alone", names, err)
	}
}
