// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func openOriginal(path string) (*os.File, error) {
	f, err := openShared(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

func fit(f *os.File) error {
	var info windows.ByHandleFileInformation
	switch err := Plain(f); {
	case err == nil:
	case windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info) == nil && info.NumberOfLinks > 1:
		return ErrHardLinked
	default:
		return ErrNotRegular
	}
	stat, err := f.Stat()
	if err != nil {
		return bare(err)
	}
	if stat.Mode()&0o200 == 0 {
		return ErrReadOnly
	}
	return nil
}

func (o *Original) copy(name string) error {
	path := filepath.Join(filepath.Dir(o.path), name)
	tmp := filepath.Join(filepath.Dir(o.path), temporaryName(name))
	if err := o.writeLike(tmp, o.data); err != nil {
		return err
	}
	if err := RenameNew(tmp, path); err != nil {
		_ = os.Remove(tmp) // the rename's error is the one to report
		return err
	}
	return nil
}

func (o *Original) replace(data []byte, still func() error) error {
	tmp := filepath.Join(filepath.Dir(o.path), temporaryName(filepath.Base(o.path)))
	if err := o.writeLike(tmp, data); err != nil {
		return err
	}
	err := o.stands()
	if err == nil {
		err = still()
	}
	if err == nil {
		err = o.rename(tmp)
	}
	if err != nil {
		_ = os.Remove(tmp) // the first error is the one to report
	}
	return err
}

func (o *Original) rename(tmp string) error {
	if o.file != nil {
		o.release()
		return replace(tmp, o.path)
	}
	err := RenameNew(tmp, o.path)
	if errors.Is(err, fs.ErrExist) {
		return ErrChanged
	}
	return err
}

// stands returns ErrChanged unless the original stands at its path still.
func (o *Original) stands() error {
	f, err := openShared(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if o.file == nil {
			return nil
		}
		return ErrChanged
	case err != nil:
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	if o.file == nil {
		return ErrChanged
	}
	return o.unchanged(f)
}

// sameOwner has nothing to compare: who may replace a file is its owner's choice,
// in the access list.
func sameOwner(_, _ fs.FileInfo) bool { return true }

// writeLike creates path with data, of this user alone, and then lets in whom the
// original lets in.
func (o *Original) writeLike(path string, data []byte) error {
	if err := writeNew(path, data, 0o600); err != nil {
		return err
	}
	if o.file == nil {
		return nil
	}
	if err := o.dress(path); err != nil {
		_ = os.Remove(path) // the first error is the one to report
		return fmt.Errorf("give the new file the access list of the old: %w", err)
	}
	return nil
}

// dress gives the file at path the access list of the original: the entries of its
// own, and those of the directory unless it shuts them out.
func (o *Original) dress(path string) error {
	sd, err := windows.GetSecurityInfo(windows.Handle(o.file.Fd()), windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	control, _, err := sd.Control()
	if err != nil {
		return err
	}
	what := windows.SECURITY_INFORMATION(windows.DACL_SECURITY_INFORMATION)
	if control&windows.SE_DACL_PROTECTED != 0 {
		what |= windows.PROTECTED_DACL_SECURITY_INFORMATION
	} else {
		what |= windows.UNPROTECTED_DACL_SECURITY_INFORMATION
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, what, nil, nil, dacl, nil)
}
