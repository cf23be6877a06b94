// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"fmt"
	"strings"
)

// The codes of an Error. They are spelled as package ipc spells them, which
// this package does not import.
const (
	CodeConfigBroken     = "config_broken"     // a file does not parse or cannot be read
	CodeNoProfile        = "no_profile"        // the profile exists nowhere
	CodeNoKey            = "no_key"            // the profile is there, its key is not in the vault
	CodeProfileInvalid   = "profile_invalid"   // the profile contradicts itself
	CodeProfileLoop      = "profile_loop"      // source_profile or include_profile runs in a circle
	CodeUnsupported      = "unsupported"       // the profile gets its credentials in a way broker does not serve
	CodeUsage            = "usage"             // a parameter is malformed
	CodeInternal         = "internal"          // a defect in broker
	CodeConfigUnwritable = "config_unwritable" // an AWS file cannot be edited as it is
	CodeDiskFull         = "disk_full"         // nothing can be written: the disk, or the quota, is full
	CodeReadOnly         = "read_only"         // nothing can be written: the file system is mounted read-only
)

// Error is a failure with the place that caused it. Message and Hint never
// quote a line or a value of a file, except names and ARNs.
type Error struct {
	Code    string
	File    string // empty when no file is to blame
	Line    int    // 1 for the first; 0 when the whole file is meant
	Message string // lower case
	Hint    string // what to do next; may be empty
	// Missing is the source_profile that does not exist; empty for what is not
	// about one.
	Missing string
}

// Error returns "file:line: message".
func (e *Error) Error() string {
	if e.File == "" {
		return e.Message
	}
	return Pos{e.File, e.Line}.String() + ": " + e.Message
}

// Is makes errors.Is(err, &Error{Code: c}) true for every Error of code c.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Pos is a place in a file. The zero Pos is nowhere.
type Pos struct {
	File string
	Line int // 1 for the first
}

// String returns "file:line", or the file alone when the line is 0.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

func errorAt(pos Pos, code, format string, args ...any) *Error {
	return &Error{Code: code, File: pos.File, Line: pos.Line, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) hint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// show makes a name from a file fit for a message: a terminal must not meet
// the control characters that a hostile file could put into a source_profile.
func show(name string) string {
	if ValidProfileName(name) == nil {
		return name
	}
	if len(name) > maxProfileName {
		name = name[:maxProfileName] + "…"
	}
	return fmt.Sprintf("%+q", name)
}

// printable returns text, quoted when it is not printable ASCII of moderate length.
func printable(text string) string {
	if len(text) > 1024 {
		text = text[:1024] + "..."
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return fmt.Sprintf("%+q", text)
		}
	}
	return text
}

// circle prints the way through names that leads back to one of them, from
// there on: "a → b → a".
func circle(names []string, again string) string {
	start := 0
	for i, name := range names {
		if name == again {
			start = i
		}
	}
	var parts []string
	for _, name := range append(names[start:len(names):len(names)], again) {
		parts = append(parts, show(name))
	}
	return strings.Join(parts, " → ")
}
