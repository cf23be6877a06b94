// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"

	"github.com/99designs/keyring"

	"credbroker/vault"
)

func foreignOpeners() map[string]foreignOpener {
	return map[string]foreignOpener{File: openForeignFile, WinCred: openForeignWinCred}
}

// openForeignWinCred opens the owner's corner of the Credential Manager.
func openForeignWinCred(ctx context.Context, f Foreign) (vault.ForeignStore, error) {
	service := f.service()
	opened, err := bounded(ctx, "open the Credential Manager", func() (keyring.Keyring, error) {
		return pinned(keyring.WinCredBackend, "*keyring.windowsKeyring", keyring.Config{ServiceName: service, WinCredPrefix: service})
	})
	if err != nil {
		return nil, err
	}
	names := func() ([]string, error) { return listWinCred(service+":"+service+":", "") }
	return foreignRing{&ring{ring: opened, list: names, kind: winCredKind}}, nil
}
