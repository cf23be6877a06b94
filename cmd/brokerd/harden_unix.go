// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// closeInherited closes the descriptors that came with the start, but for the
// three standard ones: an SDK waits for as long as anybody holds the pipe that
// it gave its helper. They are those without close-on-exec, which everything
// that Go opens has. dir is where the system lists them.
func closeInherited(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list open descriptors: %w", err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd < 3 {
			continue
		}
		// An error means that it is closed already: that of the directory.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			if err := unix.Close(fd); err != nil {
				return fmt.Errorf("close descriptor %d: %w", fd, err)
			}
		}
	}
	return nil
}
