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

// document is a file as lines. It shares the bytes it was split from.
type document struct {
	lines []line
}

// split cuts data into lines. Every input splits, and bytes gives it back.
func split(data []byte) document {
	doc := document{lines: make([]line, 0, bytes.Count(data, []byte("\n"))+1)}
	for len(data) > 0 {
		text, rest, found := bytes.Cut(data, []byte("\n"))
		l := line{text: text}
		if found {
			l.eol = "\n"
			if t, ok := bytes.CutSuffix(text, []byte("\r")); ok {
				l.text, l.eol = t, "\r\n"
			}
		}
		l.kind = kindOf(l.text)
		doc.lines = append(doc.lines, l)
		data = rest
	}
	return doc
}

func kindOf(text []byte) kind {
	switch {
	case len(trim(text)) == 0:
		return blank
	case text[0] == '#' || text[0] == ';':
		return comment
	case text[0] == '[':
		return header
	case isBlank(text[0]):
		return continuation
	}
	return property
}

// bytes returns the file that split was given.
func (d document) bytes() []byte {
	var buf bytes.Buffer
	for _, l := range d.lines {
		buf.Write(l.text)
		buf.WriteString(l.eol)
	}
	return buf.Bytes()
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
