// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"
	"testing"
)

func TestRemoveKeyPair(t *testing.T) {
	t.Parallel()
	const text = "[dev]\n# mine\naws_access_key_id = AKIA1 # old\nregion = x\nAWS_Secret_Access_Key=" + canary + "\naws_session_token = abc\n  def\n\n\tghi\nlast = 1\n[ops]\naws_access_key_id = AKIA2\naws_secret_access_key = " + canary
	for _, c := range []struct {
		profile, id string
		removed     bool
		want        string
	}{
		{"dev", "AKIA1", true, "[dev]\n# mine\nregion = x\n\nlast = 1\n[ops]\naws_access_key_id = AKIA2\naws_secret_access_key = " + canary},
		{"ops", "AKIA2", true, text[:strings.Index(text, "aws_access_key_id = AKIA2")]},
		{"dev", "AKIA2", false, text},
		{"dev", "", false, text},
		{"other", "AKIA1", false, text},
	} {
		d := document(t, CredentialsFile, text)
		removed, err := d.RemoveKeyPair(c.profile, c.id)
		if got := string(d.Bytes()); err != nil || removed != c.removed || got != c.want {
			t.Errorf("%s %s: %t, %v, got\n%q\nwant\n%q", c.profile, c.id, removed, err, got, c.want)
		}
		if err := Verify(Files{}, nil, document(t, ConfigFile, ""), d); err != nil {
			t.Error(err)
		}
	}
	half := document(t, ConfigFile, "[profile dev]\naws_secret_access_key = x\n")
	if removed, err := half.RemoveKeyPair("dev", ""); err != nil || !removed || string(half.Bytes()) != "[profile dev]\n" {
		t.Errorf("a secret alone: %t, %v, %q", removed, err, half.Bytes())
	}
	twice := document(t, CredentialsFile, "[dev]\n[dev ]\naws_access_key_id = AKIA1\n")
	_, err := twice.RemoveKeyPair("dev", "AKIA1")
	checkError(t, err, CodeProfileInvalid, "config:2: profile dev has a second section")
}

func TestSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, header, key, value, want string }{
		{"empty file", "", "profile dev", "mfa_command", "/bin/x", "[profile dev]\nmfa_command = /bin/x\n"},
		{"new section", "[vault]\nbackend = file\n", "profile dev", "mfa_command", "/bin/x", "[vault]\nbackend = file\n\n[profile dev]\nmfa_command = /bin/x\n"},
		{"new key", "[profile dev]\r\na = 1\r\n b\r\n\r\n# c\r\n[profile ops]\r\n", "profile dev", "x", "1", "[profile dev]\r\na = 1\r\n b\r\nx = 1\r\n\r\n# c\r\n[profile ops]\r\n"},
		{"no properties", "[profile dev]", "profile dev", "x", "1", "[profile dev]\nx = 1"},
		{"replaced", "[profile dev]\nX=0 # c\n more\ny = 1\n", "profile dev", "x", "1", "[profile dev]\nx = 1\ny = 1\n"},
		{"the same", "[profile dev]\nX=1\n", "profile dev", "x", "1", "[profile dev]\nX=1\n"},
		{"another section", "[mfa]\ntimeout = 1m\n", "mfa", "timeout", "2m", "[mfa]\ntimeout = 2m\n"},
		{"a tab in the header", "[profile\tdev]\n", "profile dev", "x", "1", "[profile\tdev]\nx = 1\n"},
	} {
		d := document(t, ConfigFile, c.text)
		if err := d.Set(c.header, c.key, c.value); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := string(d.Bytes()); got != c.want {
			t.Errorf("%s: got\n%q\nwant\n%q", c.name, got, c.want)
		}
		if err := Verify(Files{}, nil, d, document(t, CredentialsFile, "")); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, c := range []struct{ name, header, key, value, code, want string }{
		{"secret", "profile dev", "aws_secret_access_key", "x", CodeUsage, "cannot set aws_secret_access_key"},
		{"name", "profile dev", "a b", "x", CodeUsage, "cannot set"},
		{"colon", "profile dev", "a:b", "x", CodeUsage, "cannot set"},
		{"no value", "profile dev", "a", "", CodeUsage, "the value of a"},
		{"two lines", "profile dev", "a", "x\n[y]", CodeUsage, "the value of a"},
		{"comment", "profile dev", "a", "#x", CodeUsage, "the value of a"},
		{"inline comment", "profile dev", "a", "x #y", CodeUsage, "the value of a"},
		{"header", "profile a b", "a", "x", CodeUsage, "cannot write a section"},
		{"brackets", "a]", "a", "x", CodeUsage, "cannot write a section"},
		{"DEFAULT", "DEFAULT", "a", "x", CodeUsage, "cannot write a section"},
		{"two readings", "profile dev", "a", "x", CodeProfileInvalid, "config:2: has a \":\" in the name"},
		{"quotes", "profile ops", "a", "x", CodeProfileInvalid, "config:3: this section is profile ops to some"},
	} {
		d := document(t, ConfigFile, "[profile dev]\na:b = c\n[profile \"ops\"]\n")
		checkError(t, d.Set(c.header, c.key, c.value), c.code, c.want)
		if d.Changed() {
			t.Errorf("%s: the document changed", c.name)
		}
	}
}

// TestWipe: a document that was wiped holds nothing of the file.
func TestWipe(t *testing.T) {
	t.Parallel()
	d := document(t, CredentialsFile, "[dev]\nmfa_serial = x\n[ops]\naws_secret_access_key = "+canary+"\n")
	other := document(t, CredentialsFile, "")
	other.Beside(d)
	if err := d.Park("dev"); err != nil {
		t.Fatal(err)
	}
	data, lines := d.data, d.blocks[2].lines
	d.Wipe()
	if bytes.ContainsFunc(data, func(r rune) bool { return r != 0 }) || bytes.Contains(lines[1].text, []byte("a")) || len(d.Bytes()) != 0 {
		t.Errorf("left are %q, %q and %q", data, lines[1].text, d.Bytes())
	}
}
