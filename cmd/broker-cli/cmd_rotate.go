// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// rotateOptions is the command line of broker rotate.
type rotateOptions struct {
	params ipc.RotateParams
	due    bool // each key that is due, instead of a profile's
	json   bool
}

func newRotateCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "rotate",
		Usage:     "replace a key by a new one, without a way to lose it",
		UsageText: "broker rotate PROFILE [--dry-run | --hold | --resume | --undo] [--json]\nbroker rotate --due [--dry-run | --hold] [--json]",
		Description: about(`Makes a new key at IAM, stores it beside the old one, waits until AWS accepts it
everywhere, and only then lets profiles use it. The old key is made Inactive,
and deleted after [rotation] keep_disabled (24h): until then --undo brings it
back. Programs that run go on with what they have. One MFA code is enough.

Whatever interrupts it, a key that works stays stored: broker goes on by itself,
or with --resume where a person is needed. A second key that broker did not
make, or a use of the old one by something else, stops it before any harm.
--resume and --undo are for a key that broker add --create is making, too.

--due rotates each key that is due, in turn: those that nobody uses are left for
you to delete. One that fails does not keep the next one from its turn. Without a
terminal it waits for no code that neither mfa_command nor a window asks for.

docs/rotation.md tells all of it.`, "broker rotate dev"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			switchFlag("due", "rotate each key that is due, instead of that of PROFILE"),
			switchFlag("dry-run", "say what would happen and what IAM does not allow, and change nothing"),
			switchFlag("hold", "keep both keys active after the switch, until --resume"),
			switchFlag("resume", "go on with a rotation that is held, or stands still"),
			switchFlag("undo", "take the rotation back: the old key serves again, and the new one is deleted"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := rotateOptions{json: c.Bool("json"), params: ipc.RotateParams{
				DryRun: c.Bool("dry-run"), Hold: c.Bool("hold"), Resume: c.Bool("resume"), Undo: c.Bool("undo"),
			}}
			chosen := 0
			for _, given := range []bool{o.params.DryRun, o.params.Hold, o.params.Resume, o.params.Undo} {
				if given {
					chosen++
				}
			}
			if chosen > 1 {
				return client.Usagef("rotate takes one of --dry-run, --hold, --resume and --undo")
			}
			if o.due = c.Bool("due"); o.due {
				switch {
				case len(a.line.Words) > 0 || c.IsSet("profile"):
					return client.Usagef("rotate takes a profile or --due, not both")
				case o.params.Resume || o.params.Undo:
					return client.Usagef("rotate --due takes neither --resume nor --undo")
				}
				return a.rotateDue(c.Context, o)
			}
			if len(a.line.Words) == 0 && !c.IsSet("profile") {
				return client.Usagef("rotate needs a profile, or --due: broker rotate PROFILE")
			}
			var err error
			if o.params.Profile, err = a.namedProfile(c); err != nil {
				return err
			}
			raw, err := a.rotateOne(c.Context, o)
			if o.json && raw != nil {
				if perr := a.printJSON(raw); perr != nil {
					return perr
				}
			}
			return err
		},
	}
}

// rotateOne rotates the key of a profile, and returns what the daemon answered. It
// prints that for people. A dry run that finds an obstacle has both an answer
// and an error.
func (a *app) rotateOne(ctx context.Context, o rotateOptions) (json.RawMessage, error) {
	raw, err := a.converseRotation(ctx, ipc.OpRotate, o.params, o.json)
	if err != nil {
		return nil, err
	}
	if o.params.DryRun {
		return raw, a.printRotationPlan(raw, o)
	}
	var rot ipc.Rotation
	if err := json.Unmarshal(raw, &rot); err != nil {
		return nil, client.Errorf(ipc.CodeProtocol, "the daemon's answer to rotate cannot be read")
	}
	if !o.json {
		a.printRotation(rot, o.params.Profile)
	}
	return raw, nil
}

// converseRotation has the daemon begin, or go on with, a rotation or the making
// of a key, and shows how that goes on.
func (a *app) converseRotation(ctx context.Context, op string, params any, quiet bool) (raw json.RawMessage, err error) {
	req := ipc.Request{Op: op}
	progress := &rotationProgress{out: a.Stderr, quiet: quiet}
	var surface ipc.Surface = progress
	if t, ok := client.OpenTerminal(); ok {
		defer func() { _ = t.TTY.Close() }() // what was written is on the screen
		progress.terminal = t
		req.Ask = ipc.AskTerminal
	}
	err = a.Unlocked(ctx, func() (err error) {
		raw, err = a.Converse(ctx, req, params, surface)
		return err
	})
	return raw, err
}

// printRotation says how far a rotation has come, and what comes next.
func (a *app) printRotation(r ipc.Rotation, profile string) {
	switch {
	case r.State == "deleted":
		a.printf("rotated: %s took the place of %s, which is deleted\nnext: broker list\n", r.New, r.Old)
	case r.State == "added":
		a.printf("made %s for IAM user %s: profile %s has it\nnext: broker list\n", r.New, r.UserName, profile)
	case r.State == "undone" && r.Old == "" && r.New == "":
		a.printf("taken back: no key is made for profile %s\nnext: broker list\n", profile)
	case r.State == "undone" && r.Old == "":
		a.printf("taken back: the new key %s is deleted, and profile %s has none\nnext: broker list\n", r.New, profile)
	case r.State == "undone" && r.New == "":
		a.printf("taken back: %s serves, and there is no new key\nnext: broker list\n", r.Old)
	case r.State == "undone":
		a.printf("taken back: %s serves again, and the new key is deleted\nnext: broker list\n", r.Old)
	case r.Waiting == "held":
		if r.Earlier {
			a.printf("not rotated again, the rotation of %s is held: ", r.PlannedAt.Local().Format(minute))
		}
		a.printf("%s serves now, and %s works still: update and test whatever else uses the old one\nnext: broker rotate %s --resume; to take it back: broker rotate %s --undo\n",
			r.New, r.Old, profile, profile)
	case r.Waiting == "kept":
		until := untilText(r.Until)
		if r.Earlier {
			a.printf("not rotated again: %s took the place of %s in the rotation of %s; %s is Inactive, and will be deleted%s\nnext: for another new key wait until then; to take the old one back instead: broker rotate %s --undo\n",
				r.New, r.Old, r.PlannedAt.Local().Format(minute), r.Old, until, profile)
			return
		}
		a.printf("rotated: %s serves now; %s is Inactive, and will be deleted%s\nnext: aws sts get-caller-identity --profile %s; to take it back until then: broker rotate %s --undo\n",
			r.New, r.Old, until, profile, profile)
	default:
		a.printf("%s\nnext: broker status\n", rotationText(r))
	}
}

// printRotationPlan says what a rotation would do.
func (a *app) printRotationPlan(raw json.RawMessage, o rotateOptions) error {
	var p ipc.RotationPlan
	if err := json.Unmarshal(raw, &p); err != nil {
		return client.Errorf(ipc.CodeProtocol, "the daemon's answer to rotate cannot be read")
	}
	if !o.json {
		a.printPlanText(p)
	}
	if p.Obstacle != nil {
		return p.Obstacle
	}
	if !o.json {
		a.printf("next: broker rotate %s\n", o.params.Profile)
	}
	return nil
}

func (a *app) printPlanText(p ipc.RotationPlan) {
	a.printf("keys of IAM user %s:\n", client.Printable(p.UserName))
	for _, k := range p.Keys {
		a.printf("  %s\n", keyStateText(k, p.Old))
	}
	a.printf("a rotation would make a new key, switch %s to it, make %s Inactive, and delete that after %s\n",
		strings.Join(p.Profiles, ", "), p.Old, p.KeepDisabled)
	if p.OnRotate != "" {
		a.printf("at the switch it would run %s\n", client.Printable(p.OnRotate))
	}
	if len(p.Missing) > 0 {
		a.printf("not allowed by IAM: %s\n", strings.Join(p.Missing, ", "))
	}
	if len(p.Unknown) > 0 && p.Obstacle == nil {
		a.printf("not known without doing it: %s\n", strings.Join(p.Unknown, ", "))
	}
}

// keyStateText is one line on a key at IAM. ours is the one that broker has.
func keyStateText(k ipc.KeyState, ours string) string {
	var b strings.Builder
	b.WriteString(k.AccessKeyID)
	if k.AccessKeyID == ours {
		b.WriteString(" (stored here)")
	}
	if !k.Active {
		b.WriteString(", Inactive")
	}
	if !k.CreateDate.IsZero() {
		fmt.Fprintf(&b, ", made %s", k.CreateDate.UTC().Format(time.DateOnly))
	}
	switch {
	case k.LastUsedError != nil:
		b.WriteString(", last use not known: " + k.LastUsedError.Message)
	case k.LastUsed == nil:
		b.WriteString(", never used")
	default:
		fmt.Fprintf(&b, ", last used %s", k.LastUsed.UTC().Format(time.DateOnly))
		if k.ServiceName != "" {
			b.WriteString(" for " + k.ServiceName)
		}
		if k.Region != "" {
			b.WriteString(" in " + k.Region)
		}
	}
	return b.String()
}

// rotationProgress shows on standard error how a rotation goes on, and asks for
// a code where there is a terminal. It is an ipc.Surface.
type rotationProgress struct {
	out      io.Writer
	terminal *client.Terminal // nil: nobody can be asked
	quiet    bool
	last     string
}

var _ ipc.Surface = (*rotationProgress)(nil)

// Prompt asks on the terminal.
func (p *rotationProgress) Prompt(ctx context.Context, q ipc.Prompt) (string, error) {
	if p.terminal == nil {
		return client.Bystander{W: p.out}.Prompt(ctx, q)
	}
	return p.terminal.Prompt(ctx, q)
}

// Event shows one line for each change.
func (p *rotationProgress) Event(raw json.RawMessage) {
	var r ipc.Rotation
	if p.quiet || json.Unmarshal(raw, &r) != nil || r.State == "" {
		return
	}
	if text := rotationText(r); text != p.last {
		p.last = text
		fmt.Fprintf(p.out, "broker: [%d/%d] %s\n", r.Step, r.Steps, text)
	}
}

// rotationText says what a rotation is doing.
func rotationText(r ipc.Rotation) string {
	if r.Problem != nil && r.Waiting == "retrying" {
		return r.Problem.Message + "; trying again"
	}
	if r.Back && r.Old == "" {
		return "deleting the new key " + r.New + " again"
	}
	if r.Back {
		return "going back to key " + r.Old
	}
	switch r.State {
	case "planned":
		if r.Waiting == "settling" {
			return "the answer of IAM was lost; looking whether it has made a key"
		}
		return "looking at the keys of IAM user " + client.Printable(r.UserName) + ", and asking for a new one"
	case "created":
		return "key " + r.New + " is made; storing it"
	case "stored":
		return "key " + r.New + " is stored; waiting until AWS accepts it everywhere"
	case "verified":
		if r.Old == "" {
			return "key " + r.New + " works; entering it"
		}
		return "key " + r.New + " works; switching to it"
	case "switched":
		if r.Hold {
			return "key " + r.New + " serves; " + r.Old + " stays active until --resume"
		}
		return "key " + r.New + " serves; making " + r.Old + " Inactive"
	case "disabled":
		return "key " + r.Old + " is Inactive"
	}
	return "key " + r.Old + ": " + r.State
}
