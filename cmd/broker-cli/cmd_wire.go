// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
)

// wireOptions is the command line of broker wire and broker unwire.
type wireOptions struct {
	profiles []string // as the user named them; nil is every one
	diff     bool
	json     bool
}

func newWireCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "wire",
		Usage:     "send profiles to broker, in ~/.aws/config",
		UsageText: "broker wire [PROFILE… | -p PROFILE | --all] [--diff] [--json]",
		Description: about(`Gives each profile one credential_process line, and puts "broker_" before the
keys that would be a second source of credentials (role_arn, source_profile,
mfa_serial…), where broker goes on reading them. Nothing else in the file
changes; broker unwire takes it back byte for byte. Profiles that are named are
wired all or not at all; --all wires every one that broker serves and that can
be, and ends with 1 if one could not. No daemon is needed.`, "broker wire --all --diff"),
		Flags:  wireFlags("wire every profile that broker serves"),
		Action: func(c *cli.Context) error { return a.wireAction(c, a.wire) },
	}
}

// wireFlags are those of wire and unwire.
func wireFlags(all string) []cli.Flag {
	return []cli.Flag{
		profileFlag(),
		switchFlag("all", all),
		switchFlag("diff", "print the change, and make none"),
		jsonFlag(),
	}
}

// wireAction reads the command line of wire and unwire.
func (a *app) wireAction(c *cli.Context, do func(context.Context, wireOptions) error) error {
	o := wireOptions{diff: c.Bool("diff"), json: c.Bool("json")}
	if !c.Bool("all") {
		var err error
		if o.profiles, err = a.profiles(c, a.line.Words); err != nil {
			return err
		}
	} else if len(a.line.Words) > 0 || c.IsSet("profile") {
		return client.Usagef("%s takes profiles or --all, not both", c.Command.Name)
	}
	return do(c.Context, o)
}

// profiles returns the profiles that a command for several is about: the
// arguments, else what profile says.
func (a *app) profiles(c *cli.Context, words []string) ([]string, error) {
	if len(words) < 2 {
		name, err := a.profile(c, words)
		return []string{name}, err
	}
	if c.IsSet("profile") && !slices.Contains(words, c.String("profile")) {
		return nil, client.Usagef("%s is given profiles twice, %s and %s", c.Command.Name, strings.Join(words, " "), c.String("profile"))
	}
	var names []string
	for _, word := range words {
		if err := awsconfig.ValidProfileName(word); err != nil {
			return nil, client.WithHint(client.Usagef("%q: %v", word, err), "rename the profile in the AWS files, and in what uses it")
		}
		if !slices.Contains(names, word) {
			names = append(names, word)
		}
	}
	return names, nil
}

// wire sends profiles to broker.
func (a *app) wire(ctx context.Context, o wireOptions) error {
	e, err := a.newWireEdit(o.profiles, nil)
	if err != nil {
		return err
	}
	return a.edited(ctx, e, o)
}
