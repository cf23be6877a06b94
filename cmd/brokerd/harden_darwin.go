// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

// harden closes this process to others of its user: no debugger, no core dump,
// no file that others can read, no descriptor or directory of whoever started
// it.
func harden() error {
	if err := secret.HideProcess(); err != nil {
		return err
	}
	unix.Umask(0o077)
	if err := closeInherited("/dev/fd"); err != nil {
		return err
	}
	return os.Chdir("/")
}
