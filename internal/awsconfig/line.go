// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "bytes"

// kind is what a line is by its first character, before any context.
type kind int

const (
	blank        kind = iota // nothing but blanks and tabs
	comment                  // "#" or ";" in the first column
	header                   // "[" in the first column
	property                 // anything else in the first column
	continuation             // a blank or tab, then text
)

// line is one physical line. Text and EOL are kept as they were found, so that
// a file can be written back byte for byte around a change.
type line struct {
	kind kind
	text []byte // without the end of line
	eol  string // "\n", "\r\n", or "" for a last line without one
}

// cutLine returns the first line of data, which is not empty, and the rest.
// Every input is the sum of its lines.
func cutLine(data []byte) (l line, rest []byte) {
	l.text = data
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		l.text, l.eol, rest = data[:i], "\n", data[i+1:]
		if i > 0 && data[i-1] == '\r' {
			l.text, l.eol = data[:i-1], "\r\n"
		}
	}
	l.kind = kindOf(l.text)
	return l, rest
}

func kindOf(text []byte) kind {
	if len(text) == 0 {
		return blank
	}
	switch text[0] {
	case '#', ';':
		return comment
	case '[':
		return header
	case ' ', '\t':
		if len(trim(text)) == 0 {
			return blank
		}
		return continuation
	}
	return property
}

// trim cuts blanks and tabs, which alone are white space to the grammar. By
// hand, because it is most of the work and bytes.Trim takes twice the time.
func trim(text []byte) []byte {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	for len(text) > 0 && isBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// cutComment drops a comment from the end of a line. In a header any "#" or
// ";" starts one; in a property only one that stands after white space does.
func cutComment(text []byte, inHeader bool) []byte {
	for i, b := range text {
		if b != '#' && b != ';' {
			continue
		}
		if inHeader || i > 0 && isBlank(text[i-1]) {
			return trim(text[:i])
		}
	}
	return trim(text)
}
