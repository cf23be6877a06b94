// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

func newLockCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Aliases:   []string{"clear"},
		Usage:     "drop sessions, and lock the vault",
		UsageText: "broker lock [PROFILE | -p PROFILE] [--json]",
		Description: about(`Drops every session from the daemon's memory, also those that are being made,
and has the key of a vault that opens with a passphrase forgotten: then nothing
is served until broker unlock. A keyring of the desktop stays as it is, and the
next request asks for a code again.

With a profile, only the sessions of the key that it begins at are dropped.
What programs were given already works until it expires.`, "broker lock"),
		Flags: []cli.Flag{namedProfileFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			profile := ""
			if len(a.line.Words) > 0 || c.IsSet("profile") {
				var err error
				if profile, err = a.profile(c, a.line.Words); err != nil {
					return err
				}
			}
			return a.lock(c.Context, profile, c.Bool("json"))
		},
	}
}

// lock starts no daemon: where none runs, nothing is held.
func (a *app) lock(ctx context.Context, profile string, asJSON bool) error {
	p, err := a.Places()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, client.CallLimit(ipc.OpLock))
	defer cancel()
	daemon := &ipc.Client{Socket: p.Socket, Name: "broker " + version}
	var result ipc.LockResult
	err = daemon.Call(ctx, ipc.OpLock, ipc.LockParams{Profile: profile}, &result)
	idle := client.HasCode(err, ipc.CodeNoDaemon) && client.Unreached(err)
	if err != nil && !idle {
		return err
	}
	if asJSON {
		return a.printJSON(result)
	}
	if idle {
		a.printf("no daemon runs: nothing is held\n")
		return nil
	}
	a.printLocked(result, profile)
	return nil
}

func (a *app) printLocked(r ipc.LockResult, profile string) {
	sessions, prompts := "sessions", "prompts"
	if r.Sessions == 1 {
		sessions = "session"
	}
	if r.Prompts == 1 {
		prompts = "prompt"
	}
	a.printf("dropped %d %s", r.Sessions, sessions)
	if r.Prompts > 0 {
		a.printf(", withdrew %d %s", r.Prompts, prompts)
	}
	a.printf("\n")
	switch {
	case r.Vault != nil && r.Vault.Locked:
		a.printf("the vault is locked\nnext: broker unlock\n")
	case profile != "":
		a.printf("next: when you need it again: broker mfa -p %s\n", profile)
	default:
		a.printf("next: when you need one again: broker mfa -p PROFILE\n")
	}
}

// vaultText says for status how a vault that opens with a passphrase stands.
func vaultText(l *ipc.VaultLock, now time.Time) string {
	switch {
	case l == nil:
		return ""
	case l.Locked:
		return ", locked for " + span(now.Sub(l.Since))
	}
	return ", unlocked for " + span(now.Sub(l.Since)) + " (locks itself after " + span(time.Duration(l.IdleLimit)*time.Second) + " without use)"
}
