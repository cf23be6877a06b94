// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

func newRemoveCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "forget the key of a profile",
		UsageText: "broker remove PROFILE [--yes] [--json]\nbroker remove --item ITEM [--yes] [--json]",
		Description: about(`Deletes the key from the store and drops its sessions. The key stays valid at
AWS: delete it there if nothing else uses it. With --item it deletes from the
store what broker doctor names there and no profile has.`, "broker remove dev"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			&cli.StringFlag{Name: "item", Usage: "delete `ITEM`, which no profile has"},
			switchFlag("yes", "do not ask"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.IsSet("item") {
				if c.IsSet("profile") || len(a.line.Words) > 0 {
					return client.Usagef("remove --item deletes what no profile has: leave the profile out")
				}
				return a.removeItem(c.Context, c.String("item"), c.Bool("yes"), c.Bool("json"))
			}
			profile, err := a.namedProfile(c)
			if err != nil {
				return err
			}
			params := ipc.RemoveParams{Profile: profile}
			question := "Forget the key of " + profile
			if others := a.livingOn(profile); len(others) > 0 {
				question += ", on which " + someOf(others) + " live too"
			}
			return a.remove(c.Context, params, question+"? Its secret cannot be read back from AWS.", c.Bool("yes"), c.Bool("json"))
		},
	}
}

// livingOn returns the other profiles that come to credentials by the key of a
// profile, as far as the AWS files and the index tell.
func (a *app) livingOn(profile string) []string {
	config, err := a.AWSConfig()
	if err != nil {
		return nil
	}
	keys, err := a.StoredKeys()
	if err != nil {
		return nil
	}
	return routedTo(config, client.Lookup(keys), profile)
}

func routedTo(config *awsconfig.Config, hasKey awsconfig.KeyLookup, owner string) (names []string) {
	for _, name := range config.Profiles() {
		if r, err := config.Route(name, hasKey); err == nil && name != owner && r.Owner().Profile == owner {
			names = append(names, name)
		}
	}
	return names
}

// namedProfile is profile for commands that change what is stored: no default
// is good enough for them.
func (a *app) namedProfile(c *cli.Context) (string, error) {
	if len(a.line.Words) == 0 && !c.IsSet("profile") {
		return "", client.Usagef("%s needs a profile: broker %s PROFILE", c.Command.Name, c.Command.Name)
	}
	return a.profile(c, a.line.Words)
}

// removeItem deletes an item that neither index nor journal names.
func (a *app) removeItem(ctx context.Context, item string, yes, asJSON bool) error {
	p, err := a.Places()
	if err != nil {
		return err
	}
	s, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return err
	}
	var found ipc.Strays
	err = a.Unlocked(ctx, func() (err error) {
		found, err = a.strays(ctx, s.Vault, nil, false)
		return err
	})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found.Items, func(s ipc.Stray) bool { return s.Item == item })
	if i < 0 {
		return client.Errorf(ipc.CodeNoKey, "the vault has no item %.80q that is not in use", item)
	}
	stray := found.Items[i]
	question := "Delete item " + item + ", which holds no key that can be read?"
	if stray.AccessKeyID != "" {
		question = fmt.Sprintf("Delete item %s with key %s of %s? Its secret cannot be read back from AWS.", item, stray.AccessKeyID, stray.Profile)
	}
	return a.remove(ctx, ipc.RemoveParams{Profile: stray.Profile, Item: item, AccessKeyID: stray.AccessKeyID}, question, yes, asJSON)
}

func (a *app) remove(ctx context.Context, params ipc.RemoveParams, question string, yes, asJSON bool) error {
	if !yes {
		ok, err := a.confirm(ctx, question)
		if err != nil {
			return err
		}
		if !ok {
			return client.Errorf(ipc.CodeRefused, "remove %s: not confirmed", client.OrText(params.Item, params.Profile))
		}
	}
	var others []string
	if params.Item == "" {
		others = a.livingOn(params.Profile)
	}
	var key ipc.Key
	err := a.Unlocked(ctx, func() error { return a.Call(ctx, ipc.OpRemove, params, &key) })
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		return a.printJSON(key)
	case params.Item != "":
		a.printf("removed item %s\n", params.Item)
	default:
		a.printf("removed %s of %s\n", key.AccessKeyID, params.Profile)
		if len(others) > 0 {
			a.printf("without a key now, too: %s\n", someOf(others))
		}
	}
	if key.AccessKeyID != "" {
		a.printf("next: delete the key in the IAM console if nothing else uses it\n")
	}
	return nil
}
