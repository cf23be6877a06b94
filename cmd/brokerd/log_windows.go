// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"credbroker/internal/atomicfile"
)

// openOwn opens a file of ours alone to write at its end, and returns its size.
func openOwn(path string) (*os.File, int64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, 0, err
	}
	access, err := atomicfile.Private()
	if err != nil {
		return nil, 0, err
	}
	// Without the right to write elsewhere, every write goes to the end.
	handle, err := windows.CreateFile(name, windows.FILE_APPEND_DATA|windows.SYNCHRONIZE|windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_DELETE, access,
		windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(handle), path)
	info, err := f.Stat()
	if err == nil {
		err = atomicfile.Plain(f)
	}
	if err == nil {
		var who string
		if who, err = atomicfile.Others(f, atomicfile.Writing); who != "" {
			err = fmt.Errorf("%s can be written by %s", path, who)
		}
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, 0, err
	}
	return f, info.Size(), nil
}
