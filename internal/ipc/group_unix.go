// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// StartGroup starts cmd with all that it will start as one: the end of its
// context ends them all, and wait, which must be called, leaves nobody behind.
// On Unix that is a process group, on Windows a job.
func StartGroup(cmd *exec.Cmd) (wait func() error, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		// The group is ended before its leader is waited for: until then its
		// number can be no other group's.
		exited := awaitExit(cmd.Process.Pid)
		_ = killGroup(cmd.Process.Pid) // fails when nobody is left
		return errors.Join(exited, cmd.Wait())
	}, nil
}

// killGroup ends the process group that pid leads.
func killGroup(pid int) error { return unix.Kill(-pid, unix.SIGKILL) }
