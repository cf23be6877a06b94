// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"maps"
	"slices"
)

// intent is what was to be done to a document.
type intent struct {
	wired   map[string]string // profile → line
	parked  map[string]bool
	unwired map[string]bool
	pairs   map[string]bool
	sets    map[string]map[string]string // header → key → value
}

// touched returns the profiles that were wired, parked or unwired, sorted.
func (t *intent) touched() []string {
	names := slices.Collect(maps.Keys(t.wired))
	names = slices.AppendSeq(names, maps.Keys(t.parked))
	names = slices.AppendSeq(names, maps.Keys(t.unwired))
	slices.Sort(names)
	return slices.Compact(names)
}

// canonical returns the one header by which Set knows a section.
func (k FileKind) canonical(header, profile string) string {
	if profile == "" {
		return header
	}
	return k.header(profile)
}

func (t *intent) touches(profile string) bool {
	_, wired := t.wired[profile]
	return wired || t.parked[profile] || t.unwired[profile]
}

// adds reports whether a section was to be added to the file.
func (t *intent) adds(s readSection) bool {
	_, wired := t.wired[s.profile]
	_, set := t.sets[s.header]
	return wired && s.profile != "" || set
}

// without reports whether properties are the same but for a pair that was to be
// removed, which is, and for what was to be set, and is.
func (t *intent) without(header, profile string, was, is []readProp) bool {
	sets, pair := t.sets[header], t.pairs[profile]
	rest := func(props []readProp) []readProp {
		if len(sets) == 0 && !pair {
			return props
		}
		return slices.DeleteFunc(slices.Clone(props), func(p readProp) bool {
			_, set := sets[p.key]
			return set || pair && isPairKey(p.key)
		})
	}
	if !slices.EqualFunc(rest(was), rest(is), readProp.equal) {
		return false
	}
	if pair && slices.ContainsFunc(is, func(p readProp) bool { return isPairKey(p.key) }) {
		return false
	}
	for key, value := range sets {
		i := slices.IndexFunc(is, func(p readProp) bool { return p.key == key })
		if i < 0 || !is[i].is(value) {
			return false
		}
	}
	return true
}

func (t *intent) wire(profile, line string) {
	if t.wired == nil {
		t.wired = map[string]string{}
	}
	t.wired[profile] = line
	delete(t.unwired, profile)
}

func (t *intent) park(profile string) {
	mark(&t.parked, profile)
	delete(t.unwired, profile)
}

func (t *intent) unwire(profile string) {
	mark(&t.unwired, profile)
	delete(t.wired, profile)
	delete(t.parked, profile)
}

func (t *intent) pair(profile string) { mark(&t.pairs, profile) }

func (t *intent) set(header, key, value string) {
	if t.sets == nil {
		t.sets = map[string]map[string]string{}
	}
	if t.sets[header] == nil {
		t.sets[header] = map[string]string{}
	}
	t.sets[header][key] = value
}

func mark(set *map[string]bool, name string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[name] = true
}
