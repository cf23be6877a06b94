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

// WorkerEnv returns the whole environment of a worker: a fixed list, so that
// nothing which a client or a daemon was started with reaches it. home is an
// absolute path, bus the session bus from SessionBus or "". Only a
// secret-service is given a bus; every other store gets NoBus. extra, as in
// "GOCOVERDIR=/…", is appended; no secret may be in it.
func WorkerEnv(store Store, home, bus string, extra ...string) []string {
	if bus == "" || store.Backend != "secret-service" {
		bus = NoBus
	}
	return append(append(systemEnv(home),
		"DBUS_SESSION_BUS_ADDRESS="+bus,
		"DISABLE_KWALLET=1", // the keyring library would look for it on the bus
	), extra...)
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
