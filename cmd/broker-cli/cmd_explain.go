// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

func newExplainCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say how a profile comes to credentials",
		UsageText: "broker explain [PROFILE | -p PROFILE] [--json]",
		Description: about(`The plan that the daemon would follow now: the key, each call to AWS, who will
be asked for a code and when, what is there already, what the credentials cannot
do, and where each setting stands. And what SDKs make of the profile in your own
AWS files, if they do not ask broker for it or do not read it alike. No call is
made and nobody is asked.`, "broker explain ops"),
		Flags: []cli.Flag{profileFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			profile, err := a.profile(c, a.line.Words)
			if err != nil {
				return err
			}
			return a.explain(c.Context, profile, c.Bool("json"))
		},
	}
}

func (a *app) explain(ctx context.Context, profile string, asJSON bool) error {
	plan, err := a.Explanation(ctx, profile)
	if err != nil {
		return err
	}
	x := explained{plan, a.readBySDKs(plan.Profile)}
	if asJSON {
		return a.printJSON(x)
	}
	a.printExplanation(x, a.Now())
	return nil
}
