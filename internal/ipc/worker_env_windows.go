// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// systemEnv is what any program is given: without SYSTEMROOT no socket opens.
func systemEnv(home string) []string {
	env := []string{"USERPROFILE=" + home}
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return env // os/exec finds out what must not be missing
	}
	root := filepath.Dir(system)
	return append(env, "PATH="+system+";"+root, "SYSTEMROOT="+root)
}

// ownSocket reports that there is none: Windows has no session bus.
func ownSocket(string, int) bool { return false }
