// SPDX-License-Identifier: Apache-2.0

//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags open a file to be read, through no link, and without waiting for the
// writer of a FIFO.
const openFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

func openOriginal(path string) (*os.File, error) {
	f, err := os.OpenFile(path, openFlags, 0)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO): // a link; a socket
		return nil, ErrNotRegular
	case errors.Is(err, fs.ErrPermission):
		return nil, explained(path, err)
	}
	return f, err
}

// explained returns why a file should not be opened in place of why it could
// not, where that says more.
func explained(path string, err error) error {
	var st unix.Stat_t
	if unix.Lstat(path, &st) == nil {
		if err := fitStat(&st); err != nil {
			return err
		}
	}
	return err
}

func fit(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	return fitStat(&st)
}

func fitStat(st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return ErrNotRegular
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%w: uid %d", ErrForeign, st.Uid)
	case st.Nlink > 1: // 0 is a file that was replaced after it was opened
		return ErrHardLinked
	case st.Mode&unix.S_IWUSR == 0:
		return fmt.Errorf("%w: mode %04o", ErrReadOnly, st.Mode&0o7777)
	}
	return nil
}

// folder opens the directory of the original. All else happens relative to it,
// so that a directory swapped meanwhile cannot split the files.
func (o *Original) folder() (*os.File, string, error) {
	dir, err := os.OpenFile(filepath.Dir(o.path), os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return dir, filepath.Base(o.path), bare(err)
}

func (o *Original) copy(name string) error {
	dir, _, err := o.folder()
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // opened for reading and sync only
	tmp, fd := temporaryName(name), int(dir.Fd())
	if err := writeNew(dir, tmp, o.data, o.dress); err != nil {
		return err
	}
	if err := renameNew(fd, tmp, fd, name); err != nil {
		_ = unix.Unlinkat(fd, tmp, 0) // the rename's error is the one to report
		return err
	}
	if err := syncDir(dir); err != nil {
		_ = unix.Unlinkat(fd, name, 0) // as above
		return err
	}
	return nil
}

func (o *Original) replace(data []byte, still func() error) error {
	dir, name, err := o.folder()
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // opened for reading and sync only
	tmp, fd := temporaryName(name), int(dir.Fd())
	if err := writeNew(dir, tmp, data, o.dress); err != nil {
		return err
	}
	err = o.stands(fd, name)
	if err == nil {
		err = still()
	}
	if err == nil {
		err = o.rename(fd, tmp, name)
	}
	if err != nil {
		_ = unix.Unlinkat(fd, tmp, 0) // the first error is the one to report
		return err
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return nil
}

func (o *Original) rename(dir int, from, to string) error {
	if o.file != nil {
		return unix.Renameat(dir, from, dir, to)
	}
	err := renameNew(dir, from, dir, to)
	if errors.Is(err, fs.ErrExist) {
		return ErrChanged
	}
	return err
}

// stands returns ErrChanged unless the original stands in dir still.
func (o *Original) stands(dir int, name string) error {
	fd, err := unix.Openat(dir, name, openFlags, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if o.file == nil {
			return nil
		}
		return ErrChanged
	case o.file == nil, errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		return ErrChanged
	case err != nil:
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }() // only read from
	return o.unchanged(f)
}

// sameOwner reports whether two files have the same owner and group.
func sameOwner(a, b fs.FileInfo) bool {
	one, two := a.Sys().(*syscall.Stat_t), b.Sys().(*syscall.Stat_t) //nolint:errcheck // what Stat returns here
	return one.Uid == two.Uid && one.Gid == two.Gid
}

// dress gives a new file the group, attributes and mode of the original, in this
// order: a change of the group takes bits off the mode, and an access list sets
// some.
func (o *Original) dress(f *os.File) error {
	if o.file == nil {
		return f.Chmod(0o600)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	was := o.info.Sys().(*syscall.Stat_t) //nolint:errcheck // what Stat returns here
	if !sameOwner(info, o.info) {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("give the new file to owner %d and group %d: %w", was.Uid, was.Gid, bare(err))
		}
	}
	if err := keepAttributes(int(o.file.Fd()), int(f.Fd())); err != nil {
		return err
	}
	return f.Chmod(o.info.Mode())
}
