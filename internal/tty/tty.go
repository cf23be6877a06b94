// SPDX-License-Identifier: Apache-2.0

// Package tty asks a user questions on the controlling terminal, whatever
// standard input and output are.
//
// A question can be withdrawn: when its context ends, the call returns at once,
// the terminal is as it was, and what was typed without Enter stays with the
// terminal for whoever reads next; a Windows console forgets it. The terminal is
// always left in canonical mode with its echo, also after a signal.
package tty

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// ErrBackground reports that the process group is not, or is no longer, in the
// foreground of its terminal: what is typed belongs to somebody else. A Windows
// console knows no such thing.
var ErrBackground = errors.New("terminal: not in the foreground")

// ErrInterrupted reports that a signal which ends programs came in while
// ReadSecret had the echo off. The echo is back; the caller should end.
var ErrInterrupted = errors.New("terminal: interrupted")

// maxLine is the longest line in bytes that a terminal in canonical mode
// delivers (N_TTY_BUF_SIZE, termios(3)).
const maxLine = 4096

// IsTerminal reports whether the file descriptor fd is a terminal.
func IsTerminal(fd int) bool { return term.IsTerminal(fd) }

// printable returns prompt without the characters that could move the cursor or
// reorder the text: names in it come from files and from AWS.
func printable(prompt string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Z, r) {
			return r
		}
		return '?'
	}, prompt)
}
