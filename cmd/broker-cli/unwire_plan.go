// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"credbroker/internal/awsconfig"
)

// unwireRules is what unwire decides by, beside the files.
type unwireRules struct {
	files awsconfig.Files
	names []string // nil is every profile that is wired
	known func(profile string) bool
}

// plan says what unwire makes of two files.
func (r unwireRules) plan(old awsText) (wirePlan, error) {
	before, err := awsconfig.LoadBytes(r.files, old[theConfig], old[theCredentials])
	if err != nil {
		return wirePlan{}, err
	}
	d, err := openDocuments(r.files, old)
	if err != nil {
		return wirePlan{}, err
	}
	defer d.wipe()
	names := r.names
	if names == nil {
		names = append(d.config.Wired(), d.credentials.Wired()...)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	p := wirePlan{profiles: []wiredProfile{}}
	for _, name := range names {
		t, err := r.unwire(d, before, name)
		if err != nil {
			return p, err
		}
		p.profiles = append(p.profiles, t)
	}
	if err := p.take(d, old, nil); err != nil {
		return p, err
	}
	after, err := awsconfig.LoadBytes(r.files, p.text[theConfig], p.text[theCredentials])
	if err != nil {
		return p, err
	}
	for i := range p.profiles {
		if t := &p.profiles[i]; t.State == stateUnwired {
			t.Now = sourceText(after, t.Profile)
		}
	}
	return p, nil
}

// unwire takes one profile back. One that nobody knows is a slip.
func (r unwireRules) unwire(d documents, before *awsconfig.Config, name string) (wiredProfile, error) {
	t := wiredProfile{Profile: name, State: stateNotWired}
	inConfig, err := d.config.Unwire(name)
	if err != nil {
		return t, err
	}
	inCredentials, err := d.credentials.Unwire(name)
	if err != nil {
		return t, err
	}
	if inConfig || inCredentials {
		t.State = stateUnwired
	} else if !r.known(name) {
		_, err = before.Show(name, false) // names the nearest one
	}
	return t, err
}
