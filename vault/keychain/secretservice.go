// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"

	"credbroker/vault"
)

// attribute is the one under which the library files its items.
const attribute = "profile"

// collection is one keyring of the Secret Service, and what messages call it.
type collection struct {
	path dbus.ObjectPath
	name string
}

// secretService is one collection: that behind the alias "default", or that of
// another program. Every call looks
// at the lock and counts the items of that name before the library is let in:
// it would show a dialog of unlimited life for the one, and take the first of
// the other.
type secretService struct {
	bus        bus
	collection collection
	mu         sync.Mutex // the library's handle is for one goroutine
	ring       keyring.Keyring
}

var _ vault.Backend = (*secretService)(nil)

func openSecretService(ctx context.Context, c Config) (vault.Backend, error) {
	s, err := openCollection(ctx, c, defaultCollection)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openCollection opens the collection that find returns, unlocked.
func openCollection(ctx context.Context, c Config, find func(context.Context, bus) (collection, error)) (*secretService, error) {
	if c.Bus == "" {
		return nil, &vault.Error{
			Kind: vault.ErrGone, Text: "there is no session bus, and so no secret-service",
			Hint: "log in to the desktop and try again",
		}
	}
	quick, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	s := &secretService{}
	var err error
	if s.bus, err = dial(quick); err != nil {
		return nil, err
	}
	if s.collection, err = find(quick, s.bus); err != nil {
		return nil, err
	}
	locked, err := property[bool](quick, s.bus, s.collection.path, collIface, "Locked")
	if err != nil {
		return nil, err
	}
	switch {
	case locked && c.Silent:
		return nil, s.errLocked()
	case locked:
		if err := unlock(ctx, c, s.bus, s.collection); err != nil {
			return nil, err
		}
	}
	return s, s.open(ctx, c)
}

// open opens the library on the collection.
func (s *secretService) open(ctx context.Context, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	ring, err := bounded(ctx, "open the keyring", func() (keyring.Keyring, error) {
		return pinned(keyring.SecretServiceBackend, "*keyring.secretsKeyring", keyring.Config{
			ServiceName:             "broker",
			LibSecretCollectionName: strings.TrimPrefix(libraryPath(s.collection.path), collectionDir),
		})
	})
	s.ring = ring
	return err
}

// defaultCollection returns the collection behind the alias "default".
func defaultCollection(ctx context.Context, b bus) (collection, error) {
	var path dbus.ObjectPath
	if err := b.service(ctx, "ReadAlias", []any{"default"}, &path); err != nil {
		return collection{}, err
	}
	if path == "/" {
		return collection{}, &vault.Error{
			Kind: vault.ErrGone, Text: "the desktop has no default keyring",
			Hint: "make one, with seahorse or by logging in with a password",
		}
	}
	if !strings.HasPrefix(string(path), collectionDir) {
		return collection{}, &vault.Error{Kind: vault.ErrFailed, Text: fmt.Sprintf("the default keyring is at %.100q, where the library does not look", path)}
	}
	return collection{path, "the default keyring"}, nil
}

// libraryPath decodes a path as the library does before it compares it: _5f
// stands for an underscore.
func libraryPath(path dbus.ObjectPath) string {
	var out strings.Builder
	for rest := string(path); rest != ""; {
		if rest[0] != '_' {
			out.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if len(rest) < 3 {
			return string(path)
		}
		char, err := hex.DecodeString(rest[1:3])
		if err != nil {
			return string(path)
		}
		out.Write(char)
		rest = rest[3:]
	}
	return out.String()
}

func (s *secretService) Set(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	found, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if len(found) > 0 { // the library would replace it
		return &vault.Error{Kind: vault.ErrExists, Text: "item " + name + " is in the keyring already"}
	}
	return s.library(ctx, "write item "+name, func() error {
		return s.ring.Set(keyring.Item{Key: name, Data: data})
	})
}

func (s *secretService) Get(ctx context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return s.read(ctx, name)
}

// read is Get for any name.
func (s *secretService) read(ctx context.Context, name string) ([]byte, error) {
	if err := s.one(ctx, name); err != nil {
		return nil, err
	}
	got := make(chan keyring.Item, 1)
	err := s.library(ctx, "read item "+name, func() error {
		item, err := s.ring.Get(name)
		got <- item
		return err
	})
	if err != nil {
		return nil, err
	}
	item := <-got
	if item.Key != name {
		return nil, &vault.Error{Kind: vault.ErrMismatch, Text: "item " + name + " of the keyring is a copy of another"}
	}
	return item.Data, nil
}

func (s *secretService) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.remove(ctx, name)
}

// remove is Delete for any name.
func (s *secretService) remove(ctx context.Context, name string) error {
	if err := s.one(ctx, name); err != nil {
		return err
	}
	return s.library(ctx, "delete item "+name, func() error { return s.ring.Remove(name) })
}

// List reads the attributes of every item of the collection, other programs'
// included, and the secret of none.
func (s *secretService) List(ctx context.Context) ([]string, error) {
	names, err := s.names(ctx)
	return slices.DeleteFunc(names, func(name string) bool { return !vault.Ours(name) }), err
}

// names returns those of all items that the library could have made.
func (s *secretService) names(ctx context.Context) ([]string, error) {
	if err := s.unlocked(ctx); err != nil {
		return nil, err
	}
	paths, err := property[[]dbus.ObjectPath](ctx, s.bus, s.collection.path, collIface, "Items")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		attributes, err := property[map[string]string](ctx, s.bus, path, itemIface, "Attributes")
		if err != nil {
			return nil, err
		}
		if name := attributes[attribute]; name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// one makes sure that there is exactly one item of that name.
func (s *secretService) one(ctx context.Context, name string) error {
	found, err := s.find(ctx, name)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in the keyring"}
	case len(found) > 1:
		return &vault.Error{
			Kind: vault.ErrCorrupt, Text: fmt.Sprintf("the keyring has %d items named %s", len(found), name),
			Hint: "delete those that should not be there, with seahorse, and try again",
		}
	}
	return nil
}

// find returns the items of that name in an unlocked collection.
func (s *secretService) find(ctx context.Context, name string) ([]dbus.ObjectPath, error) {
	if err := s.unlocked(ctx); err != nil {
		return nil, err
	}
	var found []dbus.ObjectPath
	err := s.bus.call(ctx, serviceName, s.collection.path, collIface+".SearchItems", []any{map[string]string{attribute: name}}, &found)
	return found, err
}

func (s *secretService) unlocked(ctx context.Context) error {
	locked, err := property[bool](ctx, s.bus, s.collection.path, collIface, "Locked")
	if err == nil && locked {
		err = s.errLocked()
	}
	return err
}

func (s *secretService) errLocked() error {
	return &vault.Error{Kind: vault.ErrLocked, Text: s.collection.name + " is locked"}
}

// library runs one call of the library.
func (s *secretService) library(ctx context.Context, act string, f func() error) error {
	err := run(ctx, act, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return f()
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrKeyNotFound):
		return &vault.Error{Kind: vault.ErrNotFound, Text: act + ": it is not in the keyring"}
	case isJSON(err):
		return &vault.Error{Kind: vault.ErrCorrupt, Text: act + ": it is none of the library's"}
	}
	return busError(act, err)
}
