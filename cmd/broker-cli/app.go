// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"credbroker/internal/client"

	"github.com/urfave/cli/v2"
)

// app is one run of broker: its surroundings, and the command line once it is
// taken apart.
type app struct {
	*client.App
	args []string
	line client.Line
}

// run is every command but the helper. It returns the exit status.
func (a *app) run() int {
	if err := a.StartedByBroker(); err != nil {
		return client.Report(a.Stderr, err)
	}
	ctx, stop := client.UntilSignal(context.Background())
	defer stop()
	commands := a.commands()
	parser := client.LineParser{Commands: tableOf(commands), IsProfile: a.IsProfile}
	l, err := parser.Parse(a.args)
	a.line = l
	if err != nil {
		return client.Report(a.Stderr, client.HelpOf(err, l.Path...))
	}
	if len(l.Path) > 0 && l.Path[0] == client.HelperName && !l.Has("help") {
		return a.CredentialProcess(ctx, a.helperArgs())
	}
	if l.Has("version") {
		l.Path, l.Flags = []string{"version"}, nil
	}
	argv := append(append([]string{"broker"}, l.Path...), l.Flags...)
	out := &output{w: a.Stdout}
	a.Stdout = out
	if err := a.cli(commands).RunContext(ctx, argv); err != nil {
		return client.StatusUntil(ctx, client.Report(a.Stderr, client.HelpOf(a.WithProxy(err), l.Path...)))
	}
	if !l.Has("help") && nags(l) {
		a.Nag(ctx)
	}
	if out.err != nil {
		return client.Report(a.Stderr, out.err)
	}
	return client.ExitOK
}

// output is standard output. It remembers that a write failed, which the code
// that prints for people does not look at: a full disk must not end with 0.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(data []byte) (int, error) {
	n, err := o.w.Write(data)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// cli builds the command line interface. What it is given to parse has passed
// LineParser, and is in order. Errors come back to run, which alone prints them
// and chooses the exit status.
func (a *app) cli(commands []*cli.Command) *cli.App {
	return &cli.App{
		Name:            "broker",
		Usage:           "AWS credentials from the keychain, one MFA code for all",
		UsageText:       "broker COMMAND [FLAGS] [ARGUMENTS]",
		Description:     "A long-lived access key stays in the keychain; what asks for credentials\ngets temporary ones.\n\nEXAMPLE\n   broker exec dev -- terraform plan\n\n" + client.ExitStatusSummary,
		Commands:        commands,
		Writer:          a.Stdout,
		ErrWriter:       a.Stderr,
		HideVersion:     true,
		HideHelpCommand: true, // LineParser turns "help exec" into "exec --help"
		ExitErrHandler:  func(*cli.Context, error) {},
	}
}

// commands is the table of commands, in the order in which a user meets them.
func (a *app) commands() []*cli.Command {
	return []*cli.Command{
		newInitCommand(a), newAddCommand(a), newImportCommand(a), newRemoveCommand(a), newListCommand(a), newUsageCommand(a), newRotateCommand(a), newRevokeCommand(a), newPanicCommand(a), newSnoozeCommand(a),
		newWireCommand(a), newUnwireCommand(a),
		newExecCommand(a), newExportCommand(a), newMFACommand(a), newStatusCommand(a), newExplainCommand(a),
		newLockCommand(a), newUnlockCommand(a), newRecoverCommand(a),
		newConfigCommand(a), newDoctorCommand(a), newHelperCommand(a), newVersionCommand(a),
	}
}

// profile returns the profile that a command is about.
func (a *app) profile(c *cli.Context, words []string) (string, error) {
	return a.ChosenProfile(c.Command.Name, c.String("profile"), c.IsSet("profile"), words)
}

// noWords refuses arguments that a command does not take.
func (a *app) noWords(c *cli.Context) error {
	if len(a.line.Words) > 0 {
		return client.Usagef("%s takes no argument, not %q", c.Command.Name, a.line.Words[0])
	}
	return nil
}

// printJSON writes v on one line.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printf writes a line for people, free of control characters from elsewhere.
func (a *app) printf(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = client.Printable(text)
		}
	}
	fmt.Fprintf(a.Stdout, format, args...)
}

// tableOf returns what a command line is read against.
func tableOf(commands []*cli.Command) []client.Verb {
	var table []client.Verb
	for _, c := range commands {
		one := client.Verb{Name: c.Name, Aliases: c.Aliases, Subcommands: tableOf(c.Subcommands)}
		for _, f := range c.Flags {
			_, isSwitch := f.(*cli.BoolFlag)
			one.Flags = append(one.Flags, client.FlagNames{Names: f.Names(), IsSwitch: isSwitch})
		}
		table = append(table, one)
	}
	return table
}

// switchFlag is a flag without a value.
func switchFlag(name, usage string) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, DisableDefaultText: true}
}

// jsonFlag and the flags of the profile are spelled alike everywhere.
func jsonFlag() cli.Flag { return switchFlag("json", "print JSON") }

func profileFlag() cli.Flag {
	return &cli.StringFlag{Name: "profile", Aliases: []string{"p"}, Usage: "the `PROFILE`; default AWS_PROFILE, then \"default\""}
}

// namedProfileFlag is for commands whose profile must be named.
func namedProfileFlag() cli.Flag {
	return &cli.StringFlag{Name: "profile", Aliases: []string{"p"}, Usage: "the `PROFILE`"}
}

// about is the long help of a command: what to know, one example, the exit
// statuses.
func about(text, example string) string {
	return aboutExit(text, example, client.ExitStatusSummary)
}

// aboutExit is about for a command whose exit statuses are its own.
func aboutExit(text, example, exitStatus string) string {
	return strings.TrimSpace(text) + "\n\nEXAMPLE\n   " + example + "\n\n" + exitStatus
}

func durationFlag() cli.Flag {
	return &cli.StringFlag{Name: "duration", Aliases: []string{"d"}, Usage: "ask for credentials that live for `DUR`, such as 1h30m; without a role, longer ones that are there serve; 15m to 36h, for a role to 12h"}
}
