// SPDX-License-Identifier: Apache-2.0

// Command brokerd is the daemon of one user: it answers broker on a unix socket
// with temporary AWS credentials, and never holds a long-lived key.
//
// It is started by broker when it is needed, or by hand. It stays in the
// foreground, writes a log into the state directory, and says on its standard
// error why it does not serve. It ends with status 75 if another one serves, and
// 78 if it refuses to start.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"credbroker/internal/ipc"
)

// version is set by the linker.
var version = "0.0.0-dev"

// The exit statuses, those of sysexits.h where it has one.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitServed  = 75 // EX_TEMPFAIL: another one serves
	exitRefused = 78 // EX_CONFIG: a place, a file or a variable is not right
)

const usage = `brokerd answers broker with temporary AWS credentials.

USAGE
  brokerd [--log-level debug|info|warn|error]
  brokerd --version

broker starts it when it is needed. The log is brokerd.log in the state directory.

EXIT STATUS
  0 ended by a signal   1 error   2 usage   75 another one serves   78 refused to start
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// refusal is an error that keeps the daemon from starting.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func run(args []string, out, diag io.Writer) int {
	// Before all else: nothing that follows may see another environment.
	if err := scrub(); err != nil {
		fmt.Fprintln(diag, "brokerd: error:", err)
		return exitRefused
	}
	var o struct {
		version bool
		level   slog.Level
	}
	flags := flag.NewFlagSet("brokerd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.version, "version", false, "")
	flags.TextVar(&o.level, "log-level", slog.LevelInfo, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(diag, "brokerd: error: %v\nbrokerd: hint: brokerd --help\n", err)
		return exitUsage
	}
	if o.version {
		fmt.Fprintln(out, "brokerd", version)
		return 0
	}
	return exitStatus(start(o.level), diag)
}

// start serves until a signal ends it. A second signal ends it at once.
func start(level slog.Level) error {
	if err := harden(); err != nil {
		return refusal{fmt.Errorf("give up the right to be looked into: %w", err)}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	d, err := newDaemon(level)
	if err != nil {
		return err
	}
	return d.serve(ctx)
}

// exitStatus tells why the daemon ends, unless it was asked to.
func exitStatus(err error, diag io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(diag, "brokerd: error:", err)
	var r refusal
	switch {
	case errors.Is(err, ipc.ErrServed):
		return exitServed
	case errors.As(err, &r), errors.Is(err, ipc.ErrUnsafe):
		return exitRefused
	}
	return exitFailed
}
