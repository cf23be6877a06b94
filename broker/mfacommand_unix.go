// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker

import (
	"os/exec"
	"syscall"
)

// ownGroup gives cmd a process group of its own and lets its context kill the
// whole group: a script must not leave its children behind.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
