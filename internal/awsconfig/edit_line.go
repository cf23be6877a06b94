// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"slices"
	"strings"
)

// rename writes something else before keys.
func (b *block) rename(renames []rename) {
	for _, r := range renames {
		l := &b.lines[r.at]
		if _, before := plain(l.key()); r.before == "" && l.before == "" {
			l.text = l.text[len(before):]
		}
		l.before = r.before
	}
}

// ours makes a line that was not in the file.
func ours(text, eol string) docLine {
	return docLine{line: line{kindOf([]byte(text)), []byte(text), eol}}
}

// insert puts lines of ours right below the header of a block, and below what
// wire says there of itself.
func (d *Document) insert(b *block, texts []string) {
	at := b.top + 1
	if b.marked() {
		at++
	}
	d.put(b, at, texts)
}

// marked reports whether wire says of a section that it added it.
func (b *block) marked() bool {
	if b.top+1 >= len(b.lines) {
		return false
	}
	text := b.lines[b.top+1].text
	return string(text) == addedMark || string(text) == addedMarkBlank
}

// put puts lines of ours into a block, below one that is there. They end as
// that one does. Below the last line of a file that does not end its last line,
// the last of ours does not, either.
func (d *Document) put(b *block, at int, texts []string) {
	if len(texts) == 0 {
		return
	}
	above := &b.lines[at-1]
	eol, last := above.eol, above.eol
	if eol == "" {
		eol = d.eol
		above.eol = eol
	}
	var add []docLine
	for i, text := range texts {
		add = append(add, ours(text, eol))
		if i == len(texts)-1 {
			add[i].eol = last
		}
	}
	b.lines = slices.Insert(b.lines, at, add...)
}

// append adds a section to the end of the file. A file that does not end its
// last line goes on doing so.
func (d *Document) append(header, profile, mark string, texts ...string) *block {
	b := block{header: header, ours: profile, boto: profile}
	eol := d.eol
	if last := d.lastLine(); last != nil {
		if len(trim(last.text)) != 0 {
			b.lines, b.top = append(b.lines, ours("", d.eol)), 1
			if mark == addedMark {
				mark = addedMarkBlank
			}
		}
		eol = last.eol
		if eol == "" {
			last.eol = d.eol
		} else {
			eol = d.eol
		}
	}
	b.lines = append(b.lines, ours("["+header+"]", d.eol))
	if mark != "" {
		b.lines = append(b.lines, ours(mark, d.eol))
	}
	for _, text := range texts {
		b.lines = append(b.lines, ours(text, d.eol))
	}
	b.lines[len(b.lines)-1].eol = eol
	d.blocks = append(d.blocks, b)
	d.enter(profile, len(d.blocks)-1)
	return &d.blocks[len(d.blocks)-1]
}

// lastLine returns the last line of the file, nil if it has none.
func (d *Document) lastLine() *docLine {
	for n := len(d.blocks); n > 0; n-- {
		if lines := d.blocks[n-1].lines; len(lines) > 0 {
			d.blocks = d.blocks[:n] // what is empty at the end need not be looked at again
			return &lines[len(lines)-1]
		}
	}
	return nil
}

// remove takes lines of ours out, by their index. A file that did not end its
// last line does not do so afterwards.
func (d *Document) remove(b *block, drop []int) {
	last := d.lastLine()
	bare := last != nil && last.eol == ""
	b.delete(drop)
	if last := d.lastLine(); bare && last != nil {
		last.eol = ""
	}
}

// delete takes lines out, by their index.
func (b *block) delete(drop []int) {
	kept := b.lines[:0:0]
	for i, l := range b.lines {
		if !slices.Contains(drop, i) {
			kept = append(kept, l)
		}
	}
	b.lines = kept
}

// takeBack removes what is left of a section that wire added: all that is
// wire's. If the user wrote a property into it, the header is the user's now.
func (d *Document) takeBack(b *block) {
	mark := b.top + 1
	drop := []int{mark}
	if !slices.ContainsFunc(b.lines, func(l docLine) bool { return l.kind == property }) {
		drop = append(drop, b.top)
		if b.top > 0 {
			drop = append(drop, 0)
		}
		d.forget(b)
	}
	d.remove(b, drop)
	if b.top = 0; len(b.lines) > 0 && b.lines[0].kind == blank {
		b.top = 1
	}
}

// forget takes the profile of a block out of the names. One that had two
// sections is in the other one then.
func (d *Document) forget(b *block) {
	name := b.ours
	delete(d.names, name)
	b.ours, b.boto, b.header = "", "", ""
	if _, twice := d.twins[name]; !twice {
		return
	}
	delete(d.twins, name)
	for i := range d.blocks {
		if d.blocks[i].ours == name || d.blocks[i].boto == name {
			d.enter(name, i)
		}
	}
}

// replaceProcess writes our line in the place of one that is ours already.
func (d *Document) replaceProcess(b *block, old item, process string) {
	l, whole := &b.lines[old.at], b.whole(old.at)
	if key, _ := l.property(); string(key) == processKey && old.value == process && l.sameValue() {
		return
	}
	l.text, l.before = []byte(processKey+" = "+process), ""
	d.remove(b, whole[1:])
}

// withLife gives a line of ours the --duration that an older one has.
func withLife(line, old string) string {
	words, ok := helperWords(old, onWindows)
	if !ok || !strings.HasPrefix(words[2], durationFlag) || strings.Contains(line, " "+durationFlag) {
		return line
	}
	if _, err := ParseLife(words[2][len(durationFlag):]); err != nil {
		return line
	}
	return strings.Replace(line, " credential-process ", " credential-process "+words[2]+" ", 1)
}

// sameValue reports whether a property has no comment behind it, which botocore
// would take for a part of its value.
func (l docLine) sameValue() bool { return len(cutComment(l.text, false)) == len(trim(l.text)) }
