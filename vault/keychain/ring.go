// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/99designs/keyring"

	"credbroker/vault"
)

// ring is a store that the library reaches by a plain call of the system: the
// Keychain of macOS and the Credential Manager of Windows. Neither is listed by
// the library, and neither is trusted when it says "not found": the Store above
// probes before it believes that.
type ring struct {
	mu   sync.Mutex // the library promises nothing to several goroutines
	ring keyring.Keyring
	list func() ([]string, error) // the names of ours, without their secrets
	kind func(error) error        // the sentinel that an error of the system means, or nil
}

var _ vault.Backend = (*ring)(nil)

// Set looks first: the library updates an item that is there, and leaves it the
// access list of whoever made it.
func (r *ring) Set(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	return r.do(ctx, "write item "+name, func() error {
		switch _, err := r.ring.Get(name); {
		case err == nil:
			return &vault.Error{Kind: vault.ErrExists, Text: "item " + name + " is in the store already"}
		case !errors.Is(err, keyring.ErrKeyNotFound):
			return err
		}
		return r.ring.Set(keyring.Item{Key: name, Data: data, Label: "broker " + name, KeychainNotSynchronizable: true})
	})
}

func (r *ring) Get(ctx context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return r.read(ctx, name)
}

// read is Get for any name.
func (r *ring) read(ctx context.Context, name string) ([]byte, error) {
	got := make(chan keyring.Item, 1) // do may be left while the library works on
	err := r.do(ctx, "read item "+name, func() error {
		item, err := r.ring.Get(name)
		got <- item
		return err
	})
	if err != nil {
		return nil, err
	}
	return (<-got).Data, nil
}

func (r *ring) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return r.remove(ctx, name)
}

// remove is Delete for any name.
func (r *ring) remove(ctx context.Context, name string) error {
	return r.do(ctx, "delete item "+name, func() error { return r.ring.Remove(name) })
}

func (r *ring) List(ctx context.Context) ([]string, error) {
	names, err := r.names(ctx)
	return slices.DeleteFunc(names, func(name string) bool { return !vault.Ours(name) }), err
}

// names returns all that the list has.
func (r *ring) names(ctx context.Context) ([]string, error) {
	all := make(chan []string, 1)
	err := r.do(ctx, "list the store", func() error {
		names, err := r.list()
		all <- names
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-all, nil
}

// do runs one call, and says what its error means.
func (r *ring) do(ctx context.Context, act string, f func() error) error {
	err := run(ctx, act, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		return f()
	})
	var known *vault.Error
	switch {
	case err == nil, errors.As(err, &known), ctx.Err() != nil:
		return err
	case errors.Is(err, keyring.ErrKeyNotFound):
		return &vault.Error{Kind: vault.ErrNotFound, Text: act + ": it is not in the store"}
	}
	kind := r.kind(err)
	if kind == nil {
		kind = vault.ErrFailed
	}
	return &vault.Error{Kind: kind, Text: act, Err: err}
}
