// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// How long broker is quiet about a key: if nobody says, at least, and at most.
const (
	snoozeTime = 7 * 24 * time.Hour
	minSnooze  = time.Hour
	maxSnooze  = 30 * 24 * time.Hour
)

func newSnoozeCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "snooze",
		Usage:     "be quiet for a while about a key that is due",
		UsageText: "broker snooze PROFILE [DURATION | off] [--json]",
		Description: about(`For DURATION (7d; 1h to 30d), neither the desktop nor a command says that the
key of PROFILE is due. broker list, and status --check, go on saying it. "off"
ends that; a new key is not snoozed.`, "broker snooze dev 3d"),
		Flags: []cli.Flag{namedProfileFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			words, length := a.line.Words, snoozeTime
			named := 1
			if c.IsSet("profile") {
				named = 0
			}
			if len(words) > named {
				var err error
				if length, err = snoozeLength(words[named]); err != nil {
					return err
				}
				words = append(words[:named:named], words[named+1:]...)
			}
			if len(words) == 0 && named == 1 {
				return client.Usagef("snooze needs a profile: broker snooze PROFILE")
			}
			profile, err := a.profile(c, words)
			if err != nil {
				return err
			}
			return a.snooze(c.Context, profile, length, c.Bool("json"))
		},
	}
}

// snoozeLength reads a DURATION; 0 is off.
func snoozeLength(text string) (time.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	d, err := awsconfig.ParseDuration(text, minSnooze, maxSnooze)
	if err != nil {
		return 0, client.Usagef("DURATION %v, or off", err)
	}
	return d, nil
}

func (a *app) snooze(ctx context.Context, profile string, length time.Duration, asJSON bool) error {
	var key ipc.Key
	if err := a.Call(ctx, ipc.OpSnooze, ipc.SnoozeParams{Profile: profile, Seconds: int(length / time.Second)}, &key); err != nil {
		return err
	}
	switch {
	case asJSON:
		return a.printJSON(key)
	case key.SnoozedUntil == nil:
		a.printf("key %s of %s is not snoozed\nnext: broker list\n", key.AccessKeyID, profile)
	default:
		a.printf("key %s of %s is snoozed until %s\nnext: to end that: broker snooze %s off\n", key.AccessKeyID, profile,
			key.SnoozedUntil.Local().Format("2006-01-02 15:04"), profile)
	}
	return nil
}
