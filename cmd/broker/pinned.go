// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strconv"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// The stores for keys. Which of them a platform has, says backends.
const (
	backendFile          = "file"
	backendKeychain      = "keychain"
	backendPass          = "pass"
	backendSecretService = "secret-service"
	backendWinCred       = "wincred"
)

// pinned returns the store by broker's own config, which needs no daemon.
func (a *App) pinned() (ipc.Store, error) {
	p, err := a.places()
	if err != nil {
		return ipc.Store{}, err
	}
	s, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return ipc.Store{}, err
	}
	if s.Vault.Backend == "" {
		return ipc.Store{}, errorf(ipc.CodeNotInitialised, "no store is pinned in %s", p.ConfigFile)
	}
	return a.store(s.Vault, p), nil
}

// store returns the store that settings pin, as a worker knows it.
func (a *App) store(s awsconfig.VaultSettings, p paths.Places) ipc.Store {
	store := ipc.Store{Backend: s.Backend}
	switch s.Backend {
	case backendFile:
		store.Dir, store.PassphraseFile = p.VaultDir, s.PassphraseFile
		if s.PassphraseFile == "" { // it opens with a passphrase
			store.Holder = p.HolderSocket
		}
	case backendPass:
		store.Program, store.Dir, store.GnuPGHome = s.PassProgram, s.PasswordStoreDir, s.GnuPGHome
	case backendKeychain:
		store.Keychain = s.Keychain
	case backendSecretService:
		store.Service = a.sessionBus()
	}
	return store
}

// sessionBus returns the address of the user's own session bus, or "".
func (a *App) sessionBus() string {
	runtimeDir := filepath.Join("/run/user", strconv.Itoa(a.uid))
	return ipc.SessionBus(runtimeDir, a.getenv("DBUS_SESSION_BUS_ADDRESS"), a.uid)
}
