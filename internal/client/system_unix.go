// SPDX-License-Identifier: Apache-2.0

//go:build unix

package client

import (
	"os"
	"os/exec"
	"syscall"
)

// ProgramSuffix is how the name of a program ends.
const ProgramSuffix = ""

// Environ returns an environment as everything here reads it.
func Environ(env []string) []string { return env }

// daemonPath is the PATH of a daemon that a client starts.
const daemonPath = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

// systemEnv is what a daemon that a client starts is given by the system.
func systemEnv() []string { return []string{daemonPath} }

// daemonNames is what a daemon may know of the shell that
// happened to start it. brokerd enforces a list of its own.
func daemonNames() []string {
	return []string{
		"HOME", "USER", "LOGNAME", "LANG", "TZ",
		"XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP",
		"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "GOCOVERDIR",
	}
}

// detach makes cmd outlive this program and its terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// become replaces this process by the program at path. It returns only if that
// fails.
func (*App) become(path string, argv, env []string) error { return syscall.Exec(path, argv, env) }

// askToEnd asks a process to end, and gives it the time to clean up.
func askToEnd(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// shell is the program that exec runs when it is given none.
func shell(getenv func(string) string) string { return OrText(getenv("SHELL"), "/bin/sh") }
