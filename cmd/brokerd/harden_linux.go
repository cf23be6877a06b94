// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

// harden closes this process to others of its user: no debugger, no core dump,
// no file that others can read, no privilege to be won from a program that it
// starts, no descriptor or directory of whoever started it.
func harden() error {
	if err := secret.HideProcess(); err != nil {
		return err
	}
	if err := noNewPrivileges(); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	unix.Umask(0o077)
	if err := closeInherited("/proc/self/fd"); err != nil {
		return err
	}
	return os.Chdir("/")
}

// noNewPrivileges sets an attribute of threads, of which Go has several by now.
// A build with cgo cannot reach them all: there it holds for this one and for
// those that it starts.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errors.Is(errno, syscall.ENOTSUP) {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
