// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"slices"
	"strings"
)

// What wire writes before the key of a property that it takes out of use.
const (
	parkedPrefix = "broker_"     // broker goes by it, SDKs do not know it
	unusedPrefix = "broker_was_" // nobody goes by it
)

const (
	processKey = "credential_process"
	// keepKey names the properties that had their broker_ before wire came,
	// and keep it when wire is undone.
	keepKey = "broker_keep"
	// keepNothing is its value where there are none: in the credentials file,
	// where no other line tells that wire has been there.
	keepNothing = "none"
)

// The comments below the header of a section that wire added.
const (
	addedMark      = "# added by broker wire; broker unwire takes this section out again"
	addedMarkBlank = "# added by broker wire, with the empty line above; broker unwire takes both out again"
)

// parks reports whether wire takes a key out of use by writing broker_ before
// it: every source of credentials, and every parameter of one, except the
// credential_process, which is wire's own place, and key pairs, which nobody
// would look for under another name.
func parks(key string) bool {
	return key != processKey && !isPairKey(key) && isSourceKey(key)
}

// isPairKey reports whether a key is part of a key pair.
func isPairKey(key string) bool {
	switch key {
	case "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token":
		return true
	}
	return false
}

// plain returns the key without what wire wrote before it, and what that was.
// It is "" before for a key that wire does not write.
func plain(key string) (rest, before string) {
	if rest, ok := strings.CutPrefix(key, unusedPrefix); ok && (parks(rest) || rest == processKey) {
		return rest, unusedPrefix
	}
	if rest, ok := strings.CutPrefix(key, parkedPrefix); ok && parks(rest) {
		return rest, parkedPrefix
	}
	return key, ""
}

// item is a property of a section: what an edit decides by.
type item struct {
	key   string // in lower case
	value string // of a credential_process and of broker_keep; else ""
	at    int    // index of its line in the block
}

// items returns the properties of a block.
func (b *block) items() []item {
	var list []item
	for i, l := range b.lines {
		if l.kind != property {
			continue
		}
		it := item{key: l.key(), at: i}
		if it.key == processKey || it.key == keepKey {
			it.value = b.value(i)
		}
		list = append(list, it)
	}
	return list
}

// key returns the key of a property, in lower case.
func (l docLine) key() string {
	key, _ := l.property()
	return strings.ToLower(l.before + string(key))
}

// property returns both sides of a property, without what stands before it.
func (l docLine) property() (key, value []byte) {
	key, value, _ = bytes.Cut(cutComment(l.text, false), []byte("="))
	return trim(key), trim(value)
}

// value returns the value of the property at line i, with what continues it.
func (b *block) value(i int) string {
	_, text := b.lines[i].property()
	value := string(text)
	for _, l := range b.lines[i+1:] {
		switch l.kind {
		case continuation:
			value += "\n" + string(trim(l.text))
		case property, header:
			return value
		}
	}
	return value
}

func find(items []item, key string) (item, bool) {
	i := slices.IndexFunc(items, func(it item) bool { return it.key == key })
	if i < 0 {
		return item{}, false
	}
	return items[i], true
}

func has(items []item, key string) bool {
	_, ok := find(items, key)
	return ok
}

// asks reports whether a credential_process asks broker for a profile.
func asks(value, profile string) bool {
	if !strings.Contains(value, "credential-process") { // most are not, and a file may have thousands
		return false
	}
	_, asked, ok := HelperCommand(value)
	return ok && asked == profile
}

// isWired reports whether wire, or a user after its pattern, has been in the
// section of a profile.
func isWired(items []item, profile string) bool {
	return slices.ContainsFunc(items, func(it item) bool {
		_, before := plain(it.key)
		return it.key == keepKey || before == unusedPrefix || it.key == processKey && asks(it.value, profile)
	})
}

// rename is a change of what stands before a key.
type rename struct {
	at     int
	before string
}

// Wire makes credential_process the one source of credentials in a profile of
// the config file: line, as HelperLine writes it. Keys that are another source
// get broker_ before them, so that broker still finds what they say, or
// broker_was_, if they are not in force. A profile without a section gets one
// at the end of the file. What is wired already is left alone, but for the path
// of the program: a --duration of the user's stays. Unwire undoes it byte for byte.
//
// The error is of CodeProfileInvalid, at the line, if SDKs would not all read
// what came out alike: a key pair in the profile, or a section that they read
// differently to begin with; of CodeUsage for a line that does not ask broker
// for this profile.
func (d *Document) Wire(profile, line string) error {
	if !asks(line, profile) || checkText(line) != nil {
		return &Error{Code: CodeUsage, Message: "the helper's line for profile " + show(profile) + " cannot be written into an AWS config"}
	}
	b, err := d.target(profile)
	if err != nil {
		return err
	}
	if b == nil {
		if err := d.noDefaults(); err != nil {
			return err
		}
		d.append(d.kind.header(profile), profile, addedMark, processKey+" = "+line)
		d.did.wire(profile, line)
		return nil
	}
	items := b.items()
	renames, keep, err := d.parking(b, items, profile)
	if err != nil {
		return err
	}
	b.rename(renames)
	var add []string
	if old, ok := find(items, processKey); ok && asks(old.value, profile) {
		line = withLife(line, old.value)
		d.replaceProcess(b, old, line)
	} else {
		add = append(add, processKey+" = "+line)
	}
	if keep != "" {
		add = append(add, keepKey+" = "+keep)
	}
	d.insert(b, add)
	d.did.wire(profile, line)
	return nil
}

// Park is what Wire does to the section of the same profile in the credentials
// file: the credential_process stands in the config file only. A profile
// without a section there needs nothing.
func (d *Document) Park(profile string) error {
	b, err := d.target(profile)
	if err != nil || b == nil {
		return err
	}
	items := b.items()
	renames, keep, err := d.parking(b, items, profile)
	if err != nil {
		return err
	}
	b.rename(renames)
	if len(renames) > 0 && !isWired(items, profile) {
		if keep == "" {
			keep = keepNothing
		}
		d.insert(b, []string{keepKey + " = " + keep})
	}
	d.did.park(profile)
	return nil
}

// parking decides what has to be written before the keys of a profile, and
// which keys had a broker_ of their own until now.
func (d *Document) parking(b *block, items []item, profile string) (renames []rename, keep string, err error) {
	if err := d.noDefaults(); err != nil {
		return nil, "", err
	}
	var kept []string
	above := d.spoken(profile)
	for _, it := range items {
		at := d.at(b, b.lines[it.at])
		if name, alike := b.lines[it.at].sameKey(); !alike && (isSourceKey(it.key) || isSourceKey(name)) {
			return nil, "", errorAt(at, CodeProfileInvalid, `has a ":" in the name of the property: SDKs do not agree what it is called`).
				hint(`write "=" after the name`)
		}
		rest, before := plain(it.key)
		switch {
		case isPairKey(it.key):
			return nil, "", plaintextPair(at, profile)
		case it.key == processKey && asks(it.value, profile):
		case (it.key == processKey || parks(it.key)) && has(items, unusedPrefix+it.key):
			return nil, "", errorAt(at, CodeProfileInvalid, "%s is set although %s is there already", it.key, unusedPrefix+it.key).
				hint("remove the one that is not meant")
		case it.key == processKey, parks(it.key) && (has(items, parkedPrefix+it.key) || has(above, parkedPrefix+it.key)):
			renames = append(renames, rename{it.at, unusedPrefix})
		case parks(it.key):
			renames = append(renames, rename{it.at, parkedPrefix})
		case before == parkedPrefix && !has(items, rest):
			kept = append(kept, rest)
		}
	}
	if isWired(items, profile) {
		kept = nil // wire itself wrote them, and noted then what it did not
	}
	return renames, strings.Join(kept, ", "), nil
}

func plaintextPair(at Pos, profile string) error {
	return errorAt(at, CodeProfileInvalid, "profile %s has a key in this file, which SDKs prefer to broker", show(profile)).
		hint("store it and take it out of the file: broker import --delete-source")
}

// noDefaults refuses a file whose [DEFAULT] botocore would read into the
// profile as a second source of credentials.
func (d *Document) noDefaults() error {
	for _, i := range d.shared {
		b := &d.blocks[i]
		for _, it := range b.items() {
			if isSourceKey(it.key) {
				return errorAt(d.at(b, b.lines[it.at]), CodeProfileInvalid, "%s stands in [DEFAULT], which botocore reads into every profile", it.key).
					hint("move it into the profiles that it is meant for, or into [default]")
			}
		}
	}
	return nil
}

// sameKey returns the key that botocore reads, for which ":" ends it as "="
// does, and whether it is what other SDKs read.
func (l docLine) sameKey() (name string, alike bool) {
	key, _ := l.property()
	before, _, cut := bytes.Cut(key, []byte(":"))
	return strings.ToLower(string(pyTrim(before))), !cut
}

// Unwire takes out what Wire and Park wrote for a profile, in either file, and
// reports whether there was anything. A broker_ key that the user wrote since
// loses its broker_, too, unless the plain one is there again. A section that
// Wire added goes when nothing of the user's is in it.
func (d *Document) Unwire(profile string) (changed bool, err error) {
	b, err := d.wiredTarget(profile)
	if err != nil || b == nil {
		return false, err
	}
	items := b.items()
	wired := isWired(items, profile)
	if !wired && !b.marked() {
		return false, nil
	}
	if wired {
		var drop []int
		for _, it := range items {
			if it.key == keepKey || it.key == processKey && asks(it.value, profile) {
				drop = append(drop, b.whole(it.at)...)
			}
		}
		b.rename(restoring(items, profile))
		d.remove(b, drop)
	}
	if b.marked() {
		d.takeBack(b)
	}
	d.did.unwire(profile)
	return true, nil
}

// wiredTarget is target for what is wired already. A second section, as `aws
// configure` makes of [default] beside [profile default], is in nobody's way
// when wire has been in one of the two only.
func (d *Document) wiredTarget(profile string) (*block, error) {
	second, twice := d.twins[profile]
	if !twice {
		return d.target(profile)
	}
	one, two := &d.blocks[d.names[profile]], &d.blocks[second]
	inOne, inTwo := isWired(one.items(), profile), isWired(two.items(), profile)
	switch {
	case !inOne && !inTwo:
		return nil, nil
	case inOne == inTwo || one.ours != one.boto || two.ours != two.boto:
		return d.target(profile)
	case inOne:
		return one, nil
	}
	return two, nil
}

// restoring decides which keys of a wired section lose what wire wrote before
// them.
func restoring(items []item, profile string) []rename {
	keep, _ := find(items, keepKey)
	kept := strings.Split(keep.value, ", ")
	var renames []rename
	for _, it := range items {
		rest, before := plain(it.key)
		standing, inUse := find(items, rest)
		switch {
		case before == "" || inUse && !(rest == processKey && asks(standing.value, profile)):
		case before == parkedPrefix && (has(items, unusedPrefix+rest) || slices.Contains(kept, rest)):
		default:
			renames = append(renames, rename{it.at, ""})
		}
	}
	return renames
}

// Wired returns the profiles that have lines of wire, in the order of the file.
func (d *Document) Wired() []string {
	var names []string
	for i := range d.blocks {
		b := &d.blocks[i]
		if b.ours != "" && len(b.lines) > 0 && (b.marked() || isWired(b.items(), b.ours)) {
			names = append(names, b.ours)
		}
	}
	return names
}
