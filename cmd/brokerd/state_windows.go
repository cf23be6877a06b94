// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// lockDir opens the lock file in dir so that nobody else can write it: that is
// the lock. With errKept it returns the file of whoever holds it.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, stateLock)
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ, nil,
		windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err == nil {
		return os.NewFile(uintptr(handle), path), nil
	}
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		if f, ferr := os.Open(path); ferr == nil { // which shares it for writing
			return f, errKept
		}
	}
	return nil, fmt.Errorf("lock the state directory %s: %w", dir, err)
}
