// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
)

// newConfigCommand reads the AWS config as broker does. It asks no daemon.
func newConfigCommand(a *app) *cli.Command {
	profile := []cli.Flag{profileFlag(), jsonFlag()}
	return &cli.Command{
		Name:            "config",
		HideHelpCommand: true,
		Usage:           "show the AWS config as broker reads it",
		UsageText:       "broker config {list | show | chain} [FLAGS] [PROFILE]",
		Description:     about("Reads the caller's AWS files; starts no daemon and prints no secret.", "broker config chain dev --json"),
		Subcommands: []*cli.Command{
			{
				Name:        "list",
				Usage:       "list the profiles",
				UsageText:   "broker config list [--json]",
				Description: about("Every profile of both AWS files.", "broker config list"),
				Flags:       []cli.Flag{jsonFlag()},
				Action:      func(c *cli.Context) error { return a.configList(c) },
			},
			{
				Name:        "show",
				Usage:       "show the properties of a profile",
				UsageText:   "broker config show [PROFILE] [--resolved] [--json]",
				Description: about("The merged properties of both files, without secrets.", "broker config show dev --resolved"),
				Flags:       append(slices.Clone(profile), switchFlag("resolved", "fill in what include_profile and sso-session add")),
				Action:      func(c *cli.Context) error { return a.configShow(c) },
			},
			{
				Name:        "chain",
				Usage:       "show how a profile comes to credentials",
				UsageText:   "broker config chain [PROFILE] [--json]",
				Description: about("The steps from the first credentials to the profile's own, the root first.", "broker config chain dev"),
				Flags:       profile,
				Action:      func(c *cli.Context) error { return a.configChain(c) },
			},
		},
	}
}

func (a *app) configList(c *cli.Context) error {
	if err := a.noWords(c); err != nil {
		return err
	}
	config, err := a.AWSConfig()
	if err != nil {
		return err
	}
	names := config.Profiles()
	if c.Bool("json") {
		return a.printJSON(names)
	}
	for _, name := range names {
		a.printf("%s\n", name)
	}
	return nil
}

func (a *app) configShow(c *cli.Context) error {
	profile, err := a.profile(c, a.line.Words)
	if err != nil {
		return err
	}
	config, err := a.AWSConfig()
	if err != nil {
		return err
	}
	document, err := config.Show(profile, c.Bool("resolved"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(document)
	}
	a.printf("[profile %s]\n", document.Profile)
	a.printProperties(document.Properties)
	if document.SSOSession != nil {
		a.printf("\n[sso-session %s]\n", document.Properties["sso_session"])
		a.printProperties(document.SSOSession)
	}
	return nil
}

func (a *app) printProperties(properties map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		a.printf("%s = %s\n", key, properties[key])
	}
}

func (a *app) configChain(c *cli.Context) error {
	profile, err := a.profile(c, a.line.Words)
	if err != nil {
		return err
	}
	config, err := a.AWSConfig()
	if err != nil {
		return err
	}
	keys, err := a.StoredKeys()
	if err != nil {
		return err
	}
	chain, err := config.Chain(profile, client.Lookup(keys))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(chain)
	}
	for i, step := range chain.Steps {
		a.printf("%d. %s\n", i+1, stepText(step))
	}
	return nil
}

// stepText is one step of a chain for people.
func stepText(s awsconfig.Step) string {
	text := s.Type
	for _, detail := range []string{
		s.Name, s.AccessKeyID, s.AccountID, s.RoleARN, s.WebIdentityTokenFile,
		s.SSOSession, s.SSOStartURL, s.SSOAccountID, s.SSORoleName,
	} {
		if detail != "" {
			text += " " + detail
		}
	}
	return strings.TrimSpace(text)
}
