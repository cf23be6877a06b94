// SPDX-License-Identifier: Apache-2.0

// Command broker-cli is the command line of broker, which becomes this program for
// every command but its own two. It stands beside broker, and nobody needs to start
// it by hand.
//
// It links no keyring library, no AWS SDK and no HTTP. Standard output is data. It
// holds a long-lived secret only during add and import, as a secret.String, on the
// way to a broker-vault worker, and where an AWS file that has one is edited, for as
// long as that takes. It is closed to debuggers then.
package main

import (
	"os"
	"time"

	"credbroker/internal/client"
)

func main() {
	exe, _ := os.Executable() // "" where the system cannot say
	a := &app{App: &client.App{
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
	}, args: os.Args[1:]}
	os.Exit(a.run())
}

// version is the release, set by the linker.
var version = "0.0.0-dev"
