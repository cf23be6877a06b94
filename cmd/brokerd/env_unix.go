// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"
)

// programSuffix is how the name of a program ends.
const programSuffix = ""

// fixedPath is the PATH of the daemon and of all that it starts.
const fixedPath = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

// systemEnviron is what the daemon has whatever it was started with.
func systemEnviron() []string { return []string{fixedPath} }

// allowedNames and allowedPrefixes are the variables that the daemon may see.
// Whatever else it was started with is dropped before any work: the Go runtime
// and net obey GODEBUG, GOTRACEBACK and SSL_CERT_FILE, and the AWS SDK its own.
func allowedNames() []string {
	return []string{
		"HOME", "USER", "LOGNAME", "LANG", "TZ",
		"XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP",
		"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", sessionBus,
		"NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "GOCOVERDIR",
	}
}

// isClean reports whether environ holds nothing but what cleanEnviron leaves.
func isClean(environ []string) bool {
	return slices.Contains(environ, fixedPath) && !slices.ContainsFunc(environ, func(entry string) bool {
		return entry != fixedPath && !allowed(entry)
	})
}

// scrub starts this program anew if its environment holds what it must not
// see. It looks at the environment itself: a variable that says "clean already"
// could be set by anybody. It returns only if all is well or the start fails.
func scrub() error {
	environ := os.Environ()
	if isClean(environ) {
		return nil
	}
	if err := syscall.Exec(self(), os.Args, cleanEnviron(environ)); err != nil {
		return fmt.Errorf("start again with a clean environment: %w", err)
	}
	return nil
}

// self returns a path of the program that runs, even if its file was replaced.
func self() string {
	const proc = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return proc
	}
	running, err := os.Stat(proc)
	if err != nil {
		return path
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(running, there) {
		return proc
	}
	return path
}
