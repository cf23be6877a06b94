// SPDX-License-Identifier: Apache-2.0

//go:build darwin && cgo

package keychain

import (
	"context"
	"os"
	"path/filepath"

	"github.com/99designs/keyring"

	"credbroker/vault"
)

// openKeychain opens a keychain of macOS. The library would make one that is
// missing, and show a dialog for its password; so it is looked for first.
func openKeychain(ctx context.Context, c Config) (vault.Backend, error) {
	opened, err := keychainOf(ctx, c, "broker")
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// openForeignKeychain opens the owner's items of a keychain. It gave no program
// the right to read them unasked, so macOS asks for each, and for the keychain.
func openForeignKeychain(ctx context.Context, f Foreign) (vault.ForeignStore, error) {
	opened, err := keychainOf(ctx, f.Config, f.service())
	if err != nil {
		return nil, err
	}
	return foreignRing{opened}, nil
}

// keychainOf opens the items of one service.
func keychainOf(ctx context.Context, c Config, service string) (*ring, error) {
	if c.Keychain != "" {
		path := filepath.Join(c.Home, "Library", "Keychains", c.Keychain+".keychain-db")
		if _, err := os.Stat(path); err != nil || filepath.Base(c.Keychain) != c.Keychain {
			return nil, &vault.Error{
				Kind: vault.ErrGone, Text: "there is no keychain " + c.Keychain + " in ~/Library/Keychains",
				Hint: "make it with Keychain Access, or correct keychain in [vault] of broker's config",
			}
		}
	}
	opened, err := bounded(ctx, "open the keychain", func() (keyring.Keyring, error) {
		return pinned(keyring.KeychainBackend, "*keyring.keychain", keyring.Config{
			ServiceName:  service,
			KeychainName: c.Keychain,
			// Never to another machine; and read by this program without a
			// question, by any other only after one.
			KeychainSynchronizable:         false,
			KeychainAccessibleWhenUnlocked: true,
			KeychainTrustApplication:       true,
		})
	})
	if err != nil {
		return nil, err
	}
	// Keys asks for attributes alone: no secret, and no dialog for one.
	return &ring{ring: opened, list: opened.Keys, kind: osStatusKind}, nil
}
