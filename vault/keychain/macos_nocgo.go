// SPDX-License-Identifier: Apache-2.0

//go:build darwin && !cgo

package keychain

import (
	"context"

	"credbroker/vault"
)

// openKeychain says why it cannot: the framework is reached through cgo alone.
func openKeychain(context.Context, Config) (vault.Backend, error) {
	return nil, errNoKeychain()
}

func openForeignKeychain(context.Context, Foreign) (vault.ForeignStore, error) {
	return nil, errNoKeychain()
}

func errNoKeychain() error {
	return &vault.Error{
		Kind: vault.ErrNoBackend, Text: "this broker was built without cgo and has no Keychain",
		Hint: "install a broker that was built on a Mac, or keep keys in files: broker init --backend file",
	}
}
