// SPDX-License-Identifier: Apache-2.0

package client

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

// WithHint adds a next step to a coded failure that brings none.
func WithHint(err error, hint string) error {
	coded := AsCoded(err)
	if coded.Code == "" || coded.Hint != "" {
		return err
	}
	coded.Hint = hint
	return coded
}

// HelpOf lets a usage error without a hint of its own name the command's help.
func HelpOf(err error, command ...string) error {
	if AsCoded(err).Code != ipc.CodeUsage || len(command) == 0 {
		return err
	}
	return WithHint(err, "for help: broker "+strings.Join(command, " ")+" --help")
}

// StatusError carries an exit status of exec that no code has.
type StatusError struct {
	Status int
	Err    error
}

// Error says what the failure says.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *StatusError) Unwrap() error { return e.Err }

// Usagef is a mistake on the command line.
func Usagef(format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeUsage, Message: fmt.Sprintf(format, args...)}
}

// Errorf is a failure of one code with the table's hint.
func Errorf(code ipc.Code, format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Failure returns err as a coded failure with a hint, and its exit status.
func Failure(err error) (*ipc.Error, int) {
	coded := AsCoded(err)
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
	var own *StatusError
	if errors.As(err, &own) {
		return coded, own.Status
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, tty.ErrInterrupted) {
		return &ipc.Error{Message: "interrupted"}, ExitInterrupted
	}
	return coded, o.status
}

// AsCoded copies the coded failure inside err; what has no code is an error of
// this program, told in its own words.
func AsCoded(err error) *ipc.Error {
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

// told is a failure that the user has read already.
type told struct{ error }

func (t told) Unwrap() error { return t.error }

// Report writes a failure for people: one line of problem, one line of hint.
func Report(w io.Writer, err error) int {
	coded, status := Failure(err)
	if errors.As(err, &told{}) {
		return status
	}
	fmt.Fprintf(w, "broker: error: %s\n", Printable(coded.Message))
	if coded.Hint != "" {
		fmt.Fprintf(w, "broker: hint: %s\n", Printable(coded.Hint))
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
	coded, status := Failure(err)
	problem, hint := Printable(coded.Message), ""
	if coded.Hint != "" {
		problem = strings.TrimSuffix(problem, ".") // AWS's texts end with one
		hint = ": " + Shorten(Printable(coded.Hint), maxErrorLine/2)
	}
	fmt.Fprintf(w, "broker: error: %s%s\n", Shorten(problem, maxErrorLine-len(hint)), hint)
	return status
}

// Shorten returns text, cut to at most limit bytes and marked if it was longer.
func Shorten(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(mark)], "") + mark
}

// FailureText returns what a failure says and what to do next.
func FailureText(e ipc.Error) (message, hint string) {
	coded, _ := Failure(&e)
	return coded.Message, coded.Hint
}

// Printable keeps what comes from files and from other processes from moving
// a terminal's cursor, starting a line of its own, or reordering what is on one.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if moves(r) {
			return ' '
		}
		return r
	}, text)
}

// moves reports whether a terminal does not show r where it stands: controls, line
// ends, and Unicode's Bidi_Control, of which the client links no table.
func moves(r rune) bool {
	switch r {
	case '\u061c', '\u200e', '\u200f', '\u2028', '\u2029':
		return true
	}
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// HasCode reports whether err is a failure of one of these codes.
func HasCode(err error, codes ...ipc.Code) bool {
	var coded *ipc.Error
	return errors.As(err, &coded) && slices.Contains(codes, coded.Code)
}
