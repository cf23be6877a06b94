// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/internal/tty"
)

// tries is how often a passphrase is asked for on a terminal.
const tries = 3

// maxPassphrase is the longest passphrase, in bytes.
const maxPassphrase = 1024

// unlockResult is the JSON of broker unlock.
type unlockResult struct {
	Backend string         `json:"backend"`
	Changed bool           `json:"changed"` // false: there was nothing to unlock
	Vault   *ipc.VaultLock `json:"vault,omitempty"`
}

func newUnlockCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "unlock",
		Usage:     "open the vault with its passphrase",
		UsageText: "broker unlock [--stdin] [--json]",
		Description: about(`Asks for the passphrase of a file vault, and leaves the key that comes from it
with a process of its own until broker lock, until nobody has needed it for
8 hours, or until the daemon ends. The daemon never has it. A keyring of the
desktop is asked to unlock itself; a passphrase file needs nothing.`, "broker unlock"),
		Flags: []cli.Flag{
			switchFlag("stdin", "read the passphrase from standard input, one line"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			return a.unlock(c.Context, c.Bool("stdin"), c.Bool("json"))
		},
	}
}

func (a *app) unlock(ctx context.Context, stdin, asJSON bool) error {
	store, err := a.Pinned()
	if err != nil {
		return err
	}
	result := unlockResult{Backend: store.Backend}
	switch {
	case store.PassphraseFile != "": // it is always open
	case store.Backend != client.BackendFile:
		if err := a.vault(ctx, store, ipc.OpUnlock, ipc.UnlockParams{Store: store}, nil); err != nil {
			return err
		}
	default:
		if result.Changed, err = a.unlockTyped(ctx, store, stdin); err != nil {
			return err
		}
	}
	if store.Holder != "" {
		var s ipc.Status
		if err := a.Call(ctx, ipc.OpStatus, nil, &s); err != nil {
			return err
		}
		result.Vault = s.Vault
	}
	if asJSON {
		return a.printJSON(result)
	}
	switch {
	case store.PassphraseFile != "":
		a.printf("nothing is to be unlocked: the vault opens with %s\n", store.PassphraseFile)
	case store.Holder == "":
		a.printf("the %s store is open\n", store.Backend)
	case !result.Changed:
		a.printf("the vault is unlocked already\n")
	default:
		a.printf("the vault is unlocked\n")
	}
	a.printf("next: broker status\n")
	return nil
}

// unlockTyped asks for the passphrase of a vault that is locked, and reports
// whether it was.
func (a *app) unlockTyped(ctx context.Context, store ipc.Store, stdin bool) (bool, error) {
	var s ipc.Status
	if err := a.Call(ctx, ipc.OpStatus, nil, &s); err != nil {
		return false, err
	}
	if s.Vault != nil && !s.Vault.Locked {
		return false, nil
	}
	if err := secret.HideProcess(); err != nil {
		return false, err
	}
	if stdin {
		passphrase, err := passphraseFrom(a.Stdin)
		if err != nil {
			return false, err
		}
		return true, a.unlockWith(ctx, store, passphrase)
	}
	t, err := tty.Open()
	if err != nil {
		usage := client.Usagef("there is no terminal to type the passphrase on")
		usage.Hint = "add --stdin, and give it on the first line of standard input"
		return false, usage
	}
	defer func() { _ = t.Close() }() // what was written is on the screen
	for try := 1; ; try++ {
		passphrase, err := t.ReadSecret(ctx, "Passphrase of the vault (not shown): ")
		if err == nil && passphrase.IsZero() {
			err = io.EOF
		}
		if err != nil {
			return false, notTyped("the passphrase", err)
		}
		err = a.unlockWith(ctx, store, passphrase)
		if try == tries || !client.HasCode(err, ipc.CodeWrongPassphrase) {
			return true, err
		}
		fmt.Fprintln(t, "broker: that passphrase does not open the vault")
	}
}

// unlockWith has a worker prove a passphrase and leave the key with a holder.
// The daemon, which runs by now, is told by the holder, and of the key nothing.
func (a *app) unlockWith(ctx context.Context, store ipc.Store, passphrase secret.String) error {
	p, err := a.Places()
	if err != nil {
		return err
	}
	return a.vault(ctx, store, ipc.OpUnlock, ipc.UnlockParams{Store: store, Passphrase: passphrase, Daemon: p.Socket}, nil)
}

// passphraseFrom reads the first line.
func passphraseFrom(in io.Reader) (secret.String, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxPassphrase+2)).ReadBytes('\n')
	defer clear(line)
	if err != nil && !errors.Is(err, io.EOF) {
		return secret.String{}, fmt.Errorf("read standard input: %w", err)
	}
	n := len(line)
	for n > 0 && (line[n-1] == '\n' || line[n-1] == '\r') {
		n--
	}
	if n == 0 || n > maxPassphrase {
		return secret.String{}, client.Usagef("the first line of standard input holds no passphrase of at most %d bytes", maxPassphrase)
	}
	return secret.New(string(line[:n])), nil
}
