// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker

import (
	"os"
	"syscall"
)

// ownerOf returns the uid of a file.
func ownerOf(path string) (int, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
