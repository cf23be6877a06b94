// SPDX-License-Identifier: Apache-2.0

//go:build unix

package keychain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkDir refuses a directory that is not ours alone.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fileError("open the vault directory "+dir, err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0 || !info.IsDir():
		return unsafe(dir, "is not a directory", "move it away")
	case owner(info) != os.Getuid():
		return unsafe(dir, "belongs to another user", "chown it")
	case info.Mode().Perm()&0o077 != 0:
		return unsafe(dir, fmt.Sprintf("has mode %04o", info.Mode().Perm()), "chmod 700 it")
	}
	return nil
}

// checkFile refuses a file that is not a plain one that only we can reach.
func checkFile(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return unsafe(path, "is not a plain file", "remove it")
	case owner(info) != os.Getuid():
		return unsafe(path, "belongs to another user", "chown it")
	case links(info) != 1:
		return unsafe(path, "has a second name (hard link)", "remove the other one")
	case info.Mode().Perm()&0o077 != 0:
		return unsafe(path, fmt.Sprintf("has mode %04o", info.Mode().Perm()), "chmod 600 it")
	}
	return nil
}

// openSafe opens a file to be read, and neither follows a link nor waits.
func openSafe(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, unsafe(path, "is a symbolic link", "name the file itself")
	}
	return f, err
}

// syncPath brings a file or directory to the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// makePrivate has nothing to do: os.CreateTemp and the library make files of
// mode 0600.
func makePrivate(string) error { return nil }

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func owner(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}

func links(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(stat.Nlink) // its type differs between platforms
}
