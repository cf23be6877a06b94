// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"credbroker/internal/ipc"
)

func newListCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:        "list",
		Aliases:     []string{"ls"},
		Usage:       "list the stored keys",
		UsageText:   "broker list [--json]",
		Description: about("One line a key. Access key IDs are no secret; secrets are never shown.", "broker list"),
		Flags:       []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			return a.list(c.Context, c.Bool("json"))
		},
	}
}

func (a *app) list(ctx context.Context, asJSON bool) error {
	var list ipc.KeyList
	if err := a.call(ctx, ipc.OpList, nil, &list); err != nil {
		return err
	}
	switch {
	case asJSON:
		return a.printJSON(list)
	case len(list.Keys) == 0:
		a.printf("no key is stored\nnext: %s\n", a.firstKey())
		return nil
	}
	a.printKeys(list.Keys)
	return nil
}

// printKeys writes a table of keys.
func (a *app) printKeys(keys []ipc.Key) {
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PROFILE\tACCESS KEY ID\tUSER\tMFA\tADDED")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(k.Profile), printable(k.AccessKeyID),
			printable(orDash(k.ARN)), printable(mfaOf(k)), k.AddedAt.Local().Format("2006-01-02"))
	}
	_ = w.Flush() // a broken standard output shows in nothing else either
}

// mfaOf says how sessions of a key are made.
func mfaOf(k ipc.Key) string {
	switch {
	case k.NoMFA:
		return "none (--no-mfa)"
	default:
		return orDash(k.SerialNumber)
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
