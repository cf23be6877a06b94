// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"

	"github.com/godbus/dbus"

	"credbroker/vault"
)

func foreignOpeners() map[string]foreignOpener {
	return map[string]foreignOpener{File: openForeignFile, SecretService: openForeignCollection, Pass: openForeignPass}
}

// foreignCollection is a collection that another program has made.
type foreignCollection struct{ *secretService }

var _ vault.ForeignStore = foreignCollection{}

// openForeignCollection opens a collection by the name that the library has made
// its path of.
func openForeignCollection(ctx context.Context, f Foreign) (vault.ForeignStore, error) {
	s, err := openCollection(ctx, f.Config, func(ctx context.Context, b bus) (collection, error) {
		paths, err := property[[]dbus.ObjectPath](ctx, b, servicePath, serviceIface, "Collections")
		if err != nil {
			return collection{}, err
		}
		for _, path := range paths {
			if libraryPath(path) == collectionDir+f.Collection {
				return collection{path, "the keyring " + f.Collection}, nil
			}
		}
		return collection{}, &vault.Error{Kind: vault.ErrGone, Text: "the desktop has no keyring " + f.Collection}
	})
	if err != nil {
		return nil, err
	}
	return foreignCollection{s}, nil
}

// Names implements vault.ForeignStore.
func (s foreignCollection) Names(ctx context.Context) ([]string, error) { return s.names(ctx) }

// Get implements vault.ForeignStore.
func (s foreignCollection) Get(ctx context.Context, name string) ([]byte, error) {
	return s.read(ctx, name)
}

// Delete implements vault.ForeignStore.
func (s foreignCollection) Delete(ctx context.Context, name string) error {
	return s.remove(ctx, name)
}
