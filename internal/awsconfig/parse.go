// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"credbroker/internal/secret"
)

// parsed is one file as it was read: tables without pointers over one text.
// Organisations generate files of ten thousand profiles, and a daemon keeps
// what it has read: so the collector has nothing to look through, and a
// profile is put together only when somebody asks for it.
type parsed struct {
	file  string
	text  string // what names and values are cut from; never a secret
	heads []head
	rows  []row
	keys  []keyword
}

// head is the header of a section. Its properties are the rows from its own
// first one to that of the next head.
type head struct {
	name span
	line int32
	rows int32 // the first
}

// row is one property. A key that is no identifier is kept while reading, for
// what continues it, and dropped by whoever merges.
type row struct {
	key   int32 // in keys
	line  int32
	value span // continuations joined with "\n"
}

// span is a part of text. Files stay far below what it can count: see maxFile.
type span struct{ start, end int32 }

// keyword is one spelling of a key. Files repeat a handful of them thousands
// of times.
type keyword struct {
	lower  string
	valid  bool // an identifier
	secret bool
}

// section is one header of a file with the properties below it, as written.
type section struct {
	prefix string // the first word of the header when there are more: "profile"
	name   string // the rest, without blanks around it
	line   int
	props  []prop
}

// prop is one property.
type prop struct {
	key   string // lower case
	value string // a secret is secret.Redacted
	pos   Pos
}

// sections returns the whole file.
func (f *parsed) sections() []section {
	list := make([]section, len(f.heads))
	for i, h := range f.heads {
		list[i].prefix, list[i].name = f.title(i)
		list[i].line = int(h.line)
		for _, r := range f.below(i) {
			list[i].props = append(list[i].props, f.prop(r))
		}
	}
	return list
}

// title returns the prefix and the name in the header of section i.
func (f *parsed) title(i int) (prefix, name string) {
	name = f.cut(f.heads[i].name)
	if i := strings.IndexByte(name, ' '); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// below returns the properties of section i.
func (f *parsed) below(i int) []row {
	if i+1 < len(f.heads) {
		return f.rows[f.heads[i].rows:f.heads[i+1].rows]
	}
	return f.rows[f.heads[i].rows:]
}

func (f *parsed) prop(r row) prop {
	return prop{f.keys[r.key].lower, f.cut(r.value), Pos{f.file, int(r.line)}}
}

func (f *parsed) cut(s span) string { return f.text[s.start:s.end] }

// parser is the state between two lines.
type parser struct {
	parsed
	valid  bool             // the whole file is UTF-8: one look is cheaper than one at each line
	known  map[string]int32 // as written → in keys
	text   strings.Builder  // starts with secret.Redacted
	inProp bool             // a continuation would continue a property
	nested bool             // the property's value is empty: its continuations are properties of their own
}

// redacted is where the text of every file has secret.Redacted.
func redacted() span { return span{0, int32(len(secret.Redacted))} }

// parse reads the lines of one file. The only errors are those of the grammar,
// each an Error of CodeConfigBroken at its line. It does not keep data.
func parse(file string, data []byte) (*parsed, error) {
	lines := bytes.Count(data, []byte("\n")) + 1
	p := parser{
		parsed: parsed{
			file:  file,
			heads: make([]head, 0, min(lines, bytes.Count(data, []byte("[")))),
			rows:  make([]row, 0, min(lines, bytes.Count(data, []byte("=")))),
		},
		valid: utf8.Valid(data),
		known: map[string]int32{},
	}
	p.text.Grow(len(secret.Redacted) + len(data))
	p.text.WriteString(secret.Redacted)
	for n := 1; len(data) > 0; n++ {
		var l line
		l, data = cutLine(data)
		if message := p.line(n, l); message != "" {
			return nil, errorAt(Pos{file, n}, CodeConfigBroken, "%s", message)
		}
	}
	p.parsed.text = p.text.String()
	return &p.parsed, nil
}

// line takes one line and returns what is wrong with it. The words never quote
// the line: it may hold a secret that lost its key.
func (p *parser) line(n int, l line) string {
	if n == 1 && bytes.HasPrefix(l.text, []byte("\xef\xbb\xbf")) {
		return "starts with a byte order mark: save it as UTF-8 without one"
	}
	if !p.valid && !utf8.Valid(l.text) {
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
	name = trim(name)
	h := head{line: int32(n), rows: int32(len(p.rows))}
	if i := bytes.IndexAny(name, " \t"); i >= 0 {
		h.name = p.keep(name[:i], " ", trim(name[i:]))
	} else {
		h.name = p.keep(name, "", nil)
	}
	p.heads = append(p.heads, h)
	p.inProp = false
	return ""
}

func (p *parser) property(n int, text []byte) string {
	if len(p.heads) == 0 {
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
	r := row{key: p.keyword(key), line: int32(n), value: redacted()}
	if k := p.keys[r.key]; len(value) == 0 || !k.secret && !(k.lower == "aws_access_key_id" && looksSecret(value)) {
		r.value = p.keep(value, "", nil)
	}
	p.rows = append(p.rows, r)
	p.inProp, p.nested = true, len(value) == 0
	return ""
}

// keep copies what outlives the file, at less than the price of an allocation
// for each.
func (p *parser) keep(text []byte, between string, more []byte) span {
	start := p.text.Len()
	p.text.Write(text)
	p.text.WriteString(between)
	p.text.Write(more)
	return span{int32(start), int32(p.text.Len())}
}

// keyword returns the number of a key.
func (p *parser) keyword(key []byte) int32 {
	i, ok := p.known[string(key)]
	if !ok {
		lower := strings.ToLower(string(key))
		i = int32(len(p.keys))
		p.keys = append(p.keys, keyword{lower, validName(lower), isSecret(lower)})
		p.known[string(key)] = i
	}
	return i
}

func (p *parser) continuation(text []byte) string {
	if len(p.heads) == 0 {
		return "expected a section such as [default] before the first property"
	}
	if !p.inProp {
		return "an indented line must follow the property that it continues"
	}
	r := &p.rows[len(p.rows)-1]
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
	if p.keys[r.key].secret || r.value == redacted() {
		r.value = redacted()
		return ""
	}
	r.value.end = p.keep(nil, "\n", text).end // nothing was kept since the value
	return ""
}

// looksSecret reports whether a value has the length and the letters of a secret
// access key, which an access key ID has not: the two were swapped.
func looksSecret(value []byte) bool {
	const length = 40
	return len(value) == length && bytes.ContainsAny(value, "abcdefghijklmnopqrstuvwxyz/+")
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
