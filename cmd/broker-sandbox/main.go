// SPDX-License-Identifier: Apache-2.0

// Command broker-sandbox is a pretend AWS account on loopback, for trying and
// testing broker without AWS. It is wiring around internal/fakeaws: serve runs
// the account, the other commands talk to a running one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// The exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

const help = `NAME:
   broker-sandbox - a pretend AWS account on this machine

USAGE:
   broker-sandbox serve [--listen 127.0.0.1:0] [--tls] [--partition P] [--ready-file F]
   broker-sandbox account --endpoint URL
   broker-sandbox code    --endpoint URL [--serial S]
   broker-sandbox log     --endpoint URL [--json] [--follow]
   broker-sandbox set     --endpoint URL KNOB=VALUE...
   broker-sandbox reset   --endpoint URL

COMMANDS:
   serve    serve STS, IAM and CloudTrail until SIGINT or SIGTERM; print the account as JSON
   account  print the account as JSON, with the keys that it has now
   code     print the next unused code of a pretend phone
   log      print the requests that the account has seen
   set      turn knobs: make the account slow, broken, strict or late
   reset    put all knobs and keys back and empty the log

"broker-sandbox COMMAND --help" tells the options of a command. They may stand
anywhere on the line.

EXIT STATUS:
   0 ok, 1 error, 2 usage
`

// usageError is a mistake on the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// app is what the commands need of the outside world.
type app struct {
	stdout, stderr io.Writer
	now            func() time.Time
}

type command func(a *app, ctx context.Context, args []string) error

func commands() map[string]command {
	return map[string]command{
		"serve":   (*app).serve,
		"account": (*app).account,
		"code":    (*app).code,
		"log":     (*app).log,
		"set":     (*app).set,
		"reset":   (*app).reset,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
	status := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// run carries out one command line and returns the exit status.
func (a *app) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(a.stderr, help)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(a.stdout, help)
		return exitOK
	}
	cmd, ok := commands()[args[0]]
	if !ok {
		return a.fail(usagef("unknown command %q", args[0]))
	}
	err := cmd(a, ctx, args[1:])
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	return a.fail(err)
}

func (a *app) fail(err error) int {
	fmt.Fprintf(a.stderr, "broker-sandbox: error: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(a.stderr, "broker-sandbox: hint: run \"broker-sandbox --help\"")
		return exitUsage
	}
	return exitError
}

// options are the flags of one command, and its help.
type options struct {
	*flag.FlagSet
	text string
	out  io.Writer
}

func (a *app) options(name, text string) options {
	o := options{flag.NewFlagSet(name, flag.ContinueOnError), text, a.stdout}
	o.SetOutput(io.Discard)
	o.Usage = func() {} // parse decides
	return o
}

// parse reads flags wherever they stand and returns the other words. After
// --help it prints the help and returns flag.ErrHelp.
func (o options) parse(args []string) ([]string, error) {
	var words []string
	for {
		if err := o.Parse(args); errors.Is(err, flag.ErrHelp) {
			o.help()
			return nil, err
		} else if err != nil {
			return nil, usagef("%s: %w", o.Name(), err)
		}
		if o.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, o.Arg(0)), o.Args()[1:]
	}
}

// parseNone is parse for commands without other words.
func (o options) parseNone(args []string) error {
	words, err := o.parse(args)
	if err == nil && len(words) > 0 {
		return usagef("%s: unexpected argument %q", o.Name(), words[0])
	}
	return err
}

func (o options) help() {
	fmt.Fprintf(o.out, "%s\nOPTIONS:\n", o.text)
	o.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(o.out, "   %-19s  %s\n", strings.TrimSpace("--"+f.Name+" "+value), usage)
	})
	fmt.Fprintf(o.out, "   %-19s  %s\n", "--help", "show this help")
}
