// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"slices"
	"strings"
)

// RemoveKeyPair takes out every line of a profile's key pair, the session token
// that may belong to it too, if the pair is that of an access key ID; with ""
// that of a profile which has no access key ID in this file, but a secret. It
// reports whether there was one. No copy of the secret stays in d but in what
// Wipe overwrites.
func (d *Document) RemoveKeyPair(profile, accessKeyID string) (removed bool, err error) {
	b, err := d.target(profile)
	if err != nil || b == nil {
		return false, err
	}
	items, id := b.items(), ""
	if it, ok := find(items, "aws_access_key_id"); ok {
		id = b.value(it.at)
	}
	if id != accessKeyID {
		return false, nil
	}
	var drop []int
	for _, it := range items {
		if isPairKey(it.key) {
			drop = append(drop, b.whole(it.at)...)
		}
	}
	if len(drop) == 0 {
		return false, nil
	}
	b.delete(drop)
	d.did.pair(profile)
	return true, nil
}

// whole returns the lines of a property: its own and those that continue it.
func (b *block) whole(at int) []int {
	list := []int{at}
	for i := at + 1; i < len(b.lines) && b.lines[i].kind != property; i++ {
		if b.lines[i].kind == continuation {
			list = append(list, i)
		}
	}
	return list
}

// Set gives a key of a section a value, which makes both if they are not there.
// header is what stands between the brackets. A value that went on over several
// lines has one afterwards. The error is of CodeUsage for what no file can hold,
// and of CodeProfileInvalid where SDKs would not agree on what was set.
func (d *Document) Set(header, key, value string) error {
	if !validName(key) || strings.Contains(key, ":") || isSecret(key) || isPairKey(key) {
		return &Error{Code: CodeUsage, Message: "cannot set " + show(key) + " in a config file"}
	}
	if value == "" || value[0] == '#' || value[0] == ';' || checkText(value) != nil {
		return &Error{Code: CodeUsage, Message: "the value of " + key + " has characters that cannot stand in a config file"}
	}
	b, err := d.named(header)
	if err != nil {
		return err
	}
	text, profile := key+" = "+value, d.kind.profile(splitHeader(header))
	name := d.kind.canonical(header, profile)
	if b == nil {
		d.append(header, profile, "", text)
		d.did.set(name, key, value)
		return nil
	}
	end := b.top
	for _, it := range b.items() {
		l := &b.lines[it.at]
		if theirs, alike := l.sameKey(); !alike && theirs == key {
			return errorAt(d.at(b, *l), CodeProfileInvalid, `has a ":" in the name of the property: SDKs do not agree what it is called`).
				hint(`write "=" after the name`)
		}
		lines := b.whole(it.at)
		if it.key != key {
			end = lines[len(lines)-1]
			continue
		}
		if b.value(it.at) != value || !l.sameValue() {
			l.text, l.before = []byte(text), ""
			d.remove(b, lines[1:])
		}
		d.did.set(name, key, value)
		return nil
	}
	d.put(b, end+1, []string{text})
	d.did.set(name, key, value)
	return nil
}

// named returns the section with a header, nil if there is none.
func (d *Document) named(header string) (*block, error) {
	prefix, name := splitHeader(header)
	if !validName(name) || prefix != "" && !validName(prefix) || header == botoDefault {
		return nil, &Error{Code: CodeUsage, Message: "cannot write a section " + show(header)}
	}
	if profile := d.kind.profile(prefix, name); profile != "" {
		return d.target(profile)
	}
	i := slices.IndexFunc(d.blocks, func(b block) bool { return b.header == header })
	if i < 0 {
		return nil, nil
	}
	return &d.blocks[i], nil
}

// splitHeader is parsed.title for a header that is no file's yet.
func splitHeader(header string) (prefix, name string) {
	if prefix, name, ok := strings.Cut(header, " "); ok {
		return prefix, name
	}
	return "", header
}
