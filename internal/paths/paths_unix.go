// SPDX-License-Identifier: Apache-2.0

//go:build unix

package paths

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const homeVariable = "HOME"

func passwdHome(uid int) (string, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return "", errors.New("there is no passwd entry")
	}
	return u.HomeDir, nil
}

// defaultSocket is in the user's runtime directory where the system made one,
// else in the state directory, else, where that is too deep for a socket, in a
// directory of the user's own in /tmp.
func defaultSocket(h host, uid int, state string) (string, error) {
	id := strconv.Itoa(uid)
	dir := state
	if run := filepath.Join(h.run, id); ownedDir(run, uid) {
		dir = filepath.Join(run, "broker")
	}
	path := filepath.Join(dir, "broker.sock")
	if len(path) > MaxSocket {
		path = filepath.Join(h.tmp, "broker-"+id, "broker.sock")
	}
	return path, nil
}

func checkSocket(path string) error {
	if len(path) > MaxSocket {
		return fmt.Errorf("%s is %d bytes long: a socket path has at most %d", EnvSocket, len(path), MaxSocket)
	}
	return nil
}

func runtimeDir(socket, _ string) string { return filepath.Dir(socket) }

// ownedDir reports whether path is a directory, not a link to one, of uid.
func ownedDir(path string, uid int) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}
