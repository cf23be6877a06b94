// SPDX-License-Identifier: Apache-2.0

package client

import (
	"io/fs"
	"strings"
)

// Namespaces that the kernel makes at boot have fixed inode numbers
// (include/linux/proc_ns.h, "Init namespaces"). They tell a container from a
// machine that was merely booted from a container image and still carries the
// image's marker file, as CI machines do.
const (
	initialIPC    = "ipc:[4026531839]"
	initialUTS    = "uts:[4026531838]"
	initialUser   = "user:[4026531837]"
	initialCgroup = "cgroup:[4026531835]"
)

// identityMap is uid_map of the initial user namespace: every uid maps to
// itself.
const identityMap = "0 0 4294967295"

// markers are the files by which container engines tell processes where they
// are: Docker, Podman (Toolbx and Distrobox with it), systemd-nspawn and LXC.
func markers() []string {
	return []string{".dockerenv", "run/.containerenv", "run/systemd/container"}
}

// Foreign says why a daemon must not be started from here, or "" if it may be.
// A daemon that a client starts inside a container or a sandbox would live and
// die there, see other files, and could still take over a socket that is
// shared with the session outside. root is the root directory; readlink
// follows names like fs.FS does, without the leading slash.
//
// The pid and mount namespaces are not asked: by themselves they are no other
// machine, and unshare --pid, WSL and service managers make them freely.
func Foreign(root fs.FS, readlink func(string) (string, error)) string {
	if exists(root, ".flatpak-info") {
		return "inside a Flatpak sandbox"
	}
	if data, err := fs.ReadFile(root, "proc/self/uid_map"); err == nil {
		if strings.Join(strings.Fields(string(data)), " ") != identityMap {
			return "in a user namespace of its own"
		}
	}
	for _, marker := range markers() {
		if exists(root, marker) && !initialNamespaces(readlink) {
			return "inside a container (/" + marker + ")"
		}
	}
	return ""
}

// initialNamespaces reports whether this process shares with the machine what
// a container never does all at once.
func initialNamespaces(readlink func(string) (string, error)) bool {
	for _, want := range []string{initialIPC, initialUTS, initialUser, initialCgroup} {
		kind, _, _ := strings.Cut(want, ":")
		if got, err := readlink("proc/self/ns/" + kind); err != nil || got != want {
			return false
		}
	}
	return true
}

// exists reports whether a name is there. What cannot be looked at is not.
func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}
