// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc

import (
	"io/fs"
	"os"
	"syscall"
)

// systemEnv is what any program is given.
func systemEnv(home string) []string {
	return []string{"HOME=" + home, "PATH=/usr/local/bin:/usr/bin:/bin"}
}

// ownSocket reports whether path is a socket that belongs to uid.
func ownSocket(path string, uid int) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == uid
}
