// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces small files whole and reads them with suspicion.
//
// After a crash, a power cut or a full disk the old content is still there, or
// the new one is: never a part of either. Neither function follows a symbolic
// link in the last element of a path, and Read believes no file that another
// user could have written.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrUnsafe is wrapped when a path is not what a private file must be: a
// regular file of this user, with one name, that nobody else may write.
var ErrUnsafe = errors.New("not a private file")

// ErrTooLarge is wrapped when a file is longer than the reader allows.
var ErrTooLarge = errors.New("file is too large")

// Write replaces the file at path by data, with exactly the permissions perm
// whatever the umask; Windows knows but two of them, see Private. The directory
// must exist. When Write returns nil, name
// and content are on the disk; when it returns an error the old file is
// untouched, unless only the last sync of the directory failed: then either
// may be found after a crash.
//
// It wraps ErrUnsafe, and changes nothing, if path is there and is not a
// regular file of this user. Concurrent writers of one path do no harm; the
// last one wins.
func Write(path string, data []byte, perm fs.FileMode) error {
	if err := write(path, data, perm); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// MkdirAll makes the directory at path, and those above it that are missing,
// with the permissions perm less the umask. When it returns nil they are on the
// disk: a file that is written into them later cannot vanish with them. What
// is there already is left as it is.
func MkdirAll(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make directory %s: a file is in its place", path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	above := filepath.Dir(path)
	if err := MkdirAll(above, perm); err != nil {
		return err
	}
	if err := makeDir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncPath(above)
}

// Read returns the content of the file at path, at most limit bytes. It wraps
//
//   - fs.ErrNotExist if there is none,
//   - ErrTooLarge if it is longer than limit,
//   - ErrUnsafe if it is a symbolic link, not a regular file, has a second
//     name, belongs to another user, or can be written by one.
func Read(path string, limit int64) ([]byte, error) {
	data, err := read(path, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// bare takes the path and the name of the system call off an error: the caller
// says what was done to which file.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
