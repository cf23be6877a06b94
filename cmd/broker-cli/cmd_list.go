// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

func newListCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "list",
		Aliases:   []string{"ls"},
		Usage:     "list the stored keys, their age and last use",
		UsageText: "broker list [--due] [--json]",
		Description: about(`One line a key. Access key IDs are no secret; secrets are never shown.

Age and last use are IAM's, asked once a day with a session that is there anyway.
A plus sign says that IAM did not tell: then the age counts from broker add. A
key is due at [rotation] max_age (90d), and to be deleted when nobody has used
it for unused_after (60d).`, "broker list --due"),
		Flags: []cli.Flag{
			switchFlag("due", "only the keys about which something is to be done"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			return a.list(c.Context, c.Bool("due"), c.Bool("json"))
		},
	}
}

func (a *app) list(ctx context.Context, due, asJSON bool) error {
	var list ipc.KeyList
	if err := a.Call(ctx, ipc.OpList, nil, &list); err != nil {
		return err
	}
	stored := len(list.Keys)
	if due {
		list.Keys = dueKeys(list.Keys)
	}
	switch {
	case asJSON:
		return a.printJSON(list)
	case stored == 0:
		a.printf("no key is stored\nnext: %s\n", a.firstKey())
		return nil
	case len(list.Keys) == 0:
		a.printf("no key is due\n")
		return nil
	}
	a.printKeys(list.Keys)
	a.printRevokedKeys(list.Keys)
	a.printNext(list.Keys)
	return nil
}

// printKeys writes a table of keys. It fits a terminal: what the account is called
// in every ARN stands in a column of its own.
func (a *app) printKeys(keys []ipc.Key) {
	now := a.Now()
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PROFILE\tACCESS KEY ID\tACCOUNT\tUSER\tMFA\tAGE\tLAST USED\tDUE")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", client.Printable(k.Profile), client.Printable(k.AccessKeyID), client.Printable(orDash(k.AccountID)),
			client.Printable(userName(k)), client.Printable(mfaOf(k)), ageText(k, now), client.Printable(usedText(k, now)), levelText(k, now))
	}
	_ = w.Flush() // a broken standard output shows in nothing else either
	for _, note := range factNotes(keys) {
		a.printf("%s\n", note)
	}
}

// printNext names the command that does something about the keys that are due.
func (a *app) printNext(keys []ipc.Key) {
	due := dueKeys(keys)
	if len(due) == 0 {
		return
	}
	_, next := dueText(due[0], a.Now())
	if len(due) > 1 {
		next = "broker rotate --due"
	}
	a.printf("next: %s\n", next)
}

// userName is the IAM user of a key, with its path.
func userName(k ipc.Key) string {
	return orDash(strings.TrimPrefix(inAccount(k, k.ARN), "user/"))
}

// mfaOf says how sessions of a key are made.
func mfaOf(k ipc.Key) string {
	if k.NoMFA {
		return "none (--no-mfa)"
	}
	return orDash(inAccount(k, k.SerialNumber))
}

// inAccount is what an ARN of IAM names in the account of the key: user/ann,
// mfa/ann. Anything else, such as the number of a hardware token, stays as it is.
func inAccount(k ipc.Key, arn string) string {
	if _, name, ok := strings.Cut(arn, ":iam::"+k.AccountID+":"); ok {
		return name
	}
	return arn
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
