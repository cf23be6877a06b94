// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
	"credbroker/internal/tty"
)

// withHint adds a next step to a coded failure that brings none.
func withHint(err error, hint string) error {
	coded := asCoded(err)
	if coded.Code == "" || coded.Hint != "" {
		return err
	}
	coded.Hint = hint
	return coded
}

// helpOf lets a usage error without a hint of its own name the command's help.
func helpOf(err error, command ...string) error {
	if asCoded(err).Code != ipc.CodeUsage || len(command) == 0 {
		return err
	}
	return withHint(err, "for help: broker "+strings.Join(command, " ")+" --help")
}

// statusError carries an exit status of exec that no code has.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// usagef is a mistake on the command line.
func usagef(format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeUsage, Message: fmt.Sprintf(format, args...)}
}

// errorf is a failure of one code with the table's hint.
func errorf(code ipc.Code, format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// failure returns err as a coded failure with a hint, and its exit status.
func failure(err error) (*ipc.Error, int) {
	coded := asCoded(err)
	o, known := outcomeOf(coded.Code)
	if !known {
		o, _ = outcomeOf(ipc.CodeInternal)
	}
	if coded.Hint == "" {
		coded.Hint = o.hint
	}
	if coded.Message == "" {
		coded.Message = o.means
	}
	var own *statusError
	if errors.As(err, &own) {
		return coded, own.status
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, tty.ErrInterrupted) {
		return &ipc.Error{Message: "interrupted"}, exitInterrupted
	}
	return coded, o.status
}

// asCoded copies the coded failure inside err; what has no code is an error of
// this program, told in its own words.
func asCoded(err error) *ipc.Error {
	var coded *ipc.Error
	if errors.As(err, &coded) {
		out := *coded
		out.Message = err.Error()
		return &out
	}
	var config *awsconfig.Error
	if errors.As(err, &config) {
		return &ipc.Error{Code: ipc.Code(config.Code), Message: err.Error(), Hint: config.Hint}
	}
	if code := ipc.StorageCode(err); code != ipc.CodeStorage {
		return &ipc.Error{Code: code, Message: err.Error()}
	}
	return &ipc.Error{Message: err.Error()}
}

// report writes a failure for people: one line of problem, one line of hint.
func report(w io.Writer, err error) int {
	coded, status := failure(err)
	fmt.Fprintf(w, "broker: error: %s\n", printable(coded.Message))
	if coded.Hint != "" {
		fmt.Fprintf(w, "broker: hint: %s\n", printable(coded.Hint))
	}
	return status
}

// maxErrorLine bounds the helper's one line, in bytes: SDKs put it into an
// error text of their own.
const maxErrorLine = 280

// reportLine writes a failure as the helper must: problem and remedy on one
// short line. What is too long loses the end of the problem, which is AWS's own
// text as a rule, and keeps the remedy.
func reportLine(w io.Writer, err error) int {
	coded, status := failure(err)
	problem, hint := printable(coded.Message), ""
	if coded.Hint != "" {
		problem = strings.TrimSuffix(problem, ".") // AWS's texts end with one
		hint = ": " + shorten(printable(coded.Hint), maxErrorLine/2)
	}
	fmt.Fprintf(w, "broker: error: %s%s\n", shorten(problem, maxErrorLine-len(hint)), hint)
	return status
}

// shorten returns text, cut to at most limit bytes and marked if it was longer.
func shorten(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(mark)], "") + mark
}

// failureText returns what a failure says and what to do next.
func failureText(e ipc.Error) (message, hint string) {
	coded, _ := failure(&e)
	return coded.Message, coded.Hint
}

// printable keeps what comes from files and from other processes from moving
// a terminal's cursor or starting a line of its own.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, text)
}

// hasCode reports whether err is a failure of one of these codes.
func hasCode(err error, codes ...ipc.Code) bool {
	var coded *ipc.Error
	return errors.As(err, &coded) && slices.Contains(codes, coded.Code)
}
