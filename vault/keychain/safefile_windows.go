// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"credbroker/internal/atomicfile"
)

// checkDir refuses a directory that is not ours alone.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fileError("open the vault directory "+dir, err)
	}
	if !info.IsDir() { // nor is a link or junction to one
		return unsafe(dir, "is not a directory", "move it away")
	}
	return checkAccess(dir, func(*os.File) error { return nil })
}

// checkFile refuses a file that is not a plain one that only we can reach.
func checkFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return unsafe(path, "is not a plain file", "remove it")
	}
	return checkAccess(path, atomicfile.Plain)
}

// checkAccess refuses what anybody but us may read or write, and what check
// refuses.
func checkAccess(path string, check func(*os.File) error) error {
	f, err := openPath(path, windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES)
	if err != nil {
		return fileError("look at "+path, err)
	}
	defer f.Close()
	if err := check(f); err != nil {
		return unsafe(path, "is no plain file with one name: "+err.Error(), "remove the other one")
	}
	who, err := atomicfile.Others(f, atomicfile.Reading|atomicfile.Writing)
	switch {
	case err != nil:
		return fileError("look at "+path, err)
	case who != "":
		return unsafe(path, "is open to "+who, fmt.Sprintf("take that right away (icacls %q /remove *%s)", path, who))
	}
	return nil
}

// openPath opens a file or directory itself, not what it links to.
func openPath(path string, access uint32) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := windows.CreateFile(name, access,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// openSafe opens a file to be read, and follows no link.
func openSafe(path string) (*os.File, error) { return openPath(path, windows.GENERIC_READ) }

// syncPath brings a file to the disk. The names in a directory are in NTFS's
// journal.
func syncPath(path string) error {
	if info, err := os.Lstat(path); err != nil || info.IsDir() {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// makePrivate takes a file of ours from everybody else, whatever its directory
// lets through.
func makePrivate(path string) error {
	access, err := atomicfile.Private()
	if err != nil {
		return err
	}
	dacl, _, err := access.SecurityDescriptor.DACL()
	if err != nil {
		return err
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return &fs.PathError{Op: "make private", Path: path, Err: err}
	}
	return nil
}

func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
