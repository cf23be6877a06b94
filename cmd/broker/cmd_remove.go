// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"credbroker/internal/ipc"
)

func newRemoveCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "forget the key of a profile",
		UsageText: "broker remove PROFILE [--yes] [--json]",
		Description: about(`Deletes the key from the store and drops its sessions. The key stays valid at
AWS: delete it there if nothing else uses it.`, "broker remove dev"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			switchFlag("yes", "do not ask"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			profile, err := a.namedProfile(c)
			if err != nil {
				return err
			}
			return a.remove(c.Context, profile, c.Bool("yes"), c.Bool("json"))
		},
	}
}

// namedProfile is profile for commands that change what is stored: no default
// is good enough for them.
func (a *app) namedProfile(c *cli.Context) (string, error) {
	if len(a.line.words) == 0 && !c.IsSet("profile") {
		return "", usagef("%s needs a profile: broker %s PROFILE", c.Command.Name, c.Command.Name)
	}
	return a.profile(c, a.line.words)
}

func (a *app) remove(ctx context.Context, profile string, yes, asJSON bool) error {
	if !yes {
		ok, err := a.confirm(ctx, "Forget the key of "+profile+"? Its secret cannot be read back from AWS.")
		if err != nil {
			return err
		}
		if !ok {
			return errorf(ipc.CodeRefused, "remove %s: not confirmed", profile)
		}
	}
	var key ipc.Key
	err := a.unlocked(ctx, func() error {
		return a.call(ctx, ipc.OpRemove, ipc.RemoveParams{Profile: profile}, &key)
	})
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(key)
	}
	a.printf("removed %s of %s\n", key.AccessKeyID, profile)
	a.printf("next: delete the key in the IAM console if nothing else uses it\n")
	return nil
}
