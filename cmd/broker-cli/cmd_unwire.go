// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

func newUnwireCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "unwire",
		Usage:     "take back what wire changed in ~/.aws/config",
		UsageText: "broker unwire [PROFILE… | -p PROFILE | --all] [--diff] [--json]",
		Description: about(`Takes broker's line out of each profile and gives the keys that wire renamed
their names back, so that the file is what it was, with what you changed in it
since. Stored keys stay stored. Neither a daemon nor the index is needed.`, "broker unwire --all"),
		Flags:  wireFlags("unwire every profile that is wired"),
		Action: func(c *cli.Context) error { return a.wireAction(c, a.unwire) },
	}
}

// unwire takes profiles back from broker.
func (a *app) unwire(ctx context.Context, o wireOptions) error {
	e, err := a.newUnwireEdit(o.profiles)
	if err != nil {
		return err
	}
	return a.edited(ctx, e, o)
}
