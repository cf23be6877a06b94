// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

func newStatusCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show keys, sessions, what is due and what waits for a code",
		UsageText: "broker status [--short | --check] [--json]",
		Description: about(`What the daemon holds and waits for. Shows access key IDs, never secrets.

--short is for a shell prompt: one line about keys that are due, nothing when
all is well. It starts no daemon. --check is for CI and for programs that look
after this machine: it ends with 9 when a key is due.`,
			"broker status --json"),
		Flags: []cli.Flag{
			switchFlag("short", "one line if a key is due, and not snoozed; starts no daemon"),
			switchFlag("check", "fail if a key is due"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			switch {
			case c.Bool("short") && c.Bool("check"):
				return client.Usagef("status takes one of --short and --check")
			case c.Bool("short"):
				return a.statusShort(c.Context, c.Bool("json"))
			case c.Bool("check"):
				return a.statusCheck(c.Context, c.Bool("json"))
			}
			return a.status(c.Context, c.Bool("json"))
		},
	}
}

func (a *app) status(ctx context.Context, asJSON bool) error {
	var s ipc.Status
	if err := a.Call(ctx, ipc.OpStatus, nil, &s); err != nil {
		return err
	}
	s.Problems = addOutdated(s)
	if asJSON {
		return a.printJSON(s)
	}
	a.printStatus(s, a.Now())
	return nil
}

// addOutdated names a daemon of another release than this one, unless the
// daemon has noticed that itself. It is not ended for that: its sessions would
// cost their user a new code.
func addOutdated(s ipc.Status) []ipc.Error {
	if s.Version == version || slices.ContainsFunc(s.Problems, func(p ipc.Error) bool { return p.Code == ipc.CodeOutdated }) {
		return s.Problems
	}
	return append(s.Problems, ipc.Error{
		Code:    ipc.CodeOutdated,
		Message: fmt.Sprintf("the daemon that runs is brokerd %s, and this is broker %s", s.Version, version),
		Hint:    fmt.Sprintf("end it when a new MFA code is no trouble, the next command starts the new one: kill %d", s.PID),
	})
}

// printStatus writes the status for people. What needs doing comes last, where
// the eye is when the command ends.
func (a *app) printStatus(s ipc.Status, now time.Time) {
	a.printf("brokerd %s, pid %d, up %s\n", s.Version, s.PID, span(now.Sub(s.StartedAt)))
	a.printf("store: %s%s\nAWS config: %s\n", orDash(s.Backend), vaultText(s.Vault, now), s.AWSConfigFile)
	if len(s.Keys) > 0 {
		a.printf("\n")
		a.printKeys(s.Keys)
		a.printRevokedKeys(s.Keys)
	}
	if len(s.Sessions) > 0 {
		a.printf("\n")
	}
	for _, session := range s.Sessions {
		what := session.RoleARN
		if what == "" {
			what = "session of " + cmp.Or(session.MadeWith, session.SourceKeyID)
		}
		a.printf("%s  %s, %s left\n", session.AccessKeyID, what, span(session.Expiration.Sub(now)))
	}
	a.printRotations(s.Rotations)
	for _, p := range s.Problems {
		a.printf("\nproblem: %s\n", p.Message)
		if _, hint := client.FailureText(p); hint != "" {
			a.printf("next: %s\n", hint)
		}
	}
	for _, n := range s.Notes {
		a.printf("\nnote: %s\n", n.Message)
		if _, hint := client.FailureText(n); hint != "" {
			a.printf("next: %s\n", hint)
		}
	}
	for _, o := range s.Outages {
		a.printf("\noutage: %s\n", outageText(o))
		a.printf("what is cached goes on being served; %s since %s ago", count(o.Failures, "failure"), span(now.Sub(o.Since)))
		if o.RetryAt != nil {
			a.printf(", programs try again in %s", span(o.RetryAt.Sub(now)))
		}
		a.printf("\n")
		if _, hint := client.FailureText(ipc.Error{Code: o.Code}); hint != "" {
			a.printf("next: %s\n", hint)
		}
	}
	for _, p := range s.Pending {
		a.printf("\nwaiting for a code of %s: %s (%d waiting, %s left)\n",
			p.SerialNumber, strings.Join(p.Profiles, ", "), p.Waiters, span(p.Deadline.Sub(now)))
	}
	for _, k := range dueKeys(s.Keys) {
		text, _ := dueText(k, now)
		a.printf("\ndue: %s\n", text)
	}
	switch {
	case s.Vault != nil && s.Vault.Locked:
		a.printf("next: broker unlock\n")
	case len(s.Pending) > 0:
		a.printf("next: broker mfa\n")
	case s.Backend == "" && len(s.Problems) == 0:
		a.printf("next: broker init\n")
	case len(s.Keys) == 0 && len(s.Problems) == 0:
		a.printf("next: %s\n", a.firstKey())
	default:
		a.printNext(s.Keys)
	}
}

// span is a duration to the minute, or to the second under one.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
