// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/99designs/keyring"
	"github.com/danieljoos/wincred"

	"credbroker/vault"
)

// wincredPrefix begins the target name of each credential of ours. The library
// puts it together from a prefix and a service, with colons.
const wincredPrefix = "broker:vault:"

// Errors of the Credential Manager (winerror.h).
const (
	errorAccessDenied   = syscall.Errno(5)
	errorNotFound       = syscall.Errno(1168)
	errorNoSuchSession  = syscall.Errno(1312) // of a user who is not logged on: a service, ssh
	errorCanceledByUser = syscall.Errno(1223)
)

// openWinCred opens the user's Credential Manager. Whoever runs as the user can
// read it, as SECURITY.md says.
func openWinCred(ctx context.Context, _ Config) (vault.Backend, error) {
	opened, err := bounded(ctx, "open the Credential Manager", func() (keyring.Keyring, error) {
		return pinned(keyring.WinCredBackend, "*keyring.windowsKeyring", keyring.Config{
			ServiceName: "vault", WinCredPrefix: "broker",
		})
	})
	if err != nil {
		return nil, err
	}
	return &ring{ring: opened, list: func() ([]string, error) { return listWinCred(wincredPrefix, vault.Prefix) }, kind: winCredKind}, nil
}

// listWinCred has Windows choose: the library's own list reads every secret of
// the user into memory and drops its errors. The names begin with begin, which
// follows prefix in a target name.
func listWinCred(prefix, begin string) ([]string, error) {
	found, err := wincred.FilteredList(prefix + begin + "*")
	if errors.Is(err, errorNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(found))
	for _, c := range found {
		clear(c.CredentialBlob)
		names = append(names, strings.TrimPrefix(c.TargetName, prefix))
	}
	return names, nil
}

func winCredKind(err error) error {
	switch {
	case errors.Is(err, errorAccessDenied), errors.Is(err, errorCanceledByUser):
		return vault.ErrDenied
	case errors.Is(err, errorNoSuchSession):
		return vault.ErrGone
	}
	return nil
}
