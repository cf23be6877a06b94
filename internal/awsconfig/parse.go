// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"credbroker/internal/secret"
)

// section is one header of a file with the properties below it, as written.
type section struct {
	prefix string // the first word of the header when there are more: "profile"
	name   string // the rest, without blanks around it
	line   int
	props  []prop
}

// prop is one property. A key that is no identifier is kept while reading, for
// what continues it, and dropped by whoever merges.
type prop struct {
	key   string // lower case
	value string // continuations joined with "\n"; a secret is secret.Redacted
	pos   Pos
}

// parser is the state between two lines.
type parser struct {
	file     string
	sections []section
	props    []prop            // of all sections, in one piece
	starts   []int             // where each section's begin in props
	keys     map[string]string // as written → in lower case, one copy of each
	text     strings.Builder   // what names and values are cut from; never a secret
	inProp   bool              // a continuation would continue a property
	nested   bool              // the property's value is empty: its continuations are properties of their own
}

// parse reads the lines of one file. The only errors are those of the grammar,
// each an Error of CodeConfigBroken at its line. It does not keep data.
func parse(file string, data []byte) ([]section, error) {
	lines := split(data).lines
	var count [continuation + 1]int
	for _, l := range lines {
		count[l.kind]++
	}
	p := parser{
		file:     file,
		sections: make([]section, 0, count[header]),
		starts:   make([]int, 0, count[header]+1),
		props:    make([]prop, 0, count[property]),
		keys:     map[string]string{},
	}
	p.text.Grow(len(data))
	for i, l := range lines {
		if message := p.line(i+1, l); message != "" {
			return nil, errorAt(Pos{file, i + 1}, CodeConfigBroken, "%s", message)
		}
	}
	p.starts = append(p.starts, len(p.props))
	for i := range p.sections {
		p.sections[i].props = p.props[p.starts[i]:p.starts[i+1]:p.starts[i+1]]
	}
	return p.sections, nil
}

// line takes one line and returns what is wrong with it. The words never quote
// the line: it may hold a secret that lost its key.
func (p *parser) line(n int, l line) string {
	if n == 1 && bytes.HasPrefix(l.text, []byte("\xef\xbb\xbf")) {
		return "starts with a byte order mark: save it as UTF-8 without one"
	}
	if !utf8.Valid(l.text) {
		return "is not UTF-8"
	}
	switch l.kind {
	case header:
		return p.header(n, l.text)
	case property:
		return p.property(n, l.text)
	case continuation:
		return p.continuation(trim(l.text))
	}
	return ""
}

func (p *parser) header(n int, text []byte) string {
	text = cutComment(text, true)
	name, ok := bytes.CutSuffix(text[1:], []byte("]"))
	if !ok {
		return `expected "]" at the end of the section name`
	}
	s := section{name: p.keep(trim(name)), line: n}
	if i := strings.IndexAny(s.name, " \t"); i >= 0 {
		s.prefix, s.name = s.name[:i], strings.TrimLeft(s.name[i:], " \t")
	}
	p.sections = append(p.sections, s)
	p.starts = append(p.starts, len(p.props))
	p.inProp = false
	return ""
}

func (p *parser) property(n int, text []byte) string {
	if len(p.sections) == 0 {
		return "expected a section such as [default] before the first property"
	}
	key, value, ok := bytes.Cut(cutComment(text, false), []byte("="))
	if !ok {
		return `expected "=" after the name of a property`
	}
	key, value = trim(key), trim(value)
	if len(key) == 0 {
		return `expected the name of a property before "="`
	}
	pr := prop{key: p.lower(key), pos: Pos{p.file, n}}
	if pr.value = secret.Redacted; len(value) == 0 || !isSecret(pr.key) {
		pr.value = p.keep(value)
	}
	p.props = append(p.props, pr)
	p.inProp, p.nested = true, len(value) == 0
	return ""
}

// keep returns a copy of text that outlives the file, at less than the price of
// an allocation for each.
func (p *parser) keep(text []byte) string {
	start := p.text.Len()
	p.text.Write(text)
	return p.text.String()[start:]
}

// lower returns a key in lower case. Files repeat a handful of keys thousands
// of times.
func (p *parser) lower(key []byte) string {
	lower, ok := p.keys[string(key)]
	if !ok {
		lower = strings.ToLower(string(key))
		p.keys[string(key)] = lower
	}
	return lower
}

func (p *parser) continuation(text []byte) string {
	if len(p.sections) == 0 {
		return "expected a section such as [default] before the first property"
	}
	if !p.inProp {
		return "an indented line must follow the property that it continues"
	}
	pr := &p.props[len(p.props)-1]
	if p.nested {
		key, _, ok := bytes.Cut(text, []byte("="))
		switch key = trim(key); {
		case !ok:
			return `expected "=" after the name of a nested property`
		case len(key) == 0:
			return `expected the name of a nested property before "="`
		case isSecret(strings.ToLower(string(key))):
			text = append(append([]byte(nil), key...), " = "+secret.Redacted...)
		}
	}
	if isSecret(pr.key) {
		pr.value = secret.Redacted
		return ""
	}
	pr.value += "\n" + string(text)
	return ""
}

// isSecret reports whether the value of a key must not be shown or kept. It is
// wider than the keys that AWS defines, because tools keep secrets of their own
// beside them; a word must stand before it, so that no plain "token" or
// "secret", which mean nothing to anybody, is taken for one.
func isSecret(key string) bool {
	for _, end := range []string{"_secret", "secret_access_key", "secret_key", "_token", "_password", "_passphrase"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return key == "password"
}
