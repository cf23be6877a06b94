// SPDX-License-Identifier: Apache-2.0

package client

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ProgramSuffix is how the name of a program ends.
const ProgramSuffix = ".exe"

// Environ returns an environment as everything here reads it: the names of
// variables have no case on Windows, and are compared in capitals.
func Environ(env []string) []string {
	out := make([]string, 0, len(env))
	for _, entry := range env {
		// Entries that begin with = are the directories of drives.
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			entry = strings.ToUpper(name) + "=" + value
		}
		out = append(out, entry)
	}
	return out
}

// systemEnv is what a daemon that a client starts is given by the system.
func systemEnv() []string {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return nil // os/exec adds what must not be missing
	}
	root := filepath.Dir(system)
	return []string{"PATH=" + system + ";" + root, "SYSTEMROOT=" + root}
}

// daemonNames is what a daemon may know of the shell that
// happened to start it. brokerd enforces a list of its own.
func daemonNames() []string {
	return []string{"USERPROFILE", "APPDATA", "LOCALAPPDATA", "USERNAME", "TEMP", "TMP", "LANG", "TZ", "GOCOVERDIR"}
}

// detach makes cmd outlive this program and its console.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		HideWindow:    true,
		CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP | breakaway(),
	}
}

// askToEnd leaves a process that shares our console alone: what interrupted us,
// Ctrl-C, has reached it too.
func askToEnd(*os.Process) error { return nil }

// breakaway is the flag by which a process leaves our job, if that lets it: an
// editor's terminal ends all of its job with the window.
func breakaway() uint32 {
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	err := windows.QueryInformationJobObject(0, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)), nil)
	if err != nil || limits.BasicLimitInformation.LimitFlags&windows.JOB_OBJECT_LIMIT_BREAKAWAY_OK == 0 {
		return 0
	}
	return windows.CREATE_BREAKAWAY_FROM_JOB
}

// become runs the program at path and ends as it does: Windows has no exec. It
// returns only if the program cannot be started. Ctrl-C reaches the program by
// itself, which is on the same console, and it decides what becomes of it.
func (a *App) become(path string, argv, env []string) error {
	cmd := exec.Command(path) // without a context: see above
	cmd.Args, cmd.Env = argv, env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.Inherited[0], a.Inherited[1], a.Inherited[2]
	ignored := make(chan os.Signal, 1) // what does not fit is dropped
	signal.Notify(ignored, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ignored)
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = cmd.Wait()                       // how it ended is in ProcessState
	os.Exit(cmd.ProcessState.ExitCode()) //nolint:forbidigo // this program is over, as after an exec
	return nil
}

// shell is the program that exec runs when it is given none.
func shell(getenv func(string) string) string { return OrText(getenv("COMSPEC"), "cmd.exe") }
