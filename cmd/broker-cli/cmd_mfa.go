// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// mfaOptions is the command line of broker mfa.
type mfaOptions struct {
	code    string // empty: ask
	profile string // empty: whatever is pending
	cancel  bool
	json    bool
}

func newMFACommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "mfa",
		Usage:     "answer the MFA prompt that is pending",
		UsageText: "broker mfa [CODE] [-p PROFILE] [--cancel] [--json]",
		Description: about(`Answers from any terminal what some program is waiting for. With -p it asks for
a code of that profile even if nothing waits. An empty line cancels.`, "broker mfa 123456"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "profile", Aliases: []string{"p"}, Usage: "only, or ahead of need, for `PROFILE`"},
			switchFlag("cancel", "give up what is pending"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			opts := mfaOptions{profile: c.String("profile"), cancel: c.Bool("cancel"), json: c.Bool("json")}
			if c.IsSet("profile") && opts.profile == "" {
				return client.Usagef("the profile is empty") // not whatever is pending
			}
			if err := opts.words(a.line.Words); err != nil {
				return err
			}
			return a.mfa(c.Context, opts)
		},
	}
}

// words reads the arguments: at most one code.
func (o *mfaOptions) words(words []string) error {
	if o.profile != "" {
		if err := awsconfig.ValidProfileName(o.profile); err != nil {
			return err
		}
	}
	switch {
	case len(words) > 1:
		return client.Usagef("mfa takes one code")
	case len(words) == 0:
		return nil
	case o.cancel:
		return client.Usagef("mfa takes a code or --cancel, not both")
	case !client.ValidCode(words[0]):
		return client.Usagef("an MFA code has six digits")
	}
	o.code = words[0]
	return nil
}

func (a *app) mfa(ctx context.Context, opts mfaOptions) error {
	req := ipc.Request{Op: ipc.OpMFA}
	var surface ipc.Surface
	if opts.code == "" && !opts.cancel {
		if t, ok := client.OpenTerminal(); ok {
			surface, req.Ask = t, ipc.AskTerminal
		}
	}
	params := ipc.MFAParams{Code: opts.code, Profile: opts.profile, Cancel: opts.cancel}
	var raw json.RawMessage
	err := a.Unlocked(ctx, func() (err error) {
		raw, err = a.Converse(ctx, req, params, surface)
		return err
	})
	if err != nil {
		return err
	}
	var result ipc.MFAResult
	if err := json.Unmarshal(raw, &result); err != nil {
		return client.Errorf(ipc.CodeProtocol, "the daemon's answer to mfa cannot be read")
	}
	if opts.json {
		return a.printJSON(result)
	}
	a.printMFA(result, opts.profile)
	return nil
}

func (a *app) printMFA(result ipc.MFAResult, profile string) {
	for _, p := range result.Cancelled {
		a.printf("cancelled %s for %s\n", p.SerialNumber, strings.Join(p.Profiles, ", "))
	}
	for _, p := range result.Answered {
		a.printf("AWS accepted the code of %s for %s\n", p.SerialNumber, strings.Join(p.Profiles, ", "))
	}
	for _, p := range slices.Concat(result.Answered, result.Cancelled) {
		if profile == "" && len(p.Profiles) > 0 {
			profile = p.Profiles[0]
		}
	}
	switch {
	case len(result.Answered) > 0:
		a.printf("next: broker exec %s -- COMMAND\n", profile)
	case len(result.Cancelled) > 0:
		a.printf("next: when you are ready: broker mfa -p %s\n", client.OrText(profile, "PROFILE"))
	default:
		a.printf("nothing to do: the session is good\nnext: broker status\n")
	}
}
