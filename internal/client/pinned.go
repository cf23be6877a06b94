// SPDX-License-Identifier: Apache-2.0

package client

import (
	"path/filepath"
	"strconv"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// The stores for keys. Which of them this platform has, broker init says.
const (
	BackendFile          = "file"
	BackendKeychain      = "keychain"
	BackendPass          = "pass"
	BackendSecretService = "secret-service"
	BackendWinCred       = "wincred"
)

// Pinned returns the store by broker's own config, which needs no daemon.
func (a *App) Pinned() (ipc.Store, error) {
	p, err := a.Places()
	if err != nil {
		return ipc.Store{}, err
	}
	s, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return ipc.Store{}, err
	}
	if s.Vault.Backend == "" {
		return ipc.Store{}, Errorf(ipc.CodeNotInitialised, "broker has no vault yet")
	}
	return a.Store(s.Vault, p), nil
}

// Store returns the store that settings pin, as a worker knows it.
func (a *App) Store(s awsconfig.VaultSettings, p paths.Places) ipc.Store {
	store := ipc.Store{Backend: s.Backend}
	switch s.Backend {
	case BackendFile:
		store.Dir, store.PassphraseFile = p.VaultDir, s.PassphraseFile
		if s.PassphraseFile == "" { // it opens with a passphrase
			store.Holder = p.HolderSocket
		}
	case BackendPass:
		store.Program, store.Dir, store.GnuPGHome = s.PassProgram, s.PasswordStoreDir, s.GnuPGHome
	case BackendKeychain:
		store.Keychain = s.Keychain
	case BackendSecretService:
		store.Service = a.SessionBus()
	}
	return store
}

// SessionBus returns the address of the user's own session bus, or "".
func (a *App) SessionBus() string {
	runtimeDir := filepath.Join("/run/user", strconv.Itoa(a.UID))
	return ipc.SessionBus(runtimeDir, a.Getenv("DBUS_SESSION_BUS_ADDRESS"), a.UID)
}
