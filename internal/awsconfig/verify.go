// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// Verify holds an edit of both AWS files against what it was for, as the last
// thing before they are written. hasKey is the vault as it is then. What comes
// out must be
//   - read by the AWS grammar and by botocore, each finding what it found
//     before, but for the profiles that were edited, and in those only what
//     was meant: the helper, as the one source of credentials, and the same
//     properties under the names that Wire gives them;
//   - the same text as before, byte for byte, once it is unwired;
//   - to broker the same way from every profile to its key.
//
// A document that somebody changed with Set or RemoveKeyPair is held to the
// first of these. The error is of CodeInternal: a defect of broker, and nothing
// must be written. Its work grows with the files.
func Verify(files Files, hasKey KeyLookup, config, credentials *Document) error {
	for _, d := range []*Document{config, credentials} {
		if err := d.verify(); err != nil {
			return err
		}
	}
	if len(config.did.sets)+len(credentials.did.sets)+len(config.did.pairs)+len(credentials.did.pairs) > 0 {
		return nil
	}
	return sameRoutes(files, hasKey, config, credentials)
}

func (d *Document) defect(format string, args ...any) error {
	return errorAt(Pos{File: d.path}, CodeInternal, format, args...).
		hint("this is a defect of broker, please report it: the file is as it was")
}

// verify holds one file against what was to be done to it.
func (d *Document) verify() error {
	now := d.Bytes()
	defer clear(now)
	if bytes.Equal(now, d.data) {
		return nil
	}
	was, err := d.readings(d.data)
	if err != nil {
		return d.defect("was not what it seemed to be: %v", err)
	}
	is, err := d.readings(now)
	if err != nil {
		return d.defect("the edit makes a file that cannot be read: %v", err)
	}
	for i := range is {
		if wrong := d.compare(was[i], is[i]); wrong != "" {
			return d.defect("the edit changes more or less than it should: %s", wrong)
		}
	}
	if len(d.did.sets)+len(d.did.pairs) > 0 {
		return nil
	}
	return d.verifyUndo(now)
}

// verifyUndo unwires what was edited, before and after.
func (d *Document) verifyUndo(now []byte) error {
	var texts [2][]byte
	for i, data := range [][]byte{d.data, now} {
		copied, err := ParseDocument(d.path, d.kind, data)
		if err != nil {
			return d.defect("the edit makes a file that cannot be read: %v", err)
		}
		defer copied.Wipe()
		for _, profile := range d.did.touched() {
			if _, err := copied.Unwire(profile); err != nil {
				return d.defect("the edit of profile %s cannot be undone: %v", show(profile), err)
			}
		}
		texts[i] = copied.Bytes()
		defer clear(texts[i])
	}
	if !bytes.Equal(texts[0], texts[1]) {
		return d.defect("the edit cannot be undone byte for byte")
	}
	return nil
}

// reading is a file as one kind of reader has it.
type reading []readSection

// readSection is a section of a reading.
type readSection struct {
	header  string
	profile string // that it is; "" for another section
	props   []readProp
}

// readProp is a property. Its value is in text or, cut from the file, in bytes
// and more; that of a credential_process and of broker_keep is in told, too.
type readProp struct {
	key   string
	text  string
	bytes []byte
	more  []botoMore
	told  string
}

func (p readProp) equal(q readProp) bool {
	same := func(a, b botoMore) bool { return bytes.Equal(a.text, b.text) }
	return p.key == q.key && p.text == q.text && bytes.Equal(p.bytes, q.bytes) && slices.EqualFunc(full(p.more), full(q.more), same)
}

// is reports whether a value is a text.
func (p readProp) is(value string) bool {
	return p.text+string(p.bytes) == value && len(full(p.more)) == 0
}

// full returns lines without the blank ones at their end, which are of no value.
func full(more []botoMore) []botoMore {
	for len(more) > 0 && len(more[len(more)-1].text) == 0 {
		more = more[:len(more)-1]
	}
	return more
}

// readings returns what the AWS grammar and botocore find in a file.
func (d *Document) readings(data []byte) ([2]reading, error) {
	file, err := parse(d.path, data)
	if err != nil {
		return [2]reading{}, err
	}
	theirs, err := parseBoto(d.path, data)
	if err != nil {
		return [2]reading{}, err
	}
	var ours, botos reading
	for i := range file.heads {
		prefix, name := file.title(i)
		s := readSection{header: section{prefix: prefix, name: name}.header(), profile: d.kind.profile(prefix, name)}
		for _, r := range file.below(i) {
			p := readProp{key: file.keys[r.key].lower, text: file.cut(r.value)}
			if p.key == processKey || p.key == keepKey {
				p.told = p.text
			}
			s.props = append(s.props, p)
		}
		ours = append(ours, s)
	}
	for i, sec := range theirs.sections {
		s := readSection{header: sec.name, profile: d.kind.botoProfile(sec.name)}
		for _, o := range theirs.below(i) {
			p := readProp{key: o.key, bytes: o.value, more: o.more}
			if o.key == processKey || o.key == keepKey {
				p.told = string(cutComment([]byte(o.text()), false)) // as who else would read it
			}
			s.props = append(s.props, p)
		}
		botos = append(botos, s)
	}
	return [2]reading{ours, botos}, nil
}

// compare says where a reading is not what the edit was to make of it, "" if it is.
func (d *Document) compare(was, is reading) string {
	seen := map[string]bool{}
	for len(was)+len(is) > 0 {
		switch {
		case len(was) > 0 && len(is) > 0 && was[0].header == is[0].header:
			if wrong := d.compareSection(was[0], is[0]); wrong != "" {
				return wrong
			}
			seen[is[0].profile] = true
			was, is = was[1:], is[1:]
		case len(was) > 0 && d.did.unwired[was[0].profile] && len(was[0].plain()) == 0:
			was = was[1:]
		case len(was) == 0 && d.did.adds(is[0]):
			if wrong := d.compareSection(readSection{header: is[0].header, profile: is[0].profile}, is[0]); wrong != "" {
				return wrong
			}
			seen[is[0].profile] = true
			is = is[1:]
		case len(was) > 0:
			return "section [" + printable(was[0].header) + "]"
		default:
			return "section [" + printable(is[0].header) + "]"
		}
	}
	for profile := range d.did.wired {
		if !seen[profile] {
			return "profile " + show(profile) + " is not there"
		}
	}
	return ""
}

// compareSection is compare for one section.
func (d *Document) compareSection(was, is readSection) string {
	in := "section [" + printable(is.header) + "]"
	line, wired := d.did.wired[is.profile]
	parked := d.did.parked[is.profile]
	switch {
	case is.profile == "" || !d.did.touches(is.profile):
		if !d.did.without(d.kind.canonical(is.header, is.profile), is.profile, was.props, is.props) {
			return in
		}
	case !d.did.without(d.kind.canonical(is.header, is.profile), is.profile, was.plain(), is.plain()):
		return in
	case d.did.unwired[is.profile] && isWired(is.items(), is.profile):
		return in + " is wired still"
	}
	if !wired && !parked {
		return ""
	}
	for _, p := range is.props {
		if isSourceKey(p.key) && (p.key != processKey || wired && !p.is(line) || !asks(p.told, is.profile)) {
			return in + ", " + p.key
		}
	}
	if wired && !has(is.items(), processKey) {
		return in + " is not wired"
	}
	return ""
}

func (s readSection) items() []item {
	list := make([]item, len(s.props))
	for i, p := range s.props {
		list[i] = item{key: p.key, value: p.told, at: i}
	}
	return list
}

// plain returns the properties as they are without wire.
func (s readSection) plain() []readProp {
	items := s.items()
	if s.profile == "" || !isWired(items, s.profile) {
		return s.props
	}
	props := slices.Clone(s.props)
	for _, r := range restoring(items, s.profile) {
		props[r.at].key, _ = plain(props[r.at].key)
	}
	return slices.DeleteFunc(props, func(p readProp) bool {
		return p.key == keepKey || p.key == processKey && asks(p.told, s.profile)
	})
}

// sameRoutes reports, as a defect, a profile that broker serves in another way
// than before the edit.
func sameRoutes(files Files, hasKey KeyLookup, config, credentials *Document) error {
	was, err := LoadBytes(files, config.data, credentials.data)
	if err != nil {
		return config.defect("was not what it seemed to be: %v", err)
	}
	texts := [][]byte{config.Bytes(), credentials.Bytes()}
	defer clear(texts[0])
	defer clear(texts[1])
	is, err := LoadBytes(files, texts[0], texts[1])
	if err != nil {
		return config.defect("the edit makes a file that cannot be read: %v", err)
	}
	for _, name := range was.Profiles() {
		before, err := was.Route(name, hasKey)
		if err != nil {
			continue // a section that wire adds may be what was missing
		}
		after, err := is.Route(name, hasKey)
		if errors.Is(err, &Error{Code: CodeNoProfile}) && len(config.did.unwired) > 0 {
			continue // and one that unwire takes out, what is missing now
		}
		if err != nil || !slices.EqualFunc(before.Path, after.Path, ProfileSettings.same) ||
			!slices.EqualFunc(before.Roles, after.Roles, ProfileSettings.same) {
			return config.defect("the edit changes how broker serves profile %s", show(name))
		}
	}
	return nil
}

// same reports whether two profiles say the same to broker, in whatever spelling.
func (p ProfileSettings) same(q ProfileSettings) bool {
	return p.Profile == q.Profile && p.source.says(q.source) && q.source.says(p.source)
}

// says reports whether a folded profile has the properties of another, without
// those of wire.
func (p Profile) says(other Profile) bool {
	return !slices.ContainsFunc(other.props, func(pr prop) bool {
		return pr.key != processKey && !strings.HasPrefix(pr.key, parkedPrefix) && p.Get(pr.key) != pr.value
	})
}
