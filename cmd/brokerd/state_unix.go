// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockDir locks the lock file in dir, for as long as it is open. With errKept
// it returns the file of whoever holds it.
func lockDir(dir string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(filepath.Join(dir, stateLock), flags, 0o600)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		f, err = os.Open(dir) // the stored keys can be used all the same
	}
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return f, errKept
	case err != nil:
		_ = f.Close() // only a lock
		return nil, fmt.Errorf("lock the state directory %s: %w", dir, err)
	}
	return f, nil
}
