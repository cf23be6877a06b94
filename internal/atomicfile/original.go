// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// What makes a file unfit to be replaced by a new one of the same name: it would
// lose what it is.
var (
	ErrNotRegular = errors.New("not a regular file")
	ErrHardLinked = errors.New("a file with a second name (hard link)")
	ErrForeign    = errors.New("a file of another user")
	ErrReadOnly   = errors.New("a read-only file")
)

// ErrChanged is wrapped when a file is not the one any more that was opened, or
// does not hold the same.
var ErrChanged = errors.New("it was changed meanwhile")

// Original is a file that belongs to the user, not to us alone, as it stood when
// Open read it: others may read it, and other programs write it, that know no
// lock of ours. Replace keeps what it is and refuses to undo what they did. It is
// for one goroutine.
type Original struct {
	path string
	file *os.File    // nil if there was none
	info fs.FileInfo // what file was
	data []byte
}

// Open reads the file at path, at most limit bytes, which is to be replaced. One
// that is not there, nor perhaps its directory, is empty. Open wraps
// ErrNotRegular, also for a symbolic link, ErrHardLinked, ErrForeign, ErrReadOnly
// and ErrTooLarge. The caller closes the Original, which wipes what was read.
func Open(path string, limit int64) (*Original, error) {
	f, err := openOriginal(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Original{path: path}, nil
	}
	if err != nil {
		return nil, bare(err)
	}
	o := &Original{path: path, file: f}
	if o.info, err = f.Stat(); err == nil {
		err = fit(f)
	}
	if err == nil {
		o.data, err = content(f, limit)
	}
	if err != nil {
		o.Close()
		return nil, bare(err)
	}
	return o, nil
}

// content reads a file into one buffer of the right size: a buffer that grows
// leaves copies behind. The caller wipes it.
func content(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, limit)
	}
	data := make([]byte, info.Size()+1)
	n, err := io.ReadFull(f, data)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return data[:n], nil
	case err != nil:
		clear(data)
		return nil, bare(err)
	}
	clear(data)
	return nil, ErrChanged // it grows
}

// Exists reports whether there was a file.
func (o *Original) Exists() bool { return o.file != nil }

// Data returns what the file held. Close wipes it.
func (o *Original) Data() []byte { return o.data }

// Close wipes what was read.
func (o *Original) Close() {
	clear(o.data)
	o.release()
}

// release closes the file, which Windows would not replace while it is open.
func (o *Original) release() {
	if o.file != nil {
		_ = o.file.Close() // only read from
	}
}

// Copy writes what was read to a new file called name beside the original, which
// must be one: with its mode, owner, group and attributes, and on the disk when
// Copy returns nil. It wraps fs.ErrExist if the name is taken; whatever the
// error, nothing has changed.
func (o *Original) Copy(name string) error {
	return o.inFolder(o.copy(name))
}

// Replace puts data in the place of the original: with its mode, owner, group
// and, on Linux, its extended attributes, of which access lists are some; on
// Windows with its access list. A file that was not there is made with mode 0600,
// in a directory that must be there. When Replace returns nil, name and content
// are on the disk.
//
// It wraps ErrChanged if what stands at the path by now is not the file that was
// opened, with the same content, owner and mode. The last to be asked is still:
// its error, too, leaves everything as it is. So does any other, unless only the
// last sync of the directory failed, when it wraps ErrUnsure.
//
// What another program does between that look and the rename, some microseconds
// later, is lost: no system has a rename that looks at what it replaces.
func (o *Original) Replace(data []byte, still func() error) error {
	return o.inFolder(o.replace(data, still))
}

// ErrUnsure is wrapped when a file was replaced, but the disk did not confirm it:
// after a power cut, either may be found.
var ErrUnsure = errors.New("it was replaced, but the disk does not confirm it")

// inFolder names the directory in an error of the system, which may be about it.
func (o *Original) inFolder(err error) error {
	if err == nil || errors.Is(err, ErrChanged) || errors.Is(err, ErrUnsure) {
		return err
	}
	return fmt.Errorf("write in %s: %w", filepath.Dir(o.path), err)
}

// unchanged returns ErrChanged unless f is the original, as it was.
func (o *Original) unchanged(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return bare(err)
	}
	if !os.SameFile(info, o.info) || info.Mode() != o.info.Mode() || !sameOwner(info, o.info) {
		return ErrChanged
	}
	if err := fit(f); err != nil { // it may have a second name by now
		return err
	}
	now, err := content(f, int64(len(o.data)))
	if errors.Is(err, ErrTooLarge) {
		return ErrChanged
	}
	if err == nil && !bytes.Equal(now, o.data) {
		err = ErrChanged
	}
	clear(now)
	return err
}
