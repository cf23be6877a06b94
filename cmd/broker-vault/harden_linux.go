// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

// harden closes this process to others of its user: no debugger, no core dump,
// no file that others can read, no privilege to be won from a program that it
// would start.
func harden() error {
	unix.Umask(0o077)
	if err := secret.HideProcess(); err != nil {
		return err
	}
	// An attribute of threads, of which Go has several by now. In a build with
	// cgo they cannot all be reached: then this one's will do. What the worker
	// starts, itself and the program of a pass store, gains no privilege anyway.
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errors.Is(errno, syscall.ENOTSUP) {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
