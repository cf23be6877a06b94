// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
	"credbroker/internal/secret"
	"credbroker/internal/tty"
)

// minPassphrase is the shortest passphrase, in bytes, that a new vault is made
// with. Each guess costs a tenth of a second of one machine; what is shorter
// falls to a few of them.
const minPassphrase = 8

// newPassphrase returns what a new file vault is to open with; zero is a
// passphrase file. A script says so with a flag, and a user is asked. Where
// standard input is no terminal nobody sits there, whatever terminal there is.
func (a *app) newPassphrase(ctx context.Context, o initOptions) (secret.String, error) {
	if o.passphraseStdin {
		if err := secret.HideProcess(); err != nil {
			return secret.String{}, err
		}
		passphrase, err := passphraseFrom(a.Stdin)
		if err == nil && short(passphrase) {
			err = client.Usagef("the passphrase has fewer than %d characters", minPassphrase)
		}
		return passphrase, err
	}
	if o.yes || o.json || o.passphraseFile != "" || !tty.IsTerminal(int(a.Stdin.Fd())) {
		return secret.String{}, nil
	}
	t, ok := client.OpenTerminal()
	if !ok {
		return secret.String{}, nil
	}
	defer func() { _ = t.TTY.Close() }() // what was written is on the screen
	if err := secret.HideProcess(); err != nil {
		return secret.String{}, err
	}
	fmt.Fprintf(t.TTY, "The vault is encrypted with a passphrase of %d characters or more, which you type at\n", minPassphrase)
	fmt.Fprintln(t.TTY, "each broker unlock, or with a file of random bytes beside the config: for that, leave it empty.")
	for {
		passphrase, err := t.TTY.ReadSecret(ctx, "Passphrase (not shown): ")
		if err == nil && passphrase.IsZero() {
			return secret.String{}, nil
		}
		if err != nil {
			return secret.String{}, notTyped("the passphrase", err)
		}
		if short(passphrase) {
			fmt.Fprintf(t.TTY, "broker: a passphrase has at least %d characters\n", minPassphrase)
			continue
		}
		again, err := t.TTY.ReadSecret(ctx, "Once more: ")
		if err != nil {
			return secret.String{}, notTyped("the passphrase", err)
		}
		if again.Equal(passphrase) {
			return passphrase, nil
		}
		fmt.Fprintln(t.TTY, "broker: the two differ")
	}
}

// short reports whether a passphrase is too short for a new vault.
func short(passphrase secret.String) bool { return len(passphrase.Reveal()) < minPassphrase }

// makeTyped makes a vault that opens with a passphrase, or proves the one that
// is there.
func (a *app) makeTyped(ctx context.Context, p paths.Places, passphrase secret.String) (awsconfig.VaultSettings, error) {
	vault := awsconfig.VaultSettings{Backend: client.BackendFile}
	return vault, a.vault(ctx, a.Store(vault, p), ipc.OpUnlock, ipc.UnlockParams{
		Store: a.Store(vault, p), Passphrase: passphrase, Create: true,
	}, nil)
}

// unlockNew opens the vault that was just made: the passphrase was typed a
// moment ago. Where that fails, as in a container without a daemon, the vault
// is none the worse.
func (a *app) unlockNew(ctx context.Context, s awsconfig.VaultSettings, p paths.Places, passphrase secret.String) bool {
	if passphrase.IsZero() || a.Call(ctx, ipc.OpHello, nil, nil) != nil {
		return false
	}
	return a.unlockWith(ctx, a.Store(s, p), passphrase) == nil
}
