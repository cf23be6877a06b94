// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/keychain"
)

// unlock opens a file vault with a passphrase. hold leaves the key with another
// process: this one, which has seen the passphrase, ends.
func unlock(ctx context.Context, p ipc.UnlockParams) (vault.Backend, func(context.Context) error, error) {
	backend, key, err := keychain.Unlock(ctx, keychain.Config{Backend: p.Store.Backend, Dir: p.Store.Dir, Create: p.Create}, p.Passphrase)
	if err != nil {
		return nil, nil, err
	}
	return backend, func(ctx context.Context) error { return startHolder(ctx, p, key) }, nil
}

// startHolder starts this program once more, as the holder of the key.
func startHolder(ctx context.Context, p ipc.UnlockParams, key secret.String) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find broker-vault: %w", err)
	}
	return ipc.WorkerCommand{Path: path, Env: os.Environ(), Client: "broker-vault " + version}.Start(ctx, ipc.OpHold, ipc.HoldParams{
		Socket: p.Store.Holder, Daemon: p.Daemon, Key: key, IdleLimit: int(idleLimit / time.Second),
	}, "hold")
}

// askHolder returns what asks the holder at socket for the key of a vault. That
// the holder is of this user the client makes sure of before it sends a byte.
func askHolder(socket string) func(context.Context) (secret.String, error) {
	return func(ctx context.Context) (secret.String, error) {
		client := &ipc.Client{Socket: socket, Name: "broker-vault " + version}
		var held heldKey
		err := client.Call(ctx, opKey, nil, &held)
		switch {
		case err == nil && !held.Key.IsZero():
			return held.Key, nil
		case errors.Is(err, &ipc.Error{Code: ipc.CodeNoDaemon}):
			return secret.String{}, &vault.Error{Kind: vault.ErrLocked, Text: "the vault is locked", Hint: "open it: broker unlock"}
		case errors.Is(err, &ipc.Error{Code: ipc.CodeForeignDaemon}):
			return secret.String{}, &vault.Error{
				Kind: vault.ErrUnsafe, Text: "somebody else answers for the key of the vault at " + socket,
				Hint: "nothing was asked there: look at who made that socket, remove it, and run broker unlock",
			}
		case errors.Is(err, &ipc.Error{Code: ipc.CodeDeadline}):
			return secret.String{}, &vault.Error{
				Kind: vault.ErrTimeout, Text: "who holds the key of the vault does not answer",
				Hint: "end it and begin anew: broker lock, then broker unlock",
			}
		}
		return secret.String{}, &vault.Error{
			Kind: vault.ErrFailed, Text: "what answers at " + socket + " has no key of a vault",
			Hint: "begin anew: broker lock, then broker unlock",
		}
	}
}
