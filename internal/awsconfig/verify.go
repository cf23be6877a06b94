// SPDX-License-Identifier: Apache-2.0

package awsconfig

// intent is what was to be done to a document: what an edit is held against.
type intent struct {
	wired   map[string]string // profile → line
	parked  map[string]bool
	unwired map[string]bool
	pairs   map[string]bool
	sets    map[string]map[string]string // header → key → value
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
