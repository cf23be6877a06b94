// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package testtracer

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Call is a system call about files.
type Call struct {
	N       int      // of all that count, the first is 1
	Name    string   // as in section 2 of the manual: renameat2
	Files   []string // what it is about: one path, or the old and the new one
	Changes bool     // it changes something, unless it fails
	Process int      // that makes it
	Data    []byte   // what it writes, if Options ask for that; nil where it copies from a file
}

// String returns the call as one word and paths.
func (c Call) String() string { return c.Name + " " + strings.Join(c.Files, " ") }

// shape says what a system call does, and where it has its files.
type shape struct {
	name    string
	changes bool
	files   []file
	flags   *int // the argument with those of open(2), which say whether it changes anything
	how     *int // the argument that is the address of such flags
	writes  int  // what its second and third argument are
}

// Arguments of a call that writes: address and length, or those of a list of both.
const (
	buffer = iota + 1
	vector
)

// file is where a call has one of its files: as a path, relative to a directory
// or not, or as a descriptor.
type file struct{ directory, path int }

const (
	none    = -1 // no such argument
	working = -2 // the working directory
)

func path(i int) file       { return file{working, i} }
func pathAt(i int) file     { return file{i, i + 1} }
func descriptor(i int) file { return file{i, none} }
func at(i int) *int         { return &i }

// calls are the calls that are seen: all by which a program changes files, other
// than through memory that it shares with one (mmap), or through io_uring.
var calls = map[uint64]shape{
	unix.SYS_OPENAT:  {name: "openat", files: []file{pathAt(0)}, flags: at(2)},
	unix.SYS_OPENAT2: {name: "openat2", files: []file{pathAt(0)}, how: at(2)},

	unix.SYS_WRITE:           {name: "write", changes: true, files: []file{descriptor(0)}, writes: buffer},
	unix.SYS_PWRITE64:        {name: "pwrite64", changes: true, files: []file{descriptor(0)}, writes: buffer},
	unix.SYS_WRITEV:          {name: "writev", changes: true, files: []file{descriptor(0)}, writes: vector},
	unix.SYS_PWRITEV:         {name: "pwritev", changes: true, files: []file{descriptor(0)}, writes: vector},
	unix.SYS_PWRITEV2:        {name: "pwritev2", changes: true, files: []file{descriptor(0)}, writes: vector},
	unix.SYS_SENDFILE:        {name: "sendfile", changes: true, files: []file{descriptor(0)}},
	unix.SYS_COPY_FILE_RANGE: {name: "copy_file_range", changes: true, files: []file{descriptor(2)}},
	unix.SYS_SPLICE:          {name: "splice", changes: true, files: []file{descriptor(2)}},
	unix.SYS_FTRUNCATE:       {name: "ftruncate", changes: true, files: []file{descriptor(0)}},
	unix.SYS_TRUNCATE:        {name: "truncate", changes: true, files: []file{path(0)}},
	unix.SYS_FALLOCATE:       {name: "fallocate", changes: true, files: []file{descriptor(0)}},
	unix.SYS_FSYNC:           {name: "fsync", changes: true, files: []file{descriptor(0)}},
	unix.SYS_FDATASYNC:       {name: "fdatasync", changes: true, files: []file{descriptor(0)}},
	unix.SYS_SYNC_FILE_RANGE: {name: "sync_file_range", changes: true, files: []file{descriptor(0)}},
	unix.SYS_SYNCFS:          {name: "syncfs", changes: true, files: []file{descriptor(0)}},
	unix.SYS_FLOCK:           {name: "flock", changes: true, files: []file{descriptor(0)}},

	unix.SYS_RENAMEAT:  {name: "renameat", changes: true, files: []file{pathAt(0), pathAt(2)}},
	unix.SYS_RENAMEAT2: {name: "renameat2", changes: true, files: []file{pathAt(0), pathAt(2)}},
	unix.SYS_LINKAT:    {name: "linkat", changes: true, files: []file{pathAt(0), pathAt(2)}},
	unix.SYS_SYMLINKAT: {name: "symlinkat", changes: true, files: []file{pathAt(1)}},
	unix.SYS_UNLINKAT:  {name: "unlinkat", changes: true, files: []file{pathAt(0)}},
	unix.SYS_MKDIRAT:   {name: "mkdirat", changes: true, files: []file{pathAt(0)}},
	unix.SYS_MKNODAT:   {name: "mknodat", changes: true, files: []file{pathAt(0)}},

	unix.SYS_FCHMOD:       {name: "fchmod", changes: true, files: []file{descriptor(0)}},
	unix.SYS_FCHMODAT:     {name: "fchmodat", changes: true, files: []file{pathAt(0)}},
	unix.SYS_FCHMODAT2:    {name: "fchmodat2", changes: true, files: []file{pathAt(0)}},
	unix.SYS_FCHOWN:       {name: "fchown", changes: true, files: []file{descriptor(0)}},
	unix.SYS_FCHOWNAT:     {name: "fchownat", changes: true, files: []file{pathAt(0)}},
	unix.SYS_UTIMENSAT:    {name: "utimensat", changes: true, files: []file{pathAt(0)}},
	unix.SYS_SETXATTR:     {name: "setxattr", changes: true, files: []file{path(0)}},
	unix.SYS_LSETXATTR:    {name: "lsetxattr", changes: true, files: []file{path(0)}},
	unix.SYS_FSETXATTR:    {name: "fsetxattr", changes: true, files: []file{descriptor(0)}},
	unix.SYS_REMOVEXATTR:  {name: "removexattr", changes: true, files: []file{path(0)}},
	unix.SYS_LREMOVEXATTR: {name: "lremovexattr", changes: true, files: []file{path(0)}},
	unix.SYS_FREMOVEXATTR: {name: "fremovexattr", changes: true, files: []file{descriptor(0)}},

	unix.SYS_READ:       {name: "read", files: []file{descriptor(0)}},
	unix.SYS_PREAD64:    {name: "pread64", files: []file{descriptor(0)}},
	unix.SYS_READV:      {name: "readv", files: []file{descriptor(0)}},
	unix.SYS_GETDENTS64: {name: "getdents64", files: []file{descriptor(0)}},
	unix.SYS_CLOSE:      {name: "close", files: []file{descriptor(0)}},
	unix.SYS_FSTAT:      {name: "fstat", files: []file{descriptor(0)}},
	unix.SYS_NEWFSTATAT: {name: "newfstatat", files: []file{pathAt(0)}},
	unix.SYS_STATX:      {name: "statx", files: []file{pathAt(0)}},
	unix.SYS_READLINKAT: {name: "readlinkat", files: []file{pathAt(0)}},
	unix.SYS_FACCESSAT:  {name: "faccessat", files: []file{pathAt(0)}},
	unix.SYS_FACCESSAT2: {name: "faccessat2", files: []file{pathAt(0)}},
	unix.SYS_GETXATTR:   {name: "getxattr", files: []file{path(0)}},
	unix.SYS_LGETXATTR:  {name: "lgetxattr", files: []file{path(0)}},
	unix.SYS_FGETXATTR:  {name: "fgetxattr", files: []file{descriptor(0)}},
	unix.SYS_LISTXATTR:  {name: "listxattr", files: []file{path(0)}},
	unix.SYS_LLISTXATTR: {name: "llistxattr", files: []file{path(0)}},
	unix.SYS_FLISTXATTR: {name: "flistxattr", files: []file{descriptor(0)}},
}

// look returns the call that a thread is about to make, nil if it does not count.
func (t *tracer) look(id int, number uint64, args [6]uint64) (*Call, error) {
	s, known := calls[number]
	if !known {
		if s, known = oldCalls[number]; !known {
			return nil, nil // no call is none
		}
	}
	changes, err := s.alters(id, args)
	if err != nil || !changes && !t.Reads {
		return nil, err
	}
	call := &Call{Name: s.name, Changes: changes}
	ours := false
	for _, f := range s.files {
		path, err := f.of(id, args)
		if err != nil {
			return nil, err
		}
		ours = ours || t.below(path)
		call.Files = append(call.Files, path)
	}
	if !ours {
		return nil, nil // as above
	}
	if t.Data {
		call.Data, err = s.data(id, args)
	}
	return call, err
}

// data returns what a call writes.
func (s shape) data(id int, args [6]uint64) ([]byte, error) {
	switch s.writes {
	case buffer:
		return memory(id, args[1], args[2])
	case vector: // of struct iovec, see readv(2)
		list, err := memory(id, args[1], 16*args[2])
		var data []byte
		for ; len(list) > 0 && err == nil; list = list[16:] {
			var piece []byte
			piece, err = memory(id, binary.NativeEndian.Uint64(list), binary.NativeEndian.Uint64(list[8:]))
			data = append(data, piece...)
		}
		return data, err
	}
	return nil, nil
}

// alters reports whether a call changes anything. To open a file for writing
// changes nothing yet.
func (s shape) alters(id int, args [6]uint64) (bool, error) {
	var flags uint64
	switch {
	case s.flags != nil:
		flags = args[*s.flags]
	case s.how != nil: // struct open_how of openat2(2) begins with them
		var word [8]byte
		if _, err := unix.PtracePeekData(id, uintptr(args[*s.how]), word[:]); err != nil {
			return false, err
		}
		flags = binary.NativeEndian.Uint64(word[:])
	}
	const temporary = unix.O_TMPFILE &^ unix.O_DIRECTORY
	return s.changes || flags&(unix.O_CREAT|unix.O_TRUNC|temporary) != 0, nil
}

// of returns the path of a file of a call. Links in it stay as they are.
func (f file) of(id int, args [6]uint64) (string, error) {
	name := ""
	if f.path != none && args[f.path] != 0 { // some calls take none for the directory itself
		var err error
		if name, err = text(id, args[f.path]); err != nil {
			return "", err
		}
	}
	switch {
	case filepath.IsAbs(name):
		return filepath.Clean(name), nil
	case f.directory == working || f.path != none && int32(args[f.directory]) == unix.AT_FDCWD:
		return filepath.Join(link(id, "cwd"), name), nil
	}
	return filepath.Join(link(id, "fd/"+strconv.Itoa(int(int32(args[f.directory])))), name), nil
}

// below reports whether a path is one of those that count.
func (t *tracer) below(path string) bool {
	return slices.ContainsFunc(t.Below, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	})
}
