// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"credbroker/internal/ipc"
)

// fixedPath is the PATH of the daemon and of all that it starts.
const fixedPath = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

// sessionBus is the one variable whose value counts: it must be the path of a
// unix socket of ours.
const sessionBus = "DBUS_SESSION_BUS_ADDRESS"

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

func allowedPrefixes() []string { return []string{"LC_", "LISTEN_", "WATCHDOG_", "BROKER_"} }

// cleanEnviron returns what of environ the daemon may see, in its order, and
// the fixed PATH.
func cleanEnviron(environ []string) []string {
	clean := []string{fixedPath}
	for _, entry := range environ {
		if allowed(entry) {
			clean = append(clean, entry)
		}
	}
	return clean
}

func allowed(entry string) bool {
	name, value, ok := strings.Cut(entry, "=")
	if name == sessionBus && ipc.SessionBus("", value, os.Getuid()) == "" {
		return false // godbus would run a program, or talk to another machine
	}
	return ok && (slices.Contains(allowedNames(), name) || hasAnyPrefix(name, allowedPrefixes()))
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

// commandEnviron is what an mfa_command is given where broker init recorded
// nothing: the user's session, without what concerns the daemon alone. HOME is
// there even if whoever started the daemon had none: an SDK in a bare
// environment.
func commandEnviron(environ []string, bus, home string) []string {
	drop := []string{"HOME", sessionBus, "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "GOCOVERDIR"}
	out := slices.DeleteFunc(cleanEnviron(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(drop, name) || !strings.HasPrefix(name, "LC_") && hasAnyPrefix(name, allowedPrefixes())
	})
	out = append(out, "HOME="+home)
	if bus != "" {
		out = append(out, sessionBus+"="+bus)
	}
	return out
}

func hasAnyPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
