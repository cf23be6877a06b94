// SPDX-License-Identifier: Apache-2.0

//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

func write(path string, data []byte, perm fs.FileMode) error {
	// Everything happens relative to this descriptor, so that a directory
	// swapped meanwhile cannot split the temporary file from its target.
	dir, err := os.OpenFile(filepath.Dir(path), os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = dir.Close() }() // opened for reading and sync only
	name := filepath.Base(path)
	if err := checkTarget(dir, name); err != nil {
		return err
	}
	tmp := temporaryName(name)
	if err := writeNew(dir, tmp, data, func(f *os.File) error { return f.Chmod(perm) }); err != nil {
		return err
	}
	if err := unix.Renameat(int(dir.Fd()), tmp, int(dir.Fd()), name); err != nil {
		_ = unix.Unlinkat(int(dir.Fd()), tmp, 0) // the rename's error is the one to report
		return err
	}
	return syncDir(dir)
}

// owned reports whether a file belongs to this user.
func owned(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// checkTarget refuses to replace anything but a regular file of ours: what
// stands behind a link or a device was put there for another purpose.
func checkTarget(dir *os.File, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%w: a symbolic link or special file is in its place", ErrUnsafe)
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: it belongs to uid %d", ErrUnsafe, st.Uid)
	}
	return nil
}

// writeNew creates name in dir with data, lets dress say whose it is and who may
// open it, and syncs it. On an error nothing is left.
func writeNew(dir *os.File, name string, data []byte, dress func(*os.File) error) (err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), name, flags, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() {
		if cerr := f.Close(); err == nil {
			err = bare(cerr)
		}
		if err != nil {
			_ = unix.Unlinkat(int(dir.Fd()), name, 0) // the first error is the one to report
		}
	}()
	if _, err := f.Write(data); err != nil {
		return bare(err)
	}
	// After the content, so that it is never readable more widely than asked,
	// and by descriptor, so that the umask has no say.
	if err := dress(f); err != nil {
		return bare(err)
	}
	return bare(f.Sync())
}

// RenameNew moves a file to a name that must be free: it wraps fs.ErrExist, and
// moves nothing, if it is not. Both names must be on one file system.
func RenameNew(from, to string) error {
	if err := renameNew(unix.AT_FDCWD, from, unix.AT_FDCWD, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// renameNew is RenameNew relative to two directories.
func renameNew(fromDir int, from string, toDir int, to string) error {
	return renameBy(renameExcl, fromDir, from, toDir, to)
}

// renameBy does what renameNew does where the file system can in one step. One
// that cannot, as NFS, can give a file a second name, which never takes the place
// of another; a crash before the first one is gone leaves both.
func renameBy(rename func(int, string, int, string) error, fromDir int, from string, toDir int, to string) error {
	err := rename(fromDir, from, toDir, to)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	if err := unix.Linkat(fromDir, from, toDir, to, 0); err != nil {
		return err
	}
	return unix.Unlinkat(fromDir, from, 0)
}

// syncDir makes a rename durable. Some network and FUSE file systems cannot
// sync a directory and say EINVAL or ENOTSUP; they offer nothing better.
func syncDir(dir *os.File) error {
	err := unix.Fsync(int(dir.Fd()))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

func makeDir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// syncPath brings the names in a directory to the disk.
func syncPath(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // opened for reading and sync only
	return syncDir(dir)
}

func read(path string, limit int64) ([]byte, error) {
	// O_NONBLOCK: opening a FIFO would wait for a writer for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%w: it is a symbolic link", ErrUnsafe)
	}
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = f.Close() }() // only read from
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	if err := checkPrivate(st); err != nil {
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

func checkPrivate(st unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%w: it is not a regular file", ErrUnsafe)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%w: it belongs to uid %d", ErrUnsafe, st.Uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%w: mode %04o lets others write it (chmod go-w)", ErrUnsafe, st.Mode&0o7777)
	case st.Nlink > 1: // 0 is a file that Write replaced after it was opened
		return fmt.Errorf("%w: it has %d hard links", ErrUnsafe, st.Nlink)
	}
	return nil
}
