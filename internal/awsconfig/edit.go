// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"
)

// FileKind says which of the two AWS files a Document is: they name profiles
// differently.
type FileKind int

// The kinds of file. Broker's own config is written as a ConfigFile.
const (
	ConfigFile      FileKind = iota // [default], [profile NAME]
	CredentialsFile                 // [NAME]
)

// Document is a file to be edited: its lines, each as it was found. A change
// puts whole lines in or takes them out, or writes broker_ before a key; no
// other byte of the file is touched. A call that returns an error has changed
// nothing. The work of a call grows with the section that it edits, not with
// the file, so a caller wires ten thousand profiles one by one.
//
// A Document holds the file with the secrets in it: Wipe it. It is for one
// goroutine.
type Document struct {
	path   string
	kind   FileKind
	data   []byte  // the file as it was; lines are cut from it
	blocks []block // the first is what stands before any section
	eol    string  // for lines of ours where the file does not say
	names  map[string]int32
	twins  map[string]int32 // a second block of a name
	shared []int            // the sections [DEFAULT], which are part of every profile to botocore
	did    intent
	config *Document // of a credentials file: see Beside
	was    *Document // as ParseDocument made it, where somebody asked
}

// block is a section: its header and the lines below it.
type block struct {
	header string // what stood between the brackets, as the AWS grammar has it
	ours   string // the profile that it is; "" for another section
	boto   string // the profile that botocore takes it for
	line   int    // of the header, in the file as it was
	lines  []docLine
	top    int // index of the header in lines: 1 after an empty line that wire added with the section
}

// docLine is a line, and what was written before it.
type docLine struct {
	line
	before string
	number int // in the file as it was; 0 for a line of ours
}

// ParseDocument takes the content of a file apart. It refuses what botocore
// would refuse, because an edit of such a file cannot be checked, and what SDKs
// do not cut into the same sections and properties: an Error of
// CodeConfigBroken at the line. It keeps a copy of data.
func ParseDocument(path string, kind FileKind, data []byte) (*Document, error) {
	file, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	if err := loneCR(path, data); err != nil {
		return nil, err
	}
	theirs, err := parseBoto(path, data)
	if err != nil {
		return nil, err
	}
	if err := sameLines(file, theirs); err != nil {
		return nil, err
	}
	d := &Document{
		path: path, kind: kind, data: bytes.Clone(data), eol: "\n",
		blocks: make([]block, 1, len(file.heads)+2),
		names:  make(map[string]int32, len(file.heads)),
		twins:  map[string]int32{},
	}
	for i, h := range file.heads {
		b := block{line: int(h.line)}
		prefix, name := file.title(i)
		b.header = section{prefix: prefix, name: name}.header()
		b.ours = kind.profile(prefix, name)
		b.boto = kind.botoProfile(theirs.sections[i].name)
		if b.boto == b.ours {
			b.boto = b.ours // one string
		}
		d.blocks = append(d.blocks, b)
		if theirs.sections[i].name == botoDefault {
			d.shared = append(d.shared, i+1)
		}
	}
	d.cut()
	for i := range d.blocks {
		d.enter(d.blocks[i].ours, i)
		if d.blocks[i].boto != d.blocks[i].ours {
			d.enter(d.blocks[i].boto, i)
		}
	}
	return d, nil
}

// loneCR refuses a carriage return that is not part of the end of a line: to
// Python and Java it ends one, to others it is a character.
func loneCR(path string, data []byte) error {
	if bytes.Count(data, []byte("\r")) == bytes.Count(data, []byte("\r\n")) {
		return nil
	}
	n := 1
	for rest := data; len(rest) > 0; n++ {
		var l line
		if l, rest = cutLine(rest); bytes.IndexByte(l.text, '\r') >= 0 {
			break
		}
	}
	return errorAt(Pos{path, n}, CodeConfigBroken, "has a carriage return that some SDKs take for the end of a line").
		hint("save the file with the line ends of this system")
}

// cut hands the lines of the file to its blocks.
func (d *Document) cut() {
	lines := make([]docLine, 0, bytes.Count(d.data, []byte("\n"))+1)
	for rest, n := d.data, 1; len(rest) > 0; n++ {
		l := docLine{number: n}
		l.line, rest = cutLine(rest)
		lines = append(lines, l)
	}
	if len(lines) > 0 && lines[0].eol != "" {
		d.eol = lines[0].eol
	}
	at, from := 0, 0
	for i, l := range lines {
		if l.kind != header {
			continue
		}
		start := i
		if i > from && len(lines[i-1].text) == 0 && i+1 < len(lines) && string(lines[i+1].text) == addedMarkBlank {
			start--
		}
		d.blocks[at].lines = lines[from:start:start]
		at, from = at+1, start
		d.blocks[at].top = i - start
	}
	d.blocks[at].lines = lines[from:]
}

// enter notes which block a profile is in.
func (d *Document) enter(name string, i int) {
	if name == "" {
		return
	}
	if _, again := d.names[name]; again {
		d.twins[name] = int32(i)
		return
	}
	d.names[name] = int32(i)
}

// profile returns the profile that a section of a file of kind k is, or "".
func (k FileKind) profile(prefix, name string) string {
	switch {
	case !validName(name):
	case k == CredentialsFile && prefix == "", k == ConfigFile && prefix == "profile",
		k == ConfigFile && prefix == "" && name == DefaultProfile:
		return name
	}
	return ""
}

// botoProfile returns the profile that botocore takes a header for, or "".
func (k FileKind) botoProfile(name string) string {
	switch {
	case name == botoDefault:
	case k == CredentialsFile, name == DefaultProfile:
		return name
	case strings.HasPrefix(name, "profile"):
		if words, ok := shellWords(name); ok && len(words) == 2 {
			return words[1]
		}
	}
	return ""
}

// Bytes returns the file as it is now, for the caller to wipe: it may hold
// secrets.
func (d *Document) Bytes() []byte {
	size := 0
	for i := range d.blocks {
		for _, l := range d.blocks[i].lines {
			size += len(l.before) + len(l.text) + len(l.eol)
		}
	}
	out := make([]byte, 0, size)
	for i := range d.blocks {
		for _, l := range d.blocks[i].lines {
			out = append(out, l.before...)
			out = append(out, l.text...)
			out = append(out, l.eol...)
		}
	}
	return out
}

// Changed reports whether the file is not what ParseDocument was given.
func (d *Document) Changed() bool { return !bytes.Equal(d.Bytes(), d.data) }

// Wipe overwrites what the document holds of the file. It must not be used
// afterwards.
func (d *Document) Wipe() {
	clear(d.data)
	for i := range d.blocks {
		for _, l := range d.blocks[i].lines {
			clear(l.text) // what is not in d.data: a value that Set wrote
		}
	}
	if d.was != nil {
		d.was.Wipe()
	}
	*d = Document{path: d.path, kind: d.kind}
}

// Beside tells the document of a credentials file which config file it belongs
// to. Park then sees which keys of the credentials file are not in force,
// because the config file has them with broker_.
func (d *Document) Beside(config *Document) { d.config = config }

// asItWas returns the document without its edits.
func (d *Document) asItWas() *Document {
	if d.was == nil {
		d.was, _ = ParseDocument(d.path, d.kind, d.data) // it was read once
	}
	return d.was
}

// spoken returns the properties that the config file had for a profile before
// any edit.
func (d *Document) spoken(profile string) []item {
	if d.config == nil {
		return nil
	}
	b, err := d.config.asItWas().target(profile)
	if err != nil || b == nil {
		return nil // Wire refuses the profile, or adds it
	}
	return b.items()
}

// at returns the place of a line, or of the section where the line is ours.
func (d *Document) at(b *block, l docLine) Pos {
	if l.number == 0 {
		return Pos{d.path, b.line}
	}
	return Pos{d.path, l.number}
}

// target returns the section of a profile, nil if there is none. It is an Error
// if the profile has more than one, or one that SDKs know by different names:
// whatever were written there, some of them would not see it, or see it elsewhere.
func (d *Document) target(profile string) (*block, error) {
	if err := ValidProfileName(profile); err != nil {
		return nil, err
	}
	i, ok := d.names[profile]
	if !ok {
		return nil, nil
	}
	b := &d.blocks[i]
	if j, twice := d.twins[profile]; twice {
		return nil, d.twice(profile, b, &d.blocks[j])
	}
	if b.ours == b.boto {
		return b, nil
	}
	err := errorAt(Pos{d.path, b.line}, CodeProfileInvalid,
		"this section is profile %s to some SDKs and not to others", show(profile))
	return nil, err.hint("write the header as [%s], with nothing else in the brackets or behind them", d.kind.header(profile))
}

func (d *Document) twice(profile string, first, second *block) error {
	err := errorAt(Pos{d.path, second.line}, CodeProfileInvalid,
		"profile %s has a second section, after that on line %d: SDKs do not agree which counts", show(profile), first.line)
	return err.hint("make one section of the two, with the header [%s]", d.kind.header(profile))
}

// header returns what stands in the brackets of a profile's section.
func (k FileKind) header(profile string) string {
	if k == CredentialsFile {
		return profile
	}
	return profileHeader(profile)
}
