// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
)

func newExecCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      client.ExecName,
		Usage:     "run a command with a profile's credentials",
		UsageText: "broker exec [PROFILE | -p PROFILE] [--mode MODE] [-d DUR] [--] [COMMAND [ARGUMENTS]]",
		Description: aboutExit(`The command finds its credentials through AWS_PROFILE and asks broker again
when they run out; no credential is put into its environment. What follows --
is handed over untouched; without it the first word is the profile if it names
one or stands alone. Without a command it is your shell. --mode env is for
programs that know the environment only: it has the credentials, until they end.`,
			"broker exec dev -- terraform plan", client.ExecStatusSummary),
		Flags: []cli.Flag{
			profileFlag(),
			&cli.StringFlag{Name: "mode", Value: client.ModeProfile, Usage: "the `MODE` of handing credentials over: profile, env"},
			durationFlag(),
		},
		Action: func(c *cli.Context) error { return a.RunExec(c.Context, a.line) },
	}
}
