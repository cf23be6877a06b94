// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// botoDefault is the section whose options are part of every other to Python's
// configparser, with which botocore reads the AWS files.
const botoDefault = "DEFAULT"

// boto is a file as botocore reads it: by the rules of Python's
// RawConfigParser, which are not those of AWS, and are stricter. Whoever writes
// the user's file has to keep to both. Its texts are cut from the file, so they
// end with it.
// https://docs.python.org/3/library/configparser.html
type boto struct {
	sections []botoSection // each header once, but for DEFAULT
	options  []botoOption
}

// botoSection is a header; its options are those from its first to that of
// the next section.
type botoSection struct {
	name  string
	line  int
	first int
}

// botoOption is a property.
type botoOption struct {
	key   string // in lower case
	line  int
	value []byte // of the first line
	more  []botoMore
}

// botoMore is a line that continues a value. Blank lines in between count.
type botoMore struct {
	text []byte
	line int
}

// below returns the options of section i.
func (f *boto) below(i int) []botoOption {
	if i+1 < len(f.sections) {
		return f.options[f.sections[i].first:f.sections[i+1].first]
	}
	return f.options[f.sections[i].first:]
}

// text returns a value as botocore has it.
func (o botoOption) text() string {
	var b strings.Builder
	b.Write(o.value)
	for _, m := range o.more {
		b.WriteByte('\n')
		b.Write(m.text)
	}
	return string(pyTrimRight([]byte(b.String())))
}

// botoParser is the state between two lines.
type botoParser struct {
	boto
	path   string
	seen   map[string]bool  // headers
	keys   map[string]int32 // as written → number of the key in lower case
	lower  map[string]int32 // in lower case → its number
	names  []string         // by number
	last   []int32          // by number: the section that had the key last
	here   int32            // number of the section
	inKey  bool             // a deeper line continues the last option
	indent int              // of the last line that continued nothing
	broken error            // the first line that is no property; reported at the end
}

// parseBoto reads a file as botocore does, and refuses what botocore refuses,
// with the whole file, each as an Error of CodeConfigBroken at the line. Two
// duplicates apart, that is what the reader of this package refuses, too.
func parseBoto(path string, data []byte) (*boto, error) {
	p := &botoParser{path: path, seen: map[string]bool{}, keys: map[string]int32{}, lower: map[string]int32{}}
	for n := 1; len(data) > 0; n++ {
		var text []byte
		text, data = pyLine(data)
		if !utf8.Valid(text) {
			return nil, p.refuse(n, "is not UTF-8").hint("save the file as UTF-8")
		}
		if err := p.line(n, text); err != nil {
			return nil, err
		}
	}
	if p.broken != nil {
		return nil, p.broken
	}
	return &p.boto, p.nested()
}

func (p *botoParser) refuse(n int, format string, args ...any) *Error {
	return errorAt(Pos{p.path, n}, CodeConfigBroken, format, args...)
}

// line takes one line. What continues a value is told by its indent alone.
func (p *botoParser) line(n int, text []byte) error {
	value := pyTrim(text)
	if len(value) == 0 {
		if p.inKey {
			p.continued(n, nil)
		}
		return nil
	}
	if value[0] == '#' || value[0] == ';' {
		return nil
	}
	indent := utf8.RuneCount(text[:len(text)-len(pyTrimLeft(text))])
	if p.inKey && indent > p.indent {
		p.continued(n, value)
		return nil
	}
	p.indent = indent
	if name, ok := botoHeader(value); ok {
		return p.header(n, string(name))
	}
	if len(p.sections) == 0 {
		return p.refuse(n, "expected a section such as [default] before the first property")
	}
	return p.option(n, value)
}

// botoHeader returns what stands between the first bracket and the last.
func botoHeader(value []byte) (name []byte, ok bool) {
	end := bytes.LastIndexByte(value, ']')
	if value[0] != '[' || end < 2 {
		return nil, false
	}
	return value[1:end], true
}

func (p *botoParser) header(n int, name string) error {
	p.here, p.inKey = int32(len(p.sections)+1), false
	if name == botoDefault {
		p.here = -1 // all of them are one
	} else if p.seen[name] {
		return p.refuse(n, "section [%s] stands in this file already: botocore refuses the whole file", printable(name)).
			hint("make one section of the two")
	}
	p.seen[name] = true
	p.sections = append(p.sections, botoSection{name, n, len(p.options)})
	return nil
}

func (p *botoParser) option(n int, value []byte) error {
	i := bytes.IndexAny(value, "=:")
	if i < 0 {
		p.bad(n, `expected "=" after the name of a property`)
		return nil
	}
	key := pyTrim(value[:i])
	if len(key) == 0 {
		p.bad(n, `expected the name of a property before "="`)
	}
	k := p.key(key)
	if p.last[k] == p.here {
		return p.refuse(n, "%s stands in this section already: botocore refuses the whole file", printable(p.names[k])).
			hint("remove one of the two")
	}
	p.last[k] = p.here
	p.options = append(p.options, botoOption{key: p.names[k], line: n, value: pyTrim(value[i+1:])})
	p.inKey = len(key) > 0
	return nil
}

// key returns the number of a key.
func (p *botoParser) key(key []byte) int32 {
	i, ok := p.keys[string(key)]
	if ok {
		return i
	}
	lower := pyLower(string(key))
	if i, ok = p.lower[lower]; !ok {
		i = int32(len(p.names))
		p.names, p.last = append(p.names, lower), append(p.last, 0)
		p.lower[lower] = i
	}
	p.keys[string(key)] = i
	return i
}

func (p *botoParser) bad(n int, message string) {
	if p.broken == nil {
		p.broken = p.refuse(n, "%s", message)
	}
}

func (p *botoParser) continued(n int, text []byte) {
	o := &p.options[len(p.options)-1]
	o.more = append(o.more, botoMore{text, n})
}

// nested refuses what botocore cannot read of a block such as "s3 =". It looks
// only at sections that it reads, which [DEFAULT] alone is not.
func (p *botoParser) nested() error {
	named := false
	for _, s := range p.sections {
		named = named || s.name != botoDefault
	}
	for _, o := range p.options {
		if len(o.value) > 0 || !named {
			continue
		}
		for _, m := range o.more {
			for _, text := range pyLines(m.text) {
				if text = pyTrim(text); len(text) > 0 && bytes.IndexByte(text, '=') < 0 {
					return p.refuse(m.line, `expected "=" after the name of a nested property: botocore refuses the whole file`)
				}
			}
		}
	}
	return nil
}

// sameLines refuses a file of which botocore takes other lines for headers and
// properties than the AWS grammar does.
func sameLines(file *parsed, theirs *boto) error {
	for i, h := range file.heads {
		if i >= len(theirs.sections) || theirs.sections[i].line != int(h.line) {
			return odd(file.file, int(h.line))
		}
		ours, others := file.below(i), theirs.below(i)
		for j := range max(len(ours), len(others)) {
			switch {
			case j >= len(others):
				return odd(file.file, int(ours[j].line))
			case j >= len(ours):
				return odd(file.file, others[j].line)
			case int(ours[j].line) != others[j].line:
				return odd(file.file, min(int(ours[j].line), others[j].line))
			case hasOddSpace(file.keys[ours[j].key].lower): // which Python takes off a key, and others keep
				return odd(file.file, others[j].line)
			}
		}
	}
	if extra := len(file.heads); extra < len(theirs.sections) {
		return odd(file.file, theirs.sections[extra].line)
	}
	return nil
}

// hasOddSpace reports whether a key begins or ends with what only Python, and
// not the AWS grammar, takes for white space.
func hasOddSpace(key string) bool { return string(pyTrim([]byte(key))) != key }

func odd(path string, n int) error {
	return errorAt(Pos{path, n}, CodeConfigBroken, "SDKs do not agree what this line is: a header, a property, or more of the value above").
		hint("look for white space at its start, and characters that do not show")
}
