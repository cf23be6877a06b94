// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// importOptions is the command line of broker import.
type importOptions struct {
	profiles     []string // empty: all that the source has
	from         string   // the name of a sourceKind; "" is the files
	mfaSerial    string
	noMFA        bool
	dryRun       bool
	deleteSource bool
	wire         bool
	json         bool
}

func newImportCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:  "import",
		Usage: "take over keys that are held elsewhere",
		UsageText: "broker import [PROFILE…] [--from {" + strings.Join(kindNames(), " | ") + "}] [--dry-run]\n" +
			"              [--delete-source] [--wire] [--mfa-serial ARN | --no-mfa] [--json]",
		Description: about(`Stores every long-lived key of the source, or those of the named profiles, each
verified with AWS, and shows how its profiles came to credentials before and how
they do now. The source stays as it is, unless all of its keys are stored and
--delete-source was given. A second run takes what the first could not.`, "broker import --dry-run"),
		Flags: []cli.Flag{
			namedProfileFlag(),
			&cli.StringFlag{Name: "from", Usage: "the `SOURCE`: file (both AWS files), env (the AWS_ variables), aws-vault, granted; default file"},
			switchFlag("dry-run", "say what would be taken; read no secret, store nothing"),
			switchFlag("delete-source", "remove the keys from the source once all are stored"),
			switchFlag("wire", "send their profiles to broker, in ~/.aws/config"),
			&cli.StringFlag{Name: "mfa-serial", Usage: "MFA device of the named profile, by its `ARN` or serial number"},
			switchFlag("no-mfa", "make sessions of the named profiles without an MFA code"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			profiles, err := a.namedProfiles(c)
			if err != nil {
				return err
			}
			return a.importKeys(c.Context, importOptions{
				profiles: profiles, from: c.String("from"), mfaSerial: c.String("mfa-serial"), noMFA: c.Bool("no-mfa"),
				dryRun: c.Bool("dry-run"), deleteSource: c.Bool("delete-source"), wire: c.Bool("wire"), json: c.Bool("json"),
			})
		},
	}
}

// namedProfiles returns the profiles of the arguments and of --profile, each once.
func (a *app) namedProfiles(c *cli.Context) ([]string, error) {
	words := a.line.Words
	if c.IsSet("profile") {
		words = append(slices.Clone(words), c.String("profile"))
	}
	var profiles []string
	for _, name := range words {
		if err := awsconfig.ValidProfileName(name); err != nil {
			return nil, err
		}
		if !slices.Contains(profiles, name) {
			profiles = append(profiles, name)
		}
	}
	return profiles, nil
}

// check refuses flags that contradict each other. What is said of MFA is said
// of named profiles only: a --no-mfa for forty keys is no decision.
func (o importOptions) check() error {
	switch {
	case o.noMFA && o.mfaSerial != "":
		return client.Usagef("import takes --mfa-serial or --no-mfa, not both")
	case o.noMFA && len(o.profiles) == 0:
		return client.Usagef("--no-mfa is for profiles that are named: broker import PROFILE --no-mfa")
	case o.mfaSerial != "" && len(o.profiles) != 1:
		return client.Usagef("--mfa-serial is for one profile that is named: broker import PROFILE --mfa-serial ARN")
	case isPasskey(o.mfaSerial):
		return client.Errorf(ipc.CodeMFAPasskey, "%s is a passkey, which AWS STS does not accept", o.mfaSerial)
	case o.dryRun && (o.deleteSource || o.wire):
		return client.Usagef("--dry-run changes nothing: leave --delete-source and --wire away")
	}
	return nil
}

// again is the command that imports profiles, for hints.
func (o importOptions) again(profiles string) string {
	line := strings.TrimSpace("broker import " + profiles)
	if o.from != "" {
		line += " --from " + o.from
	}
	return line
}

// line is this import without --dry-run, as it is typed.
func (o importOptions) line() string {
	line := o.again(strings.Join(o.profiles, " "))
	if o.deleteSource {
		line += " --delete-source"
	}
	if o.wire {
		line += " --wire"
	}
	if o.noMFA {
		line += " --no-mfa"
	}
	if o.mfaSerial != "" {
		line += " --mfa-serial " + o.mfaSerial
	}
	return line
}

// importKeys takes keys over from one source. Each is stored as add stores one;
// the source is touched at the end, and only if nothing went wrong.
func (a *app) importKeys(ctx context.Context, o importOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if !o.dryRun {
		if err := secret.HideProcess(); err != nil {
			return err
		}
	}
	r, err := a.openImport(o)
	if err != nil {
		return err
	}
	candidates, err := r.source.list(ctx)
	if err == nil {
		candidates, err = o.choose(candidates)
	}
	if err == nil {
		err = r.checkWire()
	}
	if err == nil {
		err = r.look(ctx)
	}
	if err != nil {
		return err
	}
	if o.dryRun {
		r.dryRun(candidates)
	} else {
		r.takeAll(ctx, candidates)
	}
	return r.end(ctx)
}

// openImport opens the source.
func (a *app) openImport(o importOptions) (*importing, error) {
	kind, err := kindOf(o.from)
	if err != nil {
		return nil, err
	}
	config, err := a.AWSConfig()
	if err != nil {
		return nil, err
	}
	if kind.shadows && o.wire && !o.deleteSource {
		err := client.Usagef("SDKs prefer a key in the files to broker, so its profile cannot be wired while it is there")
		err.Hint = "add --delete-source"
		return nil, err
	}
	source, err := kind.open(a, o, config)
	if err != nil {
		return nil, err
	}
	return newImporting(a, o, kind, source, config), nil
}

// choose returns the candidates of the named profiles, all if none is named.
func (o importOptions) choose(all []candidate) ([]candidate, error) {
	if len(o.profiles) == 0 {
		return all, nil
	}
	var chosen []candidate
	for _, name := range o.profiles {
		i := slices.IndexFunc(all, func(c candidate) bool { return c.profile == name })
		if i < 0 {
			err := client.Errorf(ipc.CodeNoKey, "import profile %s: there is no key of it to take", name)
			err.Hint = "to see what there is: broker import --dry-run"
			if o.from != "" {
				err.Hint += " --from " + o.from
			}
			return nil, err
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
