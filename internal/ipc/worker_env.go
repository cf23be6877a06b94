// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"path/filepath"
	"strings"
)

// NoBus is the D-Bus address of a worker that needs no session bus. A worker
// without an address would run dbus-launch before its main begins, which leaves
// a bus behind in every run; to this one a connection is refused at once.
const NoBus = "unix:path=/dev/null"

// WorkerBus is the variable with the session bus for the dialogs of a store
// which itself needs none.
const WorkerBus = "BROKER_DIALOG_BUS"

// WorkerEnv returns the whole environment of a worker: a fixed list, so that
// nothing which a client or a daemon was started with reaches it. home is an
// absolute path, bus the session bus from SessionBus or "". Only a
// secret-service is given a bus; every other store gets NoBus. extra, as in
// "GOCOVERDIR=/…", is appended; no secret may be in it.
func WorkerEnv(store Store, home, bus string, extra ...string) []string {
	return workerEnv([]Store{store}, home, bus, extra)
}

// ForeignEnv is WorkerEnv for a worker that opens a foreign store and, unless it
// is zero, one of broker's.
func ForeignEnv(source Foreign, store Store, home, bus string, extra ...string) []string {
	return workerEnv([]Store{source.Store, store}, home, bus, extra)
}

func workerEnv(stores []Store, home, bus string, extra []string) []string {
	var more []string
	own := NoBus
	for _, store := range stores {
		switch {
		case store.Backend == "pass":
			more = passEnv(store, bus) // of two the last: both are told their directory with each call
		case store.Backend == "secret-service" && bus != "":
			own = bus
		}
	}
	env := append(systemEnv(home),
		"DBUS_SESSION_BUS_ADDRESS="+own,
		"DISABLE_KWALLET=1", // the keyring library would look for it on the bus
	)
	return append(append(env, more...), extra...)
}

// passEnv is what pass and gpg are started with. gpg, when pass runs it, must
// not ask: nothing bounds its dialog. The worker asks first, with a bound.
func passEnv(store Store, bus string) []string {
	env := []string{"PASSWORD_STORE_DIR=" + store.Dir, "PASSWORD_STORE_GPG_OPTS=--pinentry-mode=error --batch --no-tty"}
	if store.GnuPGHome != "" {
		env = append(env, "GNUPGHOME="+store.GnuPGHome)
	}
	if bus != "" {
		env = append(env, WorkerBus+"="+bus)
	}
	return env
}

// DialogEnv returns what of a user's session a store needs that starts a
// program with a dialog, for the extra of WorkerEnv: nothing for all but pass.
func DialogEnv(store Store, getenv func(string) string) []string {
	var env []string
	if store.Backend != "pass" {
		return env
	}
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "GPG_TTY", "TERM", "LANG"} {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// SessionBus returns the address of the user's session bus, or "" if there is
// none to be trusted: the socket "bus" in runtimeDir (/run/user/UID) if it is
// of uid, else address (DBUS_SESSION_BUS_ADDRESS) if it is the path of a unix
// socket of uid. A bus sees every secret that a secret-service hands out, so
// another's is as good as none.
func SessionBus(runtimeDir, address string, uid int) string {
	if path := filepath.Join(runtimeDir, "bus"); filepath.IsAbs(path) && ownSocket(path, uid) {
		return "unix:path=" + path
	}
	path, ok := strings.CutPrefix(address, "unix:path=")
	path, _, _ = strings.Cut(path, ",") // the guid of the bus
	if !ok || !filepath.IsAbs(path) || strings.ContainsAny(path, "%;") || !ownSocket(path, uid) {
		return ""
	}
	return "unix:path=" + path
}
