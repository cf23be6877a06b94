// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// TestWireAsksSDKs: broker's line goes into no profile where one SDK would not
// find it, or find it in another profile; what an SDK refuses anyway is said.
func TestWireAsksSDKs(t *testing.T) {
	t.Parallel()
	const base = "[profile base]\nregion = eu-west-1\n"
	for _, test := range []struct {
		name, config, profile, state, text string
	}{
		{"comment glued to a header", "[profile other]\noutput = json\n[profile base]# x\nregion = eu-west-1\n", "base", stateRefused, "/h/config:3: profile base would not be from broker everywhere: with broker's line in it, JavaScript (CDK) takes broker's line for one of another profile"},
		{"nothing before that header", "[profile base]# x\nregion = eu-west-1\n", "base", stateWired, "JavaScript (CDK) finds no credentials"},
		{"two blanks in a header", "[profile  base]\nregion = eu-west-1\n", "base", stateWired, "JavaScript (CDK) finds no credentials"},
		{"a dot for the blank", base + "[profile.base]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n", "base", stateRefused, "JavaScript (CDK) uses the access key"},
		{"a second command below a value", "[profile base]\noutput = json\n  credential_process = /bin/other\n", "base", stateRefused, "/h/config:3: profile base would"},
		{"retry_mode", "[profile base]\nretry_mode = legacy\n", "base", stateWired, "Go (Terraform) refuses it: its retry_mode"},
		{"one quote", base + "[profile other]\noutput = \"\n", "base", stateWired, "Go (Terraform) refuses it: a value of one quote crashes it (/h/config:4)"},
		{"plain", base, "base", stateWired, ""},
	} {
		for _, names := range [][]string{nil, {test.profile}} {
			p, states := planOf(t, rules(names...), test.config, "")
			if states[test.profile] != test.state {
				t.Errorf("%s: %s", test.name, states[test.profile])
			}
			for _, profile := range p.profiles {
				if profile.Profile == test.profile && !strings.Contains(profile.problem()+profile.Note, test.text) {
					t.Errorf("%s: says %q, %q", test.name, profile.problem(), profile.Note)
				}
			}
			if test.state == stateRefused && string(p.text[theConfig]) != test.config {
				t.Errorf("%s: makes\n%s", test.name, p.text[theConfig])
			}
		}
	}
	// What is wired already stays, with a note.
	p, states := planOf(t, rules("base"), "[profile base]# x\ncredential_process = /usr/local/bin/broker credential-process base\n", "")
	if states["base"] != stateAlready || !strings.Contains(p.profiles[0].Note, "JavaScript") {
		t.Errorf("already: %+v", p.profiles[0])
	}
}

// TestWireBlankOnWindows: a path with a blank is a line that not every SDK can
// run there.
func TestWireBlankOnWindows(t *testing.T) {
	t.Parallel()
	r := rules("base")
	for _, test := range []struct {
		program string
		windows bool
		state   string
	}{
		{"/opt/my tools/broker", false, stateWired},
		{"/opt/my tools/broker", true, stateRefused},
		{"/opt/tools/broker", true, stateWired},
	} {
		r.program, r.windows = test.program, test.windows
		if _, states := planOf(t, r, "[profile base]\n", ""); states["base"] != test.state {
			t.Errorf("%+v: %s", test, states["base"])
		}
	}
}
