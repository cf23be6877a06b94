// SPDX-License-Identifier: Apache-2.0

// Command broker is what SDKs and users start. Two commands it is itself:
// credential-process, which SDKs run at every turn, and exec. For any other it
// becomes broker-cli, which stands beside it.
//
// It is small because the kernel maps nearly all of a program that starts: with
// every command and the library of the command line linked, each call of an SDK
// took a sixth longer, and half as much memory again (docs/performance.md).
//
// It links no keyring library, no AWS SDK and no HTTP. Standard output is data.
package main

import (
	"context"
	"os"
	"slices"
	"time"

	"credbroker/internal/client"
)

func main() {
	exe, _ := os.Executable() // "" where the system cannot say
	a := &client.App{
		Version: version,
		Exe:     client.Executable(exe, os.Args[0]),
		Called:  os.Args[0],
		Env:     client.Environ(os.Environ()),
		Getenv:  os.Getenv,
		UID:     os.Getuid(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Now:     time.Now,

		Inherited: [3]*os.File{os.Stdin, os.Stdout, os.Stderr},
	}
	args := os.Args[1:]
	if len(args) > 0 && args[0] == client.HelperName && !asksForHelp(args[1:]) {
		os.Exit(a.CredentialProcess(context.Background(), args[1:]))
	}
	if line, ok := a.ParseExec(args); ok {
		os.Exit(exec(a, line))
	}
	os.Exit(client.Report(a.Stderr, a.BecomeCLI(os.Args)))
}

// version is the release, set by the linker.
var version = "0.0.0-dev"

// asksForHelp reports whether a person, not an SDK, runs the helper.
func asksForHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}

// exec is broker exec. It returns only if the child could not be started.
func exec(a *client.App, line client.Line) int {
	ctx, stop := client.UntilSignal(context.Background())
	defer stop()
	return client.StatusUntil(ctx, client.Report(a.Stderr, a.RunExec(ctx, line)))
}
