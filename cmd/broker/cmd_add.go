// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
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
		UsageText: "broker add PROFILE [--csv FILE [--user NAME] | --stdin | --from-env]\n                   [--mfa-serial ARN | --no-mfa] [--replace] [--no-verify] [--json]",
		Description: about(`Asks for the key on the terminal, or reads it from the console's CSV file, from
standard input (access key ID, newline, secret) or from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY. AWS is asked whose key it is before it is stored, and
which MFA devices its user has.`, "broker add dev --csv ~/Downloads/ann_accessKeys.csv"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			&cli.StringFlag{Name: "csv", Usage: "read the console's key `FILE`"},
			&cli.StringFlag{Name: "user", Usage: "row of the key file: a user `NAME` or access key ID"},
			switchFlag("stdin", "read access key ID and secret from standard input"),
			switchFlag("from-env", "take the key from the AWS_ variables"),
			&cli.StringFlag{Name: "mfa-serial", Usage: "MFA device, by its `ARN` or serial number"},
			switchFlag("no-mfa", "make sessions without an MFA code"),
			switchFlag("no-verify", "store without asking AWS"),
			switchFlag("replace", "take the place of another key of the profile"),
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
	if err := secret.HideProcess(); err != nil {
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
	err = a.unlocked(ctx, func() error { return a.call(ctx, ipc.OpReserve, reserve, &place) })
	if err != nil {
		return err
	}
	item := ipc.ItemParams{Store: place.Store, Item: place.Item, Profile: o.profile, AccessKeyID: key.AccessKeyID, AWS: place.AWS}
	stored, err := a.put(ctx, item, key.SecretAccessKey, o)
	if err != nil {
		return err
	}
	serial, err := a.device(ctx, o, place.SerialNumber, stored)
	if err != nil {
		return errors.Join(err, a.discard(ctx, item))
	}
	adopted, err := a.adopt(ctx, item, ipc.AdoptParams{
		Item: item.Item, Profile: o.profile, AccessKeyID: item.AccessKeyID, Replace: o.replace,
		KeyDetails: ipc.KeyDetails{
			AccountID: stored.Identity.AccountID, ARN: stored.Identity.ARN, UserName: stored.Identity.UserName,
			SerialNumber: serial, NoMFA: o.noMFA, Region: place.Region,
		},
	})
	if err != nil {
		return err
	}
	return a.added(ctx, o, adopted)
}

// put has a worker store the key as a new item. One that did not get to say
// how it ended may have stored it.
func (a *app) put(ctx context.Context, item ipc.ItemParams, secretAccessKey secret.String, o addOptions) (ipc.PutResult, error) {
	var stored ipc.PutResult
	err := a.vault(ctx, item.Store, ipc.OpPut, ipc.PutParams{
		Item: item.Item, Store: item.Store, AWS: item.AWS, Profile: item.Profile,
		AccessKeyID: item.AccessKeyID, SecretAccessKey: secretAccessKey, NoVerify: o.noVerify,
		MFAChoice: ipc.MFAChoice{SerialNumber: o.mfaSerial, NoMFA: o.noMFA},
	}, &stored)
	if hasCode(err, ipc.CodeInternal, ipc.CodeProtocol, ipc.CodeDeadline, ipc.CodeKeychainTimeout) {
		err = errors.Join(err, a.discard(ctx, item))
	}
	return stored, err
}

// adoptGrace is how long an interrupt waits for the answer to adopt.
const adoptGrace = 5 * time.Second

// adopt enters the stored key into the index. From the moment that the daemon
// has the request, the item may be the only copy of the key that the index
// names, and the one before it deleted: the item is discarded only if the
// daemon says that it did not adopt it, and never because no answer came.
func (a *app) adopt(ctx context.Context, item ipc.ItemParams, params ipc.AdoptParams) (ipc.Key, error) {
	patient, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(adoptGrace, func() { stop(context.Cause(ctx)) })
	})()
	var key ipc.Key
	err := a.call(patient, ipc.OpAdopt, params, &key)
	switch {
	case err == nil:
		return key, nil
	case hasCode(err, ipc.CodeUsage, ipc.CodeKeyInvalid, ipc.CodeKeyExists, ipc.CodeNotInitialised):
		return key, errors.Join(err, a.discard(ctx, item))
	}
	return key, fmt.Errorf("enter key %s into the index, which broker list shows; it stays in the store, where broker recover finds it: %w", item.AccessKeyID, err)
}

// hasCode reports whether err is a failure of one of these codes.
func hasCode(err error, codes ...ipc.Code) bool {
	var coded *ipc.Error
	return errors.As(err, &coded) && slices.Contains(codes, coded.Code)
}

// discard deletes an item that the index does not have, also when the user
// interrupted us.
func (a *app) discard(ctx context.Context, item ipc.ItemParams) error {
	if err := a.vault(context.WithoutCancel(ctx), item.Store, ipc.OpDelete, item, nil); err != nil {
		return fmt.Errorf("delete item %s again: %w", item.Item, err)
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
		a.printf("next: %s\n", wiring.act)
		for _, line := range wiring.lines {
			a.printf("%s\n", line)
		}
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
