// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"

	"credbroker/internal/ipc"
)

// sessionBus is the one variable whose value counts: it must be the path of a
// unix socket of ours.
const sessionBus = "DBUS_SESSION_BUS_ADDRESS"

// allowedPrefixes is how the names of more of them begin.
func allowedPrefixes() []string { return []string{"LC_", "LISTEN_", "WATCHDOG_", "BROKER_"} }

// cleanEnviron returns what of environ the daemon may see, in its order, and
// what the system needs.
func cleanEnviron(environ []string) []string {
	clean := systemEnviron()
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
