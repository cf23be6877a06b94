// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// revokeOptions is the command line of broker revoke.
type revokeOptions struct {
	params ipc.RevokeParams
	yes    bool
	json   bool
}

func newRevokeCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "revoke",
		Usage:     "take a key out of use at once, here and at AWS",
		UsageText: "broker revoke PROFILE | --all [--deny-sessions | --undo] [--using PROFILE] [--yes] [--json]",
		Description: about(`For a key that has leaked, or may have. From now on nothing is made of it, its
sessions are dropped, and IAM makes it Inactive; a key that is being rotated goes
with its other half, and one that is just being made is deleted. Sessions that
were handed out work on at AWS: they are listed. --deny-sessions has IAM deny
everything to those that the user has by now; roles that were assumed go on
until they end.

--undo takes it back, as far as it was done. --using signs with the key of
somebody else who may change the user. It is safe to run again: what is done
stays done, and what is not is tried.

docs/when-a-key-leaks.md tells what to do next.`, "broker revoke dev --deny-sessions"),
		Flags: append([]cli.Flag{
			namedProfileFlag(),
			switchFlag("all", "every stored key; as: broker panic"),
		}, revokeFlags()...),
		Action: func(c *cli.Context) error {
			o := revokeOptionsOf(c)
			o.params.All, o.params.Using = c.Bool("all"), c.String("using")
			if o.params.All {
				if len(a.line.Words) > 0 || c.IsSet("profile") {
					return client.Usagef("revoke takes a profile, or --all")
				}
			} else {
				var err error
				if o.params.Profile, err = a.namedProfile(c); err != nil {
					return err
				}
			}
			return a.revoke(c.Context, o)
		},
	}
}

// newPanicCommand is revoke --all under a name that is remembered.
func newPanicCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "panic",
		Usage:     "take every stored key out of use at once",
		UsageText: "broker panic [--deny-sessions | --undo] [--yes] [--json]",
		Description: about(`What broker revoke does, for every stored key: each says what became of it, and
one that fails stops no other. One code per MFA device is asked for at most.`, "broker panic --deny-sessions"),
		Flags: slices.DeleteFunc(revokeFlags(), func(f cli.Flag) bool { return f.Names()[0] == "using" }),
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			o := revokeOptionsOf(c)
			o.params.All = true
			return a.revoke(c.Context, o)
		},
	}
}

func revokeFlags() []cli.Flag {
	return []cli.Flag{
		switchFlag("deny-sessions", "have IAM deny everything to the sessions that the user has by now"),
		switchFlag("undo", "take it back: allow the sessions, and make the key active"),
		&cli.StringFlag{Name: "using", Usage: "sign with the key of this `PROFILE`, whose user may change the other"},
		switchFlag("yes", "do not ask"),
		jsonFlag(),
	}
}

func revokeOptionsOf(c *cli.Context) revokeOptions {
	return revokeOptions{
		yes: c.Bool("yes"), json: c.Bool("json"),
		params: ipc.RevokeParams{DenySessions: c.Bool("deny-sessions"), Undo: c.Bool("undo")},
	}
}

func (a *app) revoke(ctx context.Context, o revokeOptions) error {
	if o.params.Undo && o.params.DenySessions {
		return client.Usagef("revoke takes --deny-sessions or --undo, not both")
	}
	if o.params.Using != "" && (o.params.All || o.params.Using == o.params.Profile) {
		return client.Usagef("--using names the profile of somebody else, for one key")
	}
	if err := a.mayRevoke(ctx, o); err != nil {
		return err
	}
	var out ipc.Revoked
	err := a.Unlocked(ctx, func() error {
		var err error
		if out, err = a.askToRevoke(ctx, o.params); err != nil {
			return err
		}
		return worstOf(out)
	})
	if err != nil && len(out.Keys) == 0 {
		return err
	}
	switch {
	case o.json:
		if jerr := a.printJSON(out); jerr != nil {
			return jerr
		}
	case err != nil: // standard output is of what went well
		a.writeRevoked(a.Stderr, "broker: ", out, o.params, err)
	default:
		a.writeRevoked(a.Stdout, "", out, o.params, nil)
	}
	return forAll(err, out, o.params)
}

// mayRevoke asks before everything is taken out of use.
func (a *app) mayRevoke(ctx context.Context, o revokeOptions) error {
	if !o.params.All || o.params.Undo || o.yes {
		return nil
	}
	ok, err := a.confirm(ctx, "Take every stored key out of use, here and at AWS? What uses them stops.")
	if err == nil && !ok {
		err = client.Errorf(ipc.CodeRefused, "take every key out of use: not confirmed")
	}
	return err
}

func (a *app) askToRevoke(ctx context.Context, p ipc.RevokeParams) (ipc.Revoked, error) {
	req := ipc.Request{Op: ipc.OpRevoke}
	var surface ipc.Surface = client.Bystander{W: a.Stderr}
	if t, ok := client.OpenTerminal(); ok {
		defer func() { _ = t.TTY.Close() }() // what was written is on the screen
		surface, req.Ask = t, ipc.AskTerminal
	}
	raw, err := a.Converse(ctx, req, p, surface)
	if err != nil {
		return ipc.Revoked{}, err
	}
	var out ipc.Revoked
	if json.Unmarshal(raw, &out) != nil {
		return out, client.Errorf(ipc.CodeProtocol, "the daemon's answer to revoke cannot be read")
	}
	return out, nil
}

// worstOf returns the problem with the highest exit status, or nil.
func worstOf(r ipc.Revoked) error {
	var worst *ipc.Error
	for _, e := range problemsOf(r) {
		_, status := client.Failure(e)
		if worst == nil {
			worst = e
		} else if _, most := client.Failure(worst); status > most {
			worst = e
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// forAll returns the problem that is reported, with what to do about all of them
// where broker panic has failed for several keys: its own hint is about one.
func forAll(worst error, r ipc.Revoked, p ipc.RevokeParams) error {
	failed, denied := 0, false
	for _, k := range r.Keys {
		if k.Problem != nil || k.DenyProblem != nil {
			failed++
		}
	}
	for _, e := range problemsOf(r) {
		denied = denied || client.HasCode(e, ipc.CodeAWSDenied, ipc.CodeAWSExplicitDeny, ipc.CodeAWSQuarantined, ipc.CodeKeyInactive)
	}
	var e *ipc.Error
	if !p.All || failed < 2 || !errors.As(worst, &e) || e.Code == ipc.CodeKeychainLocked { // which has one that is for all
		return worst
	}
	flags := ""
	if p.DenySessions {
		flags = " --deny-sessions"
	} else if p.Undo {
		flags = " --undo"
	}
	all := *e
	all.Hint = "try again, which does what is not done yet: broker panic" + flags
	if denied {
		all.Hint += "; or one by one, as somebody who may: broker revoke PROFILE" + flags + " --using PROFILE"
	}
	return &all
}

func problemsOf(r ipc.Revoked) (all []*ipc.Error) {
	for _, k := range r.Keys {
		for _, e := range []*ipc.Error{k.Problem, k.DenyProblem} {
			if e != nil {
				all = append(all, e)
			}
		}
	}
	if r.Problem != nil {
		all = append(all, r.Problem)
	}
	return all
}

// writeRevoked says of each key what became of it, and what comes next. worst
// is reported after this, and not said twice.
func (a *app) writeRevoked(w io.Writer, prefix string, r ipc.Revoked, p ipc.RevokeParams, worst error) {
	say := func(format string, args ...any) {
		fmt.Fprintf(w, prefix+"%s\n", client.Printable(fmt.Sprintf(format, args...)))
	}
	if r.TakenBack {
		for _, k := range r.Keys {
			say("%s of %s: it was just being made, and is deleted", k.AccessKeyID, strings.Join(k.Profiles, ", "))
		}
		say("taken back: no key is made for profile %s", p.Profile)
		say("next: broker list")
		return
	}
	for _, k := range r.Keys {
		say("%s", revokedText(k, p.Undo))
		for _, s := range k.Sessions {
			say("  %s", aliveText(s, k, a.Now()))
		}
		if len(k.Quarantine) > 0 {
			say("  AWS has found a key of this user in public: it attached %s", strings.Join(k.Quarantine, " and "))
		}
	}
	for _, e := range problemsOf(r) {
		if error(e) != worst { //nolint:errorlint // this very one, not one like it
			say("not done: %s", e.Message)
		}
	}
	if len(r.Keys) == 0 {
		say("no key is stored: there is nothing to revoke")
	}
	if len(r.Keys) == 0 {
		return
	}
	if p.Undo {
		if worst == nil {
			say("next: %s", afterUndo(p))
		}
		return
	}
	say("dropped here: %s", count(r.Sessions, "session"))
	say("listed are sessions made since %s; whoever else had a key may have made others, which live for up to 36h", r.Since.Local().Format("2006-01-02 15:04"))
	if worst == nil {
		a.nextAfterRevoke(say, r.Keys, p)
	}
}

// afterUndo is the command that shows whether a key that is back works.
func afterUndo(p ipc.RevokeParams) string {
	if p.All {
		return "broker list"
	}
	return "broker exec " + p.Profile + " -- aws sts get-caller-identity"
}

// nextAfterRevoke offers the deny, a new key, and the way back.
func (a *app) nextAfterRevoke(say func(string, ...any), keys []ipc.RevokedKey, p ipc.RevokeParams) {
	which := p.Profile
	if p.All {
		which = "--all"
	}
	for _, k := range keys {
		if k.DeniedBefore == nil {
			say("to end the sessions of the user too: broker revoke %s --deny-sessions", which)
			break
		}
	}
	profile := p.Profile
	if p.All {
		profile = "PROFILE"
	}
	say("next: make another key in the IAM console, then: broker add %s --replace; to take this back: broker revoke %s --undo", profile, which)
	if !p.All {
		say("or without a file: broker remove %s, then, by a profile that may make keys: broker add %s --create --using PROFILE%s", profile, profile, userOf(keys, profile))
	}
}

// userOf is the flag that says for which IAM user a key is made, if that is known.
func userOf(keys []ipc.RevokedKey, profile string) string {
	for _, k := range keys {
		if k.UserName != "" && slices.Contains(k.Profiles, profile) {
			return " --user " + k.UserName
		}
	}
	return ""
}

// revokedText is one line on a key.
func revokedText(k ipc.RevokedKey, undo bool) string {
	name := fmt.Sprintf("%s of %s", k.AccessKeyID, strings.Join(k.Profiles, ", "))
	switch {
	case k.RevokedAt == nil:
		return name + ": not revoked any more"
	case undo:
		return name + ": revoked since " + k.RevokedAt.Local().Format("2006-01-02 15:04")
	case !k.Inactive:
		return name + ": nothing is made of it here; NOT known to be Inactive at AWS"
	case k.DeniedBefore != nil:
		return name + ": Inactive at AWS, and its user's sessions are denied everything, within minutes"
	}
	return name + ": Inactive at AWS"
}

// aliveText is one line on a session that has not ended.
func aliveText(s ipc.Session, k ipc.RevokedKey, now time.Time) string {
	name := s.AccessKeyID
	if s.MadeWith != "" { // CloudTrail has it under that key
		name += ", made with " + s.MadeWith + ","
	}
	until := fmt.Sprintf("until %s (%s)", s.Expiration.Local().Format("2006-01-02 15:04"), span(s.Expiration.Sub(now)))
	switch {
	case s.RoleARN != "":
		return fmt.Sprintf("%s works on %s: role %s; AWSRevokeOlderSessions on that role would end it, for everybody who has it", name, until, s.RoleARN)
	case k.DeniedBefore != nil:
		return name + " is denied everything"
	}
	return fmt.Sprintf("%s works on %s", name, until)
}

// printRevokedKeys says after a list of keys which of them are revoked.
func (a *app) printRevokedKeys(keys []ipc.Key) {
	for _, k := range keys {
		if k.Revoked == nil || k.Revoked.RevokedAt == nil {
			continue
		}
		a.printf("\n%s: revoked at %s", k.Profile, k.Revoked.RevokedAt.Local().Format("2006-01-02 15:04"))
		if !k.Revoked.Inactive {
			a.printf("; NOT known to be Inactive at AWS\nnext: broker revoke %s\n", k.Profile)
			continue
		}
		a.printf("\nnext: broker add %s --replace; to take it back: broker revoke %s --undo\n", k.Profile, k.Profile)
	}
}
