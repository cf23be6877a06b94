// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

func write(path string, data []byte, perm fs.FileMode) error {
	if err := checkTarget(path); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), temporaryName(filepath.Base(path)))
	if err := writeNew(tmp, data, perm); err != nil {
		return err
	}
	if err := replace(tmp, path); err != nil {
		_ = os.Remove(tmp) // the rename's error is the one to report
		return err
	}
	return nil
}

// owned reports whether a file may be swept: who may write in the directories of
// a user's profile is this user.
func owned(fs.FileInfo) bool { return true }

// checkTarget refuses to replace anything but a regular file: what stands
// behind a link or a junction was put there for another purpose.
func checkTarget(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return bare(err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: a symbolic link or special file is in its place", ErrUnsafe)
	}
	return nil
}

// writeNew creates path with data and flushes it. On an error nothing is left.
func writeNew(path string, data []byte, perm fs.FileMode) (err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	access, err := attributes(perm)
	if err != nil {
		return err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, access, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(handle), path)
	defer func() {
		if cerr := f.Close(); err == nil {
			err = bare(cerr)
		}
		if err != nil {
			_ = os.Remove(path) // the first error is the one to report
		}
	}()
	if _, err := f.Write(data); err != nil {
		return bare(err)
	}
	return bare(f.Sync())
}

// attributes returns who may open a new file of these permissions: with none
// for others this user alone, else whoever the directory lets.
func attributes(perm fs.FileMode) (*windows.SecurityAttributes, error) {
	if perm&0o077 != 0 {
		return nil, nil // no attributes are the directory's
	}
	return Private()
}

// replace renames from to path and waits until that is on the disk. A file that
// somebody has open, be it a reader of ours or a virus scanner, cannot be
// replaced until it is closed: that is tried for two seconds.
func replace(from, to string) error {
	fromName, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	toName, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	for wait := time.Millisecond; ; wait *= 2 {
		err := windows.MoveFileEx(fromName, toName, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
		open := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !open || wait > time.Second {
			return err
		}
		timer := time.NewTimer(wait)
		<-timer.C
	}
}

// RenameNew moves a file to a name that must be free: it wraps fs.ErrExist, and
// moves nothing, if it is not. Both names must be on one drive.
func RenameNew(from, to string) error {
	fromName, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	toName, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(fromName, toName, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func makeDir(path string, perm fs.FileMode) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	access, err := attributes(perm)
	if err != nil {
		return err
	}
	if err := windows.CreateDirectory(name, access); err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

// syncPath has nothing to do: NTFS keeps names in its own journal, and replace
// writes through.
func syncPath(string) error { return nil }

// openShared opens a file itself, not what it links to, to be read. Readers share
// what they can, so as to be in nobody's way. A directory is opened too, to be
// refused by name.
func openShared(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), path), nil
}

func read(path string, limit int64) ([]byte, error) {
	f, err := openShared(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	if err := checkPrivate(f); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, bare(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, limit)
	}
	return data, nil
}

func checkPrivate(f *os.File) error {
	if err := Plain(f); err != nil {
		return err
	}
	who, err := Others(f, Writing)
	if err != nil {
		return err
	}
	if who != "" {
		return fmt.Errorf("%w: it belongs to, or can be written by, %s", ErrUnsafe, who)
	}
	return nil
}

// Plain wraps ErrUnsafe unless f is a regular file, opened by its one name and
// through no reparse point, which is what links and junctions are.
func Plain(f *os.File) error {
	handle := windows.Handle(f.Fd())
	if kind, err := windows.GetFileType(handle); err != nil || kind != windows.FILE_TYPE_DISK {
		return fmt.Errorf("%w: it is not a regular file", ErrUnsafe)
	}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return err
	}
	switch {
	case info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0:
		return fmt.Errorf("%w: it is a symbolic link", ErrUnsafe)
	case info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0:
		return fmt.Errorf("%w: it is not a regular file", ErrUnsafe)
	case info.NumberOfLinks > 1:
		return fmt.Errorf("%w: it has %d hard links", ErrUnsafe, info.NumberOfLinks)
	}
	return nil
}
