// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

// harden closes this process to others of its user: no debugger, no core dump,
// no file that others can read.
func harden() error {
	unix.Umask(0o077)
	return secret.HideProcess()
}
