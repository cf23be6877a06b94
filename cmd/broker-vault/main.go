// SPDX-License-Identifier: Apache-2.0

// Command broker-vault is the worker of broker and brokerd: it carries out one
// operation on a long-lived AWS access key, answers, and exits, which is the
// only sure way to forget a secret.
//
// The exception is "broker-vault hold", which an unlock leaves behind: it holds
// the key of a file vault that opens with a passphrase, for the workers that
// come after, and touches no access key.
//
// The request is one JSON line on standard input, the reply one on standard
// output, in the protocol of internal/ipc. No secret is ever in its arguments
// or environment. It is not meant to be run by hand.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/keychain"
)

// version is set by the linker.
var version = "0.0.0-dev"

// Whoever starts a worker has its request ready, and kills one that overstays
// by 5 s. The worker does not rely on that: it ends by itself before.
const (
	requestTime = 10 * time.Second
	grace       = 2 * time.Second
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, diag io.Writer) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Fprintln(out, "broker-vault", version)
		return 0
	}
	do := serve
	if len(args) == 1 && args[0] == "hold" {
		args, do = nil, hold
	}
	if len(args) > 0 {
		fmt.Fprintln(diag, "broker-vault: it is started by broker and brokerd, one process per operation, and takes no arguments")
		return 2
	}
	if err := start(do, in, out); err != nil {
		fmt.Fprintln(diag, "broker-vault: error:", err)
		return 1
	}
	return 0
}

// start closes this process to others before it reads a byte.
func start(do func(io.Reader, io.Writer) error, in io.Reader, out io.Writer) error {
	debug.SetTraceback("none") // a trace shows arguments
	if err := harden(); err != nil {
		return fmt.Errorf("give up the right to be looked into: %w", err)
	}
	return do(in, out)
}

// serve carries out the one operation that is asked for on in.
func serve(in io.Reader, out io.Writer) error {
	watchdog := time.AfterFunc(requestTime, overdue)
	defer watchdog.Stop()

	limits := vault.DefaultLimits()
	worker, err := vault.New(vault.Options{Open: opener(limits.Call), Unlock: unlock, Foreign: foreignOpener(limits.Call), AWS: dialAWS, Session: dialIAM, Now: time.Now, Limits: limits})
	if err != nil {
		return err
	}
	return ipc.ServeOne(context.Background(), in, out, func(ctx context.Context, c *ipc.Conversation) (json.RawMessage, error) {
		watchdog.Reset(vault.Budget(c.Request.Op, c.Request.Params) + grace)
		if c.Request.Op == ipc.OpCreateKey {
			// A logout, or a service that is stopped, says so to every process. Nobody
			// else can keep what IAM is about to answer, and it is a matter of seconds.
			signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		}
		return worker.Run(ctx, c.Request.Op, c.Request.Params)
	})
}

// overdue ends a process that is stuck in a library which knows no deadlines.
func overdue() { os.Exit(1) }

const busVariable = "DBUS_SESSION_BUS_ADDRESS"

// opener opens the store of a request, on the bus that this process was
// started with: the library has connected to it before main.
func opener(call time.Duration) func(context.Context, ipc.Store, bool) (vault.Backend, error) {
	bus, session := buses()
	return func(ctx context.Context, store ipc.Store, create bool) (vault.Backend, error) {
		if err := checkBus(store, bus); err != nil {
			return nil, err
		}
		return keychain.Open(ctx, keychain.Config{
			Backend:        store.Backend,
			Dir:            store.Dir,
			PassphraseFile: store.PassphraseFile,
			Key:            askHolder(store.Holder),
			Create:         create,
			Silent:         store.Silent,
			Bus:            bus,
			Keychain:       store.Keychain,
			Home:           os.Getenv("HOME"),
			Program:        store.Program,
			Environ:        os.Environ(),
			Session:        session,
			Call:           call,
		})
	}
}

// foreignOpener opens the store of another program that a request names.
func foreignOpener(call time.Duration) func(context.Context, ipc.Foreign, secret.String) (vault.ForeignStore, error) {
	bus, session := buses()
	return func(ctx context.Context, source ipc.Foreign, passphrase secret.String) (vault.ForeignStore, error) {
		if err := checkBus(source.Store, bus); err != nil {
			return nil, err
		}
		return keychain.OpenForeign(ctx, keychain.Foreign{
			Config: keychain.Config{
				Backend:  source.Backend,
				Dir:      source.Dir,
				Silent:   source.Silent,
				Bus:      bus,
				Keychain: source.Keychain,
				Home:     os.Getenv("HOME"),
				Program:  source.Program,
				Environ:  os.Environ(),
				Session:  session,
				Call:     call,
			},
			Owner: source.Owner, Collection: source.Collection, Prefix: source.Prefix, Passphrase: passphrase,
		})
	}
}

// buses returns the session bus that this process was started with, "" for none,
// and what leads programs with dialogs to the user's.
func buses() (bus string, session []string) {
	bus = os.Getenv(busVariable)
	if bus == ipc.NoBus {
		bus = ""
	}
	if dialogs := os.Getenv(ipc.WorkerBus); dialogs != "" {
		session = []string{busVariable + "=" + dialogs}
	}
	return bus, session
}

func checkBus(store ipc.Store, bus string) error {
	if store.Backend == keychain.SecretService && store.Service != "" && store.Service != bus {
		return &ipc.Error{Code: ipc.CodeInternal, Message: "open the secret-service: the worker was started with another session bus"}
	}
	return nil
}
