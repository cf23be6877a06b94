// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"slices"
	"testing"
)

// TestVerifySees: an edit that did more or less than it was to is found. Each
// case spoils a good edit.
func TestVerifySees(t *testing.T) {
	t.Parallel()
	const text = "# a\n[profile dev]\nregion = eu-west-1\nrole_arn = arn:aws:iam::111122223333:role/a\nsource_profile = base\n\n[profile base]\ns3 =\n  a = 1\n[sso-session q]\nx = y\n"
	dev := func(d *Document) *block { return &d.blocks[1] }
	drop := func(b *block, at int) { b.lines = slices.Delete(slices.Clone(b.lines), at, at+1) }
	set := func(l *docLine, text string) { *l = ours(text, l.eol) }
	for _, c := range []struct {
		name  string
		spoil func(d *Document)
	}{
		{"a comment is lost", func(d *Document) { d.blocks[0].lines = nil }},
		{"a property is lost", func(d *Document) { drop(dev(d), 2) }},
		{"a parked property is lost", func(d *Document) { drop(dev(d), 3) }},
		{"a property is not parked", func(d *Document) { dev(d).lines[3].before = "" }},
		{"a property is out of use", func(d *Document) { dev(d).lines[3].before = unusedPrefix }},
		{"the helper is lost", func(d *Document) { drop(dev(d), 1) }},
		{"the helper is another", func(d *Document) {
			set(&dev(d).lines[1], "credential_process = /x/broker credential-process dev")
		}},
		{"the helper is twice", func(d *Document) { dev(d).lines = append(dev(d).lines, dev(d).lines[1]) }},
		{"another profile changes", func(d *Document) { set(&d.blocks[2].lines[1], "s4 =") }},
		{"another section changes", func(d *Document) { set(&d.blocks[3].lines[1], "x = z") }},
		{"a section is lost", func(d *Document) { d.blocks[3].lines = nil }},
		{"a section is there twice", func(d *Document) { d.blocks = append(d.blocks, d.blocks[3]) }},
		{"a section is added", func(d *Document) { d.append("profile more", "more", "", "a = b") }},
		{"an empty line is lost", func(d *Document) { drop(dev(d), 5) }},
		{"a line ends differently", func(d *Document) { d.blocks[2].lines[0].eol = "\r\n" }},
		{"nothing was done", func(d *Document) {
			*d = *document(t, ConfigFile, text)
			d.did.wire("base", "x")
			d.blocks[0].lines = nil
		}},
	} {
		d := document(t, ConfigFile, text)
		if err := d.Wire("dev", wireProgram+" credential-process dev"); err != nil {
			t.Fatal(err)
		}
		verify(t, d)
		c.spoil(d)
		err := Verify(Files{"config", "credentials"}, vault(map[string]string{"base": "AKIA2"}), d, document(t, CredentialsFile, ""))
		if err == nil {
			t.Errorf("%s: not seen in\n%s", c.name, d.Bytes())
			continue
		}
		checkError(t, err, CodeInternal, "config: the edit")
	}
}

// TestVerifyRoutes: a change of how broker serves a profile is found where
// nothing else is.
func TestVerifyRoutes(t *testing.T) {
	t.Parallel()
	config := document(t, ConfigFile, "[profile dev]\nbroker_mfa_serial = arn:aws:iam::111122223333:mfa/a\n")
	credentials := document(t, CredentialsFile, "[dev]\nmfa_serial = arn:aws:iam::111122223333:mfa/b\n")
	keys := vault(map[string]string{"dev": "AKIA1"})
	if err := credentials.Park("dev"); err != nil { // without Beside, which would tell it
		t.Fatal(err)
	}
	checkError(t, Verify(Files{"config", "credentials"}, keys, config, credentials), CodeInternal, "the edit changes how broker serves profile dev")

	credentials = document(t, CredentialsFile, "[dev]\nmfa_serial = arn:aws:iam::111122223333:mfa/b\n")
	credentials.Beside(config)
	if err := credentials.Park("dev"); err != nil {
		t.Fatal(err)
	}
	if err := Verify(Files{"config", "credentials"}, keys, config, credentials); err != nil {
		t.Error(err)
	}
}
