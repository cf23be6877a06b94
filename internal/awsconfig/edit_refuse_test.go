// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"strings"
	"testing"
)

// TestParseDocumentRefuses: files that no edit touches, each with its line and
// what to do.
func TestParseDocumentRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"section twice", "[a]\n[b]\n[a]\n", "config:3: section [a] stands in this file already"},
		{"key twice", "[a]\nx = 1\nX=2\n", "config:3: x stands in this section already"},
		{"key twice, one by a colon", "[a]\nx=1\nx : b=2\n", "config:3: x stands in this section already"},
		{"key twice in two of DEFAULT", "[DEFAULT]\nx=1\n[a]\n[DEFAULT]\nx=2\n", "config:5: x stands"},
		{"byte order mark", "\ufeff[a]\n", "config:1: starts with a byte order mark"},
		{"not UTF-8", "[a]\n# \xff\n", "config:2: is not UTF-8"},
		{"lone CR", "[a]\r\nx = 1\ry = 2\r\n", "config:2: has a carriage return"},
		{"lone CR at the end", "[a]\nx = 1\r", "config:2: has a carriage return"},
		{"no name", "[]\n", `config:1: expected`},
		{"nested", "[a]\ns3 =\n x = 1\n b\n", `config:4: expected "=" after the name of a nested property`},
		{"nested, by a character that ends a line for Python", "[a]\ns3 =\n x = 1\u2028b\n", `config:3: expected "=" after the name of a nested property`},
		{"indent that is no blank", "[a]\nx = 1\n\u00a0y = 2\n", "config:3: SDKs do not agree what this line is"},
		{"property before a section", "x = 1\n", "config:1: expected a section"},
	} {
		for _, kind := range []FileKind{ConfigFile, CredentialsFile} {
			_, err := ParseDocument("config", kind, []byte(c.text))
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s: got %v", c.name, err)
				continue
			}
			checkError(t, err, CodeConfigBroken, c.want)
		}
	}
}

// TestWireRefuses: profiles that cannot be wired as they are. Nothing changes.
func TestWireRefuses(t *testing.T) {
	t.Parallel()
	const good = wireProgram + " credential-process dev"
	for _, c := range []struct {
		name, text, line, code, want string
	}{
		{"key pair", "[profile dev]\nregion = x\nAws_Access_Key_ID = AKIA\naws_secret_access_key = " + canary, good, CodeProfileInvalid, "config:3: profile dev has a key in this file"},
		{"secret alone", "[profile dev]\naws_secret_access_key = " + canary, good, CodeProfileInvalid, "config:2: profile dev has a key"},
		{"empty key", "[profile dev]\naws_session_token =\n", good, CodeProfileInvalid, "config:2: profile dev has a key"},
		{"DEFAULT", "[DEFAULT]\nregion = x\nrole_arn = y\n[profile dev]\n", good, CodeProfileInvalid, "config:3: role_arn stands in [DEFAULT]"},
		{"DEFAULT, and no section", "[DEFAULT]\nrole_arn = y\n", good, CodeProfileInvalid, "config:2: role_arn stands in [DEFAULT]"},
		{"two by blanks", "[profile dev]\n[profile  dev]\n", good, CodeProfileInvalid, "config:2: profile dev has a second section, after that on line 1"},
		{"two by quotes", "[profile dev]\n[profile \"dev\"]\n", good, CodeProfileInvalid, "config:2: profile dev has a second section"},
		{"two by a longer word", "[profiles dev]\n[profile dev]\n", good, CodeProfileInvalid, "config:2: profile dev has a second section"},
		{"quotes alone", "[profile 'dev']\n", good, CodeProfileInvalid, "config:1: this section is profile dev to some"},
		{"blanks in the brackets", "[ profile dev ]\n", good, CodeProfileInvalid, "config:1: this section is profile dev to some"},
		{"brackets behind", "[profile dev] # [x]\n", good, CodeProfileInvalid, "config:1: this section is profile dev to some"},
		{"colon", "[profile dev]\nrole_arn:x = y\n", good, CodeProfileInvalid, `config:2: has a ":" in the name`},
		{"thrice", "[profile dev]\nrole_arn = 1\nbroker_role_arn = 2\nbroker_was_role_arn = 3\n", good, CodeProfileInvalid, "config:2: role_arn is set although broker_was_role_arn is there"},
		{"two helpers", "[profile dev]\nbroker_was_credential_process = a\ncredential_process = b\n", good, CodeProfileInvalid, "config:3: credential_process is set although"},
		{"another profile's line", "[profile dev]\n", wireProgram + " credential-process ops", CodeUsage, "the helper's line for profile dev"},
		{"no line of ours", "[profile dev]\n", "/bin/sh -c x", CodeUsage, "the helper's line for profile dev"},
		{"two lines", "[profile dev]\n", wireProgram + "\ncredential-process dev", CodeUsage, "the helper's line for profile dev"},
		{"a comment", "[profile dev]\n", "/a\\ #b/broker credential-process dev", CodeUsage, "the helper's line for profile dev"},
	} {
		d := document(t, ConfigFile, c.text)
		err := d.Wire("dev", c.line)
		checkError(t, err, c.code, c.want)
		if e := (*Error)(nil); errors.As(err, &e) && e.Code == CodeProfileInvalid && e.Hint == "" {
			t.Errorf("%s: no hint", c.name)
		}
		if d.Changed() || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the document is\n%s\nand the error %v", c.name, d.Bytes(), err)
		}
	}
	both := document(t, ConfigFile, "[default]\n[profile default]\n")
	checkError(t, both.Wire("default", wireProgram+" credential-process default"), CodeProfileInvalid, "config:2: profile default has a second section, after that on line 1")
	name := document(t, ConfigFile, "")
	checkError(t, name.Wire("a b", wireProgram+" credential-process 'a b'"), CodeUsage, "")
	_, err := name.Unwire("-x")
	checkError(t, err, CodeUsage, `starts with "-"`)
}

func TestPark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, config, text, want string }{
		{"no section", "", "[ops]\nrole_arn = x\n", "[ops]\nrole_arn = x\n"},
		{"nothing to park", "", "[dev]\nregion = x\nbroker_mfa_serial = y\n", "[dev]\nregion = x\nbroker_mfa_serial = y\n"},
		{"role", "", "[dev]\nrole_arn = x\nsource_profile=y", "[dev]\nbroker_keep = none\nbroker_role_arn = x\nbroker_source_profile=y"},
		{"broker's own", "", "[dev]\nrole_arn = x\nbroker_mfa_serial = y\n", "[dev]\nbroker_keep = mfa_serial\nbroker_role_arn = x\nbroker_mfa_serial = y\n"},
		{"foreign helper", "", "[dev]\ncredential_process = /x\n", "[dev]\nbroker_keep = none\nbroker_was_credential_process = /x\n"},
		{"not in force", "[profile dev]\nbroker_role_arn = z\n", "[dev]\nrole_arn = x\n", "[dev]\nbroker_keep = none\nbroker_was_role_arn = x\n"},
		{"a prefix is no profile here", "", "[profile dev]\nrole_arn = x\n", "[profile dev]\nrole_arn = x\n"},
	} {
		d := document(t, CredentialsFile, c.text)
		d.Beside(document(t, ConfigFile, c.config))
		for range 2 { // the second changes nothing
			if err := d.Park("dev"); err != nil {
				t.Fatal(err)
			}
			if got := string(d.Bytes()); got != c.want {
				t.Errorf("%s: got\n%q\nwant\n%q", c.name, got, c.want)
			}
			d = document(t, CredentialsFile, string(d.Bytes()))
			d.Beside(document(t, ConfigFile, c.config))
		}
		changed, err := d.Unwire("dev")
		if got := string(d.Bytes()); err != nil || got != c.text || changed != (c.text != c.want) {
			t.Errorf("%s: unwire: %t, %v, got\n%q\nwant\n%q", c.name, changed, err, got, c.text)
		}
	}
	d := document(t, CredentialsFile, "[dev]\naws_access_key_id = AKIA\n")
	checkError(t, d.Park("dev"), CodeProfileInvalid, "config:2: profile dev has a key in this file")
	checkError(t, document(t, CredentialsFile, "[ dev ]\n").Park("dev"), CodeProfileInvalid, "config:1: this section is profile dev to some")
}

// TestUnwireText: what unwire makes of a section that has changed since it was
// wired, or that somebody wired by hand.
func TestUnwireText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"by hand", "[profile dev]\nbroker_role_arn = x\nCP\n", "[profile dev]\nrole_arn = x\n"},
		{"an older program", "[profile dev]\ncredential_process = /old/broker credential-process --profile dev\nbroker_role_arn=x\n", "[profile dev]\nrole_arn=x\n"},
		{"written since", "[profile dev]\nCP\nbroker_role_arn = x\nbroker_mfa_serial = y\n", "[profile dev]\nrole_arn = x\nmfa_serial = y\n"},
		{"plain again", "[profile dev]\nCP\nbroker_role_arn = x\nrole_arn = y\n", "[profile dev]\nbroker_role_arn = x\nrole_arn = y\n"},
		{"kept", "[profile dev]\nCP\nbroker_keep = mfa_serial, role_arn\nbroker_role_arn = x\nbroker_mfa_serial = y\nbroker_external_id = z\n", "[profile dev]\nbroker_role_arn = x\nbroker_mfa_serial = y\nexternal_id = z\n"},
		{"added, and used since", "[profile dev]\nMARK\nCP\nregion = x\n", "[profile dev]\nregion = x\n"},
		{"added, with a comment since", "x\n\n[profile dev]\nBLANK\nCP\n# mine\n\n[profile ops]\n", "x\n# mine\n\n[profile ops]\n"},
		{"added, and our line gone", "[profile dev]\nMARK\n[profile ops]\n", "[profile ops]\n"},
		{"added, the line above gone", "[profile ops]\n[profile dev]\nBLANK\nCP\n", "[profile ops]\n"},
		{"settings of broker", "[profile dev]\nCP\nbroker_session_duration = 2h\nregion = x\n", "[profile dev]\nbroker_session_duration = 2h\nregion = x\n"},
	} {
		text := strings.Replace(c.text, "x\n\n[", "[default]\n\n[", 1)
		want := strings.Replace(c.want, "x\n# mine", "[default]\n# mine", 1)
		if got := unwire(t, lines(text), "dev"); got != want {
			t.Errorf("%s: got\n%q\nwant\n%q", c.name, got, want)
		}
	}
	d := document(t, ConfigFile, lines("[profile ops]\nCP\n[profile dev]\nbroker_role_arn = x\n"))
	if changed, err := d.Unwire("dev"); changed || err != nil || d.Changed() {
		t.Errorf("a profile that is not wired: %t, %v", changed, err)
	}
	if got := document(t, ConfigFile, lines("[profile ops]\nCP\n[profile dev]\nCP\n[profile a]\nbroker_keep = none\n[profile b]\nMARK\n")).Wired(); strings.Join(got, " ") != "dev a b" {
		t.Errorf("wired are %q", got)
	}
}

// TestWireAgain: a line of ours gets the new path of the program, and nothing
// else changes.
func TestWireAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"older path", "[profile dev]\nregion = x\ncredential_process = /old/broker credential-process dev\r\nrole_arn = a\n", "[profile dev]\nregion = x\nCP\r\nbroker_role_arn = a\n"},
		{"spacing", "[profile dev]\ncredential_process=" + wireProgram + " credential-process dev  \n", "[profile dev]\ncredential_process=" + wireProgram + " credential-process dev  \n"},
		{"capitals", "[profile dev]\nCredential_Process = " + wireProgram + " credential-process dev\n", "[profile dev]\nCP\n"},
		{"comment", "[profile dev]\nCP # mine", "[profile dev]\nCP"},
		{"two lines", "[profile dev]\ncredential_process = /old/broker\n  credential-process dev\nx = y\n", "[profile dev]\nCP\nx = y\n"},
		{"length", "[profile dev]\ncredential_process = /old/broker credential-process --duration=2h dev\n", "[profile dev]\ncredential_process = " + wireProgram + " credential-process --duration=2h dev\n"},
		{"a length that is none", "[profile dev]\ncredential_process = /old/broker credential-process --duration=2y dev\n", "[profile dev]\nCP\n"},
	} {
		if got, want := wire(t, lines(c.text), "dev"), lines(c.want); got != want {
			t.Errorf("%s: got\n%q\nwant\n%q", c.name, got, want)
		}
	}
}

// TestUnwireThenWire: a section that went is not in the way of another one.
func TestUnwireThenWire(t *testing.T) {
	t.Parallel()
	d := document(t, ConfigFile, lines("[profile  dev]\nregion = x\n\n[profile dev]\nBLANK\nCP\n"))
	if changed, err := d.Unwire("dev"); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if err := d.Wire("dev", wireProgram+" credential-process dev"); err != nil {
		t.Fatal(err)
	}
	if got, want := string(d.Bytes()), lines("[profile  dev]\nCP\nregion = x\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
