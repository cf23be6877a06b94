// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
)

// errReplaced ends a daemon that has been upgraded and has nothing to lose. It
// is no failure: the next client starts the one that is installed now.
var errReplaced = errors.New("another program stands in its place now, and no session would be lost")

// program is the file that this daemon was started from.
type program struct {
	path string
	file os.FileInfo // nil: not known
}

func thisProgram() program {
	path, err := os.Executable()
	if err != nil {
		return program{}
	}
	file, err := os.Stat(path)
	if err != nil {
		return program{}
	}
	return program{path, file}
}

// replaced reports whether the file is gone, or another one.
func (p program) replaced() bool {
	now, err := os.Stat(p.path)
	return p.file != nil && (err != nil || !os.SameFile(p.file, now))
}

// renewed reports whether another file stands in its place.
func (p program) renewed() bool {
	now, err := os.Stat(p.path)
	return p.file != nil && err == nil && !os.SameFile(p.file, now)
}
