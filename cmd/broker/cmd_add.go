// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/ipc"
)

// addOptions is the command line of broker add.
type addOptions struct {
	profile   string
	csv       string // path of a key file
	user      string // row of the key file
	stdin     bool
	fromEnv   bool
	mfaSerial string
	noMFA     bool
	noVerify  bool
	replace   bool
	json      bool
}

func newAddCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "store a long-lived access key",
		UsageText: "broker add PROFILE [--csv FILE | --stdin | --from-env]\n                   [--mfa-serial ARN | --no-mfa] [--replace] [--no-verify] [--json]",
		Description: about(`Asks for the key on the terminal, or reads it from the console's CSV file, from
standard input (access key ID, newline, secret) or from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY. AWS is asked whose key it is before it is stored, and
which MFA devices its user has.`, "broker add dev --csv ~/Downloads/ann_accessKeys.csv"),
		Flags: []cli.Flag{
			profileFlag(),
			&cli.StringFlag{Name: "csv", Usage: "read the console's key `FILE`"},
			&cli.StringFlag{Name: "user", Usage: "row of the key file: a user `NAME` or access key ID"},
			&cli.BoolFlag{Name: "stdin", Usage: "read access key ID and secret from standard input"},
			&cli.BoolFlag{Name: "from-env", Usage: "take the key from the AWS_ variables"},
			&cli.StringFlag{Name: "mfa-serial", Usage: "MFA device, by its `ARN` or serial number"},
			&cli.BoolFlag{Name: "no-mfa", Usage: "make sessions without an MFA code"},
			&cli.BoolFlag{Name: "no-verify", Usage: "store without asking AWS"},
			&cli.BoolFlag{Name: "replace", Usage: "take the place of another key of the profile"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			profile, err := a.namedProfile(c)
			if err != nil {
				return err
			}
			return a.add(c.Context, addOptions{
				profile: profile, csv: c.String("csv"), user: c.String("user"), stdin: c.Bool("stdin"), fromEnv: c.Bool("from-env"),
				mfaSerial: c.String("mfa-serial"), noMFA: c.Bool("no-mfa"),
				noVerify: c.Bool("no-verify"), replace: c.Bool("replace"), json: c.Bool("json"),
			})
		},
	}
}

// check refuses flags that contradict each other.
func (o addOptions) check() error {
	sources := 0
	for _, given := range []bool{o.csv != "", o.stdin, o.fromEnv} {
		if given {
			sources++
		}
	}
	switch {
	case sources > 1:
		return usagef("add takes one of --csv, --stdin and --from-env")
	case o.user != "" && o.csv == "":
		return usagef("--user chooses a row of --csv")
	case o.noMFA && o.mfaSerial != "":
		return usagef("add takes --mfa-serial or --no-mfa, not both")
	case isPasskey(o.mfaSerial):
		return errorf(ipc.CodeMFAPasskey, "%s is a passkey, which AWS STS does not accept", o.mfaSerial)
	}
	return nil
}

// add stores one key. The daemon names the place, the worker stores the key
// there, and only what the daemon then adopts exists: whatever fails on the
// way, the profile keeps the key it had.
func (a *app) add(ctx context.Context, o addOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	key, err := a.readKey(ctx, o)
	if err != nil {
		return err
	}
	if err := key.check(); err != nil {
		return err
	}
	var place ipc.Reservation
	reserve := ipc.ReserveParams{Profile: o.profile, AccessKeyID: key.AccessKeyID, Replace: o.replace}
	if err := a.call(ctx, ipc.OpReserve, reserve, &place); err != nil {
		return err
	}
	var stored ipc.PutResult
	put := ipc.PutParams{
		Item: place.Item, Store: place.Store, AWS: place.AWS, Profile: o.profile,
		AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, NoVerify: o.noVerify,
	}
	if err := a.vault(ctx, place.Store, ipc.OpPut, put, &stored); err != nil {
		return err
	}
	adopted, err := a.adopt(ctx, o, place, key.AccessKeyID, stored)
	if err != nil {
		return errors.Join(err, a.discard(ctx, o.profile, place, key.AccessKeyID))
	}
	return a.added(ctx, o, adopted)
}

// adopt settles how sessions of the stored key are made and enters it into the
// index.
func (a *app) adopt(ctx context.Context, o addOptions, place ipc.Reservation, accessKeyID string, stored ipc.PutResult) (ipc.Key, error) {
	serial, err := a.device(ctx, o, place.SerialNumber, stored)
	if err != nil {
		return ipc.Key{}, err
	}
	id := stored.Identity
	var key ipc.Key
	err = a.call(ctx, ipc.OpAdopt, ipc.AdoptParams{
		Item: place.Item, Profile: o.profile, AccessKeyID: accessKeyID, Replace: o.replace,
		KeyDetails: ipc.KeyDetails{
			AccountID: id.AccountID, ARN: id.ARN, UserName: id.UserName,
			SerialNumber: serial, NoMFA: o.noMFA, Region: place.AWS.Region,
		},
	}, &key)
	return key, err
}

// discard deletes an item that the index does not have, also when the user
// interrupted us.
func (a *app) discard(ctx context.Context, profile string, place ipc.Reservation, accessKeyID string) error {
	err := a.vault(context.WithoutCancel(ctx), place.Store, ipc.OpDelete, ipc.ItemParams{
		Store: place.Store, Item: place.Item, Profile: profile, AccessKeyID: accessKeyID, AWS: place.AWS,
	}, nil)
	if err != nil {
		return fmt.Errorf("delete item %s again: %w", place.Item, err)
	}
	return nil
}

// added says what is stored and what comes next.
func (a *app) added(ctx context.Context, o addOptions, key ipc.Key) error {
	if o.json {
		return a.printJSON(key)
	}
	a.printf("stored %s of %s for profile %s\n", key.AccessKeyID, orText(key.ARN, "an unverified owner"), key.Profile)
	switch {
	case key.NoMFA:
		a.printf("sessions are made without MFA\n")
	case key.SerialNumber != "":
		a.printf("MFA device: %s\n", key.SerialNumber)
	}
	if o.csv != "" {
		if err := a.offerDelete(ctx, o.csv); err != nil {
			return err
		}
	}
	return a.printNextAfterAdd(key.Profile)
}

// printNextAfterAdd prints the lines that send a profile to broker, or how to
// use it if they are there.
func (a *app) printNextAfterAdd(profile string) error {
	wiring, err := a.wiring(profile)
	switch {
	case err != nil:
		a.printf("next: broker exec %s -- aws sts get-caller-identity\n", profile)
	case wiring.ours:
		a.printf("next: aws sts get-caller-identity --profile %s\n", profile)
	default:
		a.printf("next: add to %s\n%s\n%s\n", wiring.file, wiring.header, wiring.line)
	}
	return nil
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// isPasskey reports whether a serial number is that of a passkey or security
// key, which AWS does not accept in STS calls.
func isPasskey(serial string) bool { return strings.Contains(serial, ":u2f/") }
