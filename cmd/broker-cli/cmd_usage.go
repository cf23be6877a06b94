// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

func newUsageCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "usage",
		Usage:     "show what a key was used for",
		UsageText: "broker usage PROFILE [--using PROFILE] [--json]",
		Description: about(`Asks IAM for the last use of both keys of the user and for the services that the
user has used, and CloudTrail for what was done with this key in the last 90
days: in the Region of IAM, in that of the profile, and where key and user were
seen. What a policy does not allow is named, and the rest is shown. Changes
nothing; may ask for an MFA code. --using asks with the key of somebody else of
the account: a key that was revoked cannot ask itself.

docs/usage.md says what each part tells, and what it cannot.`, "broker usage dev"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			&cli.StringFlag{Name: "using", Usage: "ask with the key of this `PROFILE`, whose user may look at the other"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			profile, err := a.namedProfile(c)
			if err != nil {
				return err
			}
			return a.usage(c.Context, ipc.UsageParams{Profile: profile, Using: c.String("using")}, c.Bool("json"))
		},
	}
}

func (a *app) usage(ctx context.Context, params ipc.UsageParams, asJSON bool) error {
	var u ipc.Usage
	raw, err := a.ask(ctx, ipc.OpUsage, params, cmp.Or(params.Using, params.Profile))
	if err != nil {
		return err
	}
	if json.Unmarshal(raw, &u) != nil {
		return client.Errorf(ipc.CodeProtocol, "the daemon's answer to usage cannot be read")
	}
	if asJSON {
		return a.printJSON(u)
	}
	a.printUsage(u)
	return nil
}

// ask has the daemon do what may need a code, which is asked for in the terminal
// if there is one.
func (a *app) ask(ctx context.Context, op string, params any, profile string) (raw json.RawMessage, err error) {
	req := ipc.Request{Op: op}
	var surface ipc.Surface = client.Bystander{W: a.Stderr}
	if t, ok := client.OpenTerminal(); ok {
		defer func() { _ = t.TTY.Close() }() // what was written is on the screen
		p := t.Patient(profile)
		defer p.Stop()
		req.Ask, surface = ipc.AskTerminal, p
	}
	err = a.Unlocked(ctx, func() (err error) {
		raw, err = a.Converse(ctx, req, params, surface)
		return err
	})
	return raw, err
}

// printUsage shows the parts one after the other, and what is missing last.
func (a *app) printUsage(u ipc.Usage) {
	if len(u.Keys) > 0 {
		a.printf("keys of IAM user %s:\n", u.UserName)
	}
	for _, k := range u.Keys {
		a.printf("  %s\n", keyStateText(k, u.AccessKeyID))
	}
	a.printServices(u)
	a.printEvents(u)
	for _, g := range u.Gaps {
		a.printf("%s\n", gapText(g))
	}
	a.printf("next: %s\n", afterUsage(u))
}

// afterUsage is the command for who has seen what a key is used for.
func afterUsage(u ipc.Usage) string {
	switch {
	case u.Revoked:
		return "broker add " + u.Profile + " --replace"
	case u.Rotating: // it may be a day until it ends
		return "broker status"
	}
	return "broker rotate " + u.Profile
}

func (a *app) printServices(u ipc.Usage) {
	if len(u.Services) == 0 {
		if !u.Lacks(ipc.PartServices) {
			a.printf("services used by %s: none\n", u.UserName)
		}
		return
	}
	a.printf("services used by %s, by any key or session:\n", u.UserName)
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	for _, s := range u.Services {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.LastUsed.UTC().Format(time.DateOnly), client.Printable(s.ServiceName), client.Printable(s.Region))
	}
	_ = w.Flush() // a broken standard output shows in nothing else either
}

// maxEvents is how many lines of events are printed for people.
const maxEvents = 40

func (a *app) printEvents(u ipc.Usage) {
	if len(u.Regions) == 0 {
		return
	}
	where := strings.Join(u.Regions, ", ")
	if len(u.Events) == 0 {
		a.printf("CloudTrail has no event of key %s since %s in %s\n", u.AccessKeyID, u.EventsSince.UTC().Format(time.DateOnly), where)
		return
	}
	a.printf("events of key %s in CloudTrail since %s, in %s:\n", u.AccessKeyID, u.EventsSince.UTC().Format(time.DateOnly), where)
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "  LAST (UTC)\tTIMES\tEVENT\tREGION\tFROM\tWITH")
	for _, e := range u.Events[:min(len(u.Events), maxEvents)] {
		times := fmt.Sprint(e.Count)
		if e.Refused > 0 {
			times += fmt.Sprintf(" (%d refused)", e.Refused)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", e.Last.UTC().Format("2006-01-02 15:04"), times,
			client.Printable(strings.TrimSuffix(e.EventSource, ".amazonaws.com")+":"+e.EventName), client.Printable(e.Region),
			client.Printable(orDash(e.SourceIP)), client.Printable(client.Shorten(orDash(e.UserAgent), 60)))
	}
	_ = w.Flush() // as above
	if n := len(u.Events) - maxEvents; n > 0 {
		a.printf("  %d more of these: broker usage %s --json\n", n, u.Profile)
	}
	if len(u.Cut) > 0 {
		a.printf("  there are older events than these in %s, which were not read\n", strings.Join(u.Cut, ", "))
	}
}

// gapText says what is missing, and why.
func gapText(g ipc.UsageGap) string {
	where := ""
	if g.Region != "" {
		where = " in " + g.Region
	}
	if g.Permission != "" {
		return "not allowed: " + g.Permission + where
	}
	return "not known: " + map[string]string{
		ipc.PartKeys: "the keys", ipc.PartLastUsed: "the last use", ipc.PartServices: "the services used", ipc.PartEvents: "the events",
	}[g.Part] + where + ": " + g.Error.Message
}
