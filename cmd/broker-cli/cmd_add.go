// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// addOptions is the command line of broker add.
type addOptions struct {
	profile   string
	csv       string // path of a key file
	user      string // row of the key file, or whose key is made
	create    bool
	using     string // the profile that asks IAM for a key
	stdin     bool
	fromEnv   bool
	mfaSerial string
	noMFA     bool
	noVerify  bool
	replace   bool
	wire      bool
	json      bool
}

func newAddCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "store a long-lived access key",
		UsageText: "broker add PROFILE [--csv FILE [--user NAME] | --stdin | --from-env\n                   | --create [--using PROFILE] [--user NAME]]\n                   [--mfa-serial ARN | --no-mfa] [--replace] [--wire] [--no-verify]\n                   [--json]",
		Description: about(`Asks for the key on the terminal, or reads it from the console's CSV file, from
standard input (access key ID, newline, secret) or from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY. AWS is asked whose key it is before it is stored, and
which MFA devices its user has. With --wire the profile is sent to broker in the
same run, as broker wire does; the key stays stored if that fails.

With --create IAM makes a new key, and its secret goes straight into the vault.
Who asks IAM for it is the profile of --using, else the one that PROFILE takes
its credentials from, or the only one with a stored key. It is a key of the
same user, or with --user of another one, for an administrator. No crash loses
it, or leaves it behind at IAM; the same command goes on, and until the profile
has the key broker rotate PROFILE --undo takes it back. It needs
iam:CreateAccessKey, iam:ListAccessKeys and iam:DeleteAccessKey.`, "broker add dev --csv ~/Downloads/ann_accessKeys.csv"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			&cli.StringFlag{Name: "csv", Usage: "read the console's key `FILE`"},
			&cli.StringFlag{Name: "user", Usage: "row of the key file: a user `NAME` or access key ID; with --create: the IAM user"},
			switchFlag("stdin", "read access key ID and secret from standard input"),
			switchFlag("from-env", "take the key from the AWS_ variables"),
			switchFlag("create", "have IAM make a new key"),
			&cli.StringFlag{Name: "using", Usage: "the `PROFILE` that asks IAM for the new key"},
			&cli.StringFlag{Name: "mfa-serial", Usage: "MFA device, by its `ARN` or serial number"},
			switchFlag("no-mfa", "make sessions without an MFA code"),
			switchFlag("no-verify", "store without asking AWS"),
			switchFlag("replace", "take the place of another key of the profile"),
			switchFlag("wire", "send the profile to broker, in ~/.aws/config"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			profile, err := a.namedProfile(c)
			if err != nil {
				return err
			}
			return a.add(c.Context, addOptions{
				profile: profile, csv: c.String("csv"), user: c.String("user"), stdin: c.Bool("stdin"), fromEnv: c.Bool("from-env"),
				create: c.Bool("create"), using: c.String("using"),
				mfaSerial: c.String("mfa-serial"), noMFA: c.Bool("no-mfa"),
				noVerify: c.Bool("no-verify"), replace: c.Bool("replace"), wire: c.Bool("wire"), json: c.Bool("json"),
			})
		},
	}
}

// check refuses flags that contradict each other.
func (o addOptions) check() error {
	sources := 0
	for _, given := range []bool{o.csv != "", o.stdin, o.fromEnv, o.create} {
		if given {
			sources++
		}
	}
	switch {
	case sources > 1:
		return client.Usagef("add takes one of --csv, --stdin, --from-env and --create")
	case o.user != "" && o.csv == "" && !o.create:
		return client.Usagef("--user chooses a row of --csv, or the user of --create")
	case o.using != "" && !o.create:
		return client.Usagef("--using says who makes the key of --create")
	case o.create && (o.replace || o.noVerify):
		return client.Usagef("--create takes neither --replace nor --no-verify: a key is replaced by broker rotate")
	case o.noMFA && o.mfaSerial != "":
		return client.Usagef("add takes --mfa-serial or --no-mfa, not both")
	case isPasskey(o.mfaSerial):
		return client.Errorf(ipc.CodeMFAPasskey, "%s is a passkey, which AWS STS does not accept", o.mfaSerial)
	}
	return nil
}

// add stores one key that the user has at hand.
func (a *app) add(ctx context.Context, o addOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.wire { // before the secret is asked for
		if err := a.checkWire(o.profile); err != nil {
			return err
		}
	}
	if o.create {
		return a.create(ctx, o)
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
	stored, err := a.storeKey(ctx, newKey{
		profile: o.profile, accessKeyID: key.AccessKeyID, put: a.putPair(key, o.noVerify),
		mfaSerial: o.mfaSerial, noMFA: o.noMFA, noVerify: o.noVerify, replace: o.replace,
		again: "broker add " + o.profile,
	})
	if err != nil {
		return err
	}
	return a.added(ctx, o, stored)
}

// added says what is stored and what comes next.
func (a *app) added(ctx context.Context, o addOptions, key ipc.Key) error {
	if o.json {
		return a.addedJSON(ctx, o, key)
	}
	a.printf("stored %s of %s for profile %s\n", key.AccessKeyID, client.OrText(key.ARN, "an unverified owner"), key.Profile)
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
	if !o.wire {
		a.printNextAfterAdd(key.Profile)
		return nil
	}
	e, result, err := a.wireAdded(ctx, key.Profile)
	if err == nil {
		a.printWired(e, result, true)
	}
	return err
}

// addedJSON is added for scripts. What wire did is beside the key.
func (a *app) addedJSON(ctx context.Context, o addOptions, key ipc.Key) error {
	if !o.wire {
		return a.printJSON(key)
	}
	_, result, err := a.wireAdded(ctx, key.Profile)
	return errors.Join(a.printJSON(struct {
		ipc.Key
		Wire wireResult `json:"wire"`
	}{key, result}), err)
}

// isPasskey reports whether a serial number is that of a passkey or security
// key, which AWS does not accept in STS calls.
func isPasskey(serial string) bool { return strings.Contains(serial, ":u2f/") }
