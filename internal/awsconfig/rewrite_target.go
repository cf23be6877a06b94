// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"credbroker/internal/atomicfile"
)

// maxLinks is the longest chain of symbolic links that is followed, Linux's own
// limit (path_resolution(7)).
const maxLinks = 40

// target is the file that a path leads to. It need not be there, and its
// directory neither if no link leads to it.
type target struct {
	path  string
	from  string // the symbolic link that leads to it; empty if it is the path itself
	noDir bool   // its directory is missing
}

// followLinks finds the file behind a path. The error is an Error.
func followLinks(path string) (target, error) {
	t := target{}
	at := path
	for range maxLinks {
		// Not cleaned: "link/.." is the directory above what link leads to.
		dir, name := filepath.Split(at)
		if dir == "" {
			dir = "."
		}
		folder, err := filepath.EvalSymlinks(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && t.from == "" && !hasEntry(filepath.Clean(dir)):
			t.path, t.noDir = filepath.Clean(at), true
			return t, nil
		case errors.Is(err, fs.ErrNotExist):
			return target{}, errorAt(Pos{File: path}, CodeConfigUnwritable, "leads to %s, whose directory is not there", printable(at)).
				hint("mount or make that directory, or remove the link")
		case err != nil:
			return target{}, refused(path, err)
		}
		t.path = filepath.Join(folder, name)
		info, err := os.Lstat(t.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return t, nil
		}
		if err != nil {
			return target{}, refused(path, err)
		}
		next, err := os.Readlink(t.path)
		if err != nil {
			return target{}, refused(path, err)
		}
		if !filepath.IsAbs(next) {
			next = folder + string(filepath.Separator) + next
		}
		at, t.from = next, path
	}
	return target{}, errorAt(Pos{File: path}, CodeConfigUnwritable, "symbolic links lead in a circle").
		hint("look where they lead: ls -l %s", path)
}

// hasEntry reports whether there is something of that name, if only a link that
// leads nowhere.
func hasEntry(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// makeDir makes the directory of a file if it is missing: ~/.aws, but no more
// than that, because a path with more missing in it is more likely misspelt.
func (t target) makeDir() error {
	if !t.noDir {
		return nil
	}
	dir := filepath.Dir(t.path)
	if _, err := os.Stat(filepath.Dir(dir)); err != nil {
		return errorAt(Pos{File: t.path}, CodeConfigUnwritable, "the directory %s is not there", filepath.Dir(dir)).
			hint("correct the path, or make that directory")
	}
	return atomicfile.MkdirAll(dir, newMode)
}

// stands returns atomicfile.ErrChanged unless path leads to the target still.
func (t target) stands(path string) error {
	now, err := followLinks(path)
	if err == nil && now.path != t.path {
		err = atomicfile.ErrChanged
	}
	return err
}

// refused puts an error of an edit into words; nil stays nil. A file that a link
// leads to, and that may not be edited, is likely made by what made the link.
func (t target) refused(err error) error {
	refusal := refused(t.path, err)
	var e *Error
	notOurs := errors.Is(err, atomicfile.ErrNotRegular) || errors.Is(err, atomicfile.ErrForeign) || errors.Is(err, atomicfile.ErrReadOnly) ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
	if t.from != "" && notOurs && errors.As(refusal, &e) {
		e.Message += "; " + t.from + " is a symbolic link to it"
		e.Hint = "if another program made that link, a manager of dotfiles perhaps, change the file where that program has it"
	}
	return refusal
}

// refused is an Error for what the system, or package atomicfile, said of a file
// that was to be edited. What is one already, and ErrChanged, stay.
func refused(path string, err error) error {
	var own *Error
	if err == nil || errors.Is(err, atomicfile.ErrChanged) || errors.As(err, &own) {
		return err
	}
	e := errorAt(Pos{File: path}, CodeConfigUnwritable, "cannot be edited: %v", err)
	switch {
	case errors.Is(err, atomicfile.ErrUnsure):
		e.Message = err.Error()
		return e.hint("look at the file, and at the disk: see dmesg")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Code = CodeDiskFull
	case errors.Is(err, syscall.EROFS):
		e.Code = CodeReadOnly
	case errors.Is(err, atomicfile.ErrHardLinked):
		return e.hint("give it one name: cp -p %s %[1]s.new && mv %[1]s.new %[1]s", path)
	case errors.Is(err, atomicfile.ErrForeign):
		return e.hint("run this as the user whose file it is")
	case errors.Is(err, atomicfile.ErrReadOnly):
		return e.hint("if it may be edited: chmod u+w %s", path)
	case errors.Is(err, fs.ErrPermission):
		return e.hint("make the folder and the file writable for you; what is immutable shows with lsattr -d")
	}
	return e
}
