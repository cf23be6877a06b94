// SPDX-License-Identifier: Apache-2.0

// Command broker is the client: it carries requests from the command line and
// from AWS SDKs to brokerd, and prints what comes back.
//
// It links no keyring library, no AWS SDK and no HTTP, and credential-process
// is dispatched before any command line is built: SDKs run it at every turn.
// Standard output is data. It holds a long-lived secret only during add and
// import, as a secret.String, on the way to a broker-vault worker, and where an
// AWS file that has one is edited, for as long as that takes. It is closed to
// debuggers then.
package main

import (
	"os"
	"slices"
	"time"
)

func main() {
	a := &app{App: &App{
		called: os.Args[0],
		env:    environ(os.Environ()),
		getenv: os.Getenv,
		uid:    os.Getuid(),
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		now:    time.Now,
	}, args: os.Args[1:]}
	if len(a.args) > 0 && a.args[0] == helperName && !asksForHelp(a.args[1:]) {
		os.Exit(a.credentialProcess(a.args[1:]))
	}
	os.Exit(a.run())
}

// asksForHelp reports whether a person, not an SDK, runs the helper.
func asksForHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}
