// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"credbroker/internal/atomicfile"
	"credbroker/vault"
)

// maxItemFile is far over what an encrypted record needs, in bytes.
const maxItemFile = 64 << 10

// lookItem returns ErrNotFound if dir does not have the file of that item, and
// an error if it should not be read.
func lookItem(dir, base, name string) error {
	path := filepath.Join(dir, base)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := checkDir(dir); err != nil { // the item went with its directory
			return err
		}
		return &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in the vault"}
	}
	if err != nil {
		return fileError("look at item "+name, err)
	}
	if err := checkFile(path, info); err != nil {
		return err
	}
	if info.Size() > maxItemFile {
		return &vault.Error{Kind: vault.ErrCorrupt, Text: fmt.Sprintf("item %s has %d bytes", name, info.Size())}
	}
	return nil
}

// readSafe reads a small file that must be ours alone. It wraps fs.ErrNotExist.
func readSafe(path string, limit int64) ([]byte, error) {
	f, err := openSafe(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// writeNew creates a file of mode 0600 with data in it, whole or not at all:
// fs.ErrExist if there is one.
func writeNew(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if err = makePrivate(f.Name()); err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = atomicfile.RenameNew(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncPath(dir)
}

// lock takes the lock file of dir, which is never removed, and returns what
// releases it.
func lock(ctx context.Context, dir string) (release func(), err error) {
	path := filepath.Join(dir, ".lock")
	release, err = atomicfile.Lock(ctx, path)
	switch {
	case errors.Is(err, atomicfile.ErrLocked):
		return nil, &vault.Error{Kind: vault.ErrTimeout, Text: "lock the vault: another process holds " + path}
	case err != nil:
		return nil, fileError("lock the vault", err)
	}
	return release, nil
}

// fileError says what an error of the file system means for a store.
func fileError(act string, err error) error {
	var known *vault.Error
	if errors.As(err, &known) {
		return err
	}
	e := &vault.Error{Kind: vault.ErrFailed, Text: act, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		e.Kind, e.Hint = vault.ErrGone, "mount it or restore it from a backup; the keys are in it"
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Hint = vault.ErrDenied, "make the vault directory writable for you"
	case isReadOnly(err):
		e.Kind = vault.ErrReadOnly
	case isFull(err):
		e.Kind = vault.ErrFull
	}
	return e
}

func unsafe(path, what, hint string) error {
	return &vault.Error{Kind: vault.ErrUnsafe, Text: path + " " + what, Hint: hint + " and try again"}
}
