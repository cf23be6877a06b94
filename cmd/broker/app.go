// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// app is one run of broker: its surroundings, and the command line once it is
// taken apart. The environment is read here and nowhere below cmd.
type app struct {
	args   []string
	env    []string
	getenv func(string) string
	uid    int
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer
	now    func() time.Time

	line line
}

// run is every command but the helper. It returns the exit status.
func (a *app) run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	parser := lineParser{commands: a.commands(), isProfile: a.isProfile}
	l, err := parser.parse(a.args)
	a.line = l
	if err != nil {
		return report(a.stderr, a.helpOf(err))
	}
	if len(l.path) > 0 && l.path[0] == helperName && !l.has("help") {
		return a.credentialProcess(a.helperArgs())
	}
	if l.has("version") {
		l.path, l.flags = []string{"version"}, nil
	}
	argv := append(append([]string{"broker"}, l.path...), l.flags...)
	out := &output{w: a.stdout}
	a.stdout = out
	if err := a.cli(parser.commands).RunContext(ctx, argv); err != nil {
		return report(a.stderr, a.helpOf(a.execStatus(a.withProxy(err))))
	}
	if !l.has("help") {
		a.nag(ctx)
	}
	if out.err != nil {
		return report(a.stderr, out.err)
	}
	return exitOK
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

// helpOf lets a usage error without a hint of its own name the command's help.
func (a *app) helpOf(err error) error {
	if asCoded(err).Code != ipc.CodeUsage || len(a.line.path) == 0 {
		return err
	}
	return withHint(err, "for help: broker "+strings.Join(a.line.path, " ")+" --help")
}

// cli builds the command line interface. What it is given to parse has passed
// lineParser, and is in order. Errors come back to run, which alone prints them
// and chooses the exit status.
func (a *app) cli(commands []*cli.Command) *cli.App {
	return &cli.App{
		Name:            "broker",
		Usage:           "AWS credentials from the keychain, one MFA code for all",
		UsageText:       "broker COMMAND [FLAGS] [ARGUMENTS]",
		Description:     "A long-lived access key stays in the keychain; what asks for credentials\ngets temporary ones.\n\nEXAMPLE\n   broker exec dev -- terraform plan\n\n" + exitStatusSummary,
		Commands:        commands,
		Writer:          a.stdout,
		ErrWriter:       a.stderr,
		HideVersion:     true,
		HideHelpCommand: true, // lineParser turns "help exec" into "exec --help"
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

// places returns where everything lives. It fails only on an environment that
// contradicts itself.
func (a *app) places() (paths.Places, error) { return paths.Find(a.getenv, a.uid) }

// profile returns the profile that a command is about: the flag, the argument,
// AWS_PROFILE, "default".
func (a *app) profile(c *cli.Context, words []string) (string, error) {
	flag := c.String("profile")
	switch {
	case c.IsSet("profile") && flag == "":
		return "", usagef("the profile is empty")
	case len(words) > 1:
		return "", usagef("%s takes one profile, not %s", c.Command.Name, strings.Join(words, " "))
	case len(words) == 1 && flag != "" && words[0] != flag:
		return "", usagef("%s is given two profiles, %s and %s", c.Command.Name, flag, words[0])
	case len(words) == 1:
		return words[0], awsconfig.ValidProfileName(words[0])
	case c.IsSet("profile"):
		return flag, awsconfig.ValidProfileName(flag)
	}
	if name := a.getenv("AWS_PROFILE"); name != "" {
		return name, awsconfig.ValidProfileName(name)
	}
	return awsconfig.DefaultProfile, nil
}

// noWords refuses arguments that a command does not take.
func (a *app) noWords(c *cli.Context) error {
	if len(a.line.words) > 0 {
		return usagef("%s takes no argument, not %q", c.Command.Name, a.line.words[0])
	}
	return nil
}

// printJSON writes v on one line.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printf writes a line for people, free of control characters from elsewhere.
func (a *app) printf(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = printable(text)
		}
	}
	fmt.Fprintf(a.stdout, format, args...)
}

// version is the release, set by the linker.
var version = "0.0.0-dev"

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
	return aboutExit(text, example, exitStatusSummary)
}

// aboutExit is about for a command whose exit statuses are its own.
func aboutExit(text, example, exitStatus string) string {
	return strings.TrimSpace(text) + "\n\nEXAMPLE\n   " + example + "\n\n" + exitStatus
}
