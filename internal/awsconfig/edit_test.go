// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"strings"
	"testing"
)

const wireProgram = "/opt/b/broker"

func document(t *testing.T, kind FileKind, text string) *Document {
	t.Helper()
	d, err := ParseDocument("config", kind, []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

// wire wires profiles, and fails the test if one cannot be.
func wire(t *testing.T, text string, profiles ...string) string {
	t.Helper()
	d := document(t, ConfigFile, text)
	for _, p := range profiles {
		if err := d.Wire(p, wireProgram+" credential-process "+p); err != nil {
			t.Fatalf("wire %s: %v", p, err)
		}
	}
	verify(t, d)
	return string(d.Bytes())
}

func unwire(t *testing.T, text string, profiles ...string) string {
	t.Helper()
	d := document(t, ConfigFile, text)
	for _, p := range profiles {
		if changed, err := d.Unwire(p); err != nil || !changed {
			t.Fatalf("unwire %s: %t, %v", p, changed, err)
		}
	}
	verify(t, d)
	return string(d.Bytes())
}

// lines writes CP for the line that wire writes for dev.
func lines(text string) string {
	text = strings.ReplaceAll(text, "CP", "credential_process = "+wireProgram+" credential-process dev")
	text = strings.ReplaceAll(text, "BLANK", addedMarkBlank)
	return strings.ReplaceAll(text, "MARK", addedMark)
}

// TestWireText: what wire makes of a section of dev, and that unwire brings
// back each byte of what was there.
func TestWireText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"no file", "", "[profile dev]\nMARK\nCP\n"},
		{"role", "[profile dev]\nrole_arn=x\nregion = a\n", "[profile dev]\nCP\nbroker_role_arn=x\nregion = a\n"},
		{"appended", "[default]\nx = 1\n", "[default]\nx = 1\n\n[profile dev]\nBLANK\nCP\n"},
		{"appended below an empty line", "[default]\nx = 1\n\n", "[default]\nx = 1\n\n[profile dev]\nMARK\nCP\n"},
		{"appended without a last newline", "[default]\nx = 1", "[default]\nx = 1\n\n[profile dev]\nBLANK\nCP"},
		{"appended below white space", "[default]\n  ", "[default]\n  \n[profile dev]\nMARK\nCP"},
		{"appended below a lone comment", "# mine", "# mine\n\n[profile dev]\nBLANK\nCP"},
		{"CRLF", "[profile dev]\r\nmfa_serial\t=\ty\r\n", "[profile dev]\r\nCP\r\nbroker_mfa_serial\t=\ty\r\n"},
		{"CRLF appended", "[default]\r\nx = 1\r\n", "[default]\r\nx = 1\r\n\r\n[profile dev]\r\nBLANK\r\nCP\r\n"},
		{"mixed line ends", "[default]\n[profile dev]\r\nrole_arn=x\n", "[default]\n[profile dev]\r\nCP\r\nbroker_role_arn=x\n"},
		{"header at the end", "[profile dev]", "[profile dev]\nCP"},
		{"header at the end, CRLF", "[default]\r\n[profile dev]", "[default]\r\n[profile dev]\r\nCP"},
		{"capitals", "[profile dev]\nRole_ARN = x\n", "[profile dev]\nCP\nbroker_Role_ARN = x\n"},
		{"foreign helper", "[profile dev]\ncredential_process = /x y\n", "[profile dev]\nCP\nbroker_was_credential_process = /x y\n"},
		{"broker's own is in force", "[profile dev]\nbroker_role_arn = b\nrole_arn = a\n", "[profile dev]\nCP\nbroker_role_arn = b\nbroker_was_role_arn = a\n"},
		{"broker's own alone", "[profile dev]\nbroker_mfa_serial = b\nrole_arn = a\n", "[profile dev]\nCP\nbroker_keep = mfa_serial\nbroker_mfa_serial = b\nbroker_role_arn = a\n"},
		{"two of broker's own", "[profile dev]\nbroker_mfa_serial = b\nbroker_role_arn = a\n", "[profile dev]\nCP\nbroker_keep = mfa_serial, role_arn\nbroker_mfa_serial = b\nbroker_role_arn = a\n"},
		{"continued", "[profile dev]\nrole_arn =\n x=1\n\n y=2\ns3 =\n  role_arn = no\n", "[profile dev]\nCP\nbroker_role_arn =\n x=1\n\n y=2\ns3 =\n  role_arn = no\n"},
		{"comments", "# a\n[profile dev] # b\n# c\nrole_arn = x # d\n; role_arn = y\n", "# a\n[profile dev] # b\nCP\n# c\nbroker_role_arn = x # d\n; role_arn = y\n"},
		{"other sections", "[sso-session dev]\nsso_region = a\n[services dev]\n[profile dev]\nsso_session = dev\n", "[sso-session dev]\nsso_region = a\n[services dev]\n[profile dev]\nCP\nbroker_sso_session = dev\n"},
	} {
		got := wire(t, c.text, "dev")
		if want := lines(c.want); got != want {
			t.Errorf("%s: wire\n%q\nwant\n%q", c.name, got, want)
		}
		if again := wire(t, got, "dev"); again != got {
			t.Errorf("%s: wire again\n%q\nof\n%q", c.name, again, got)
		}
		if back := unwire(t, got, "dev"); back != c.text {
			t.Errorf("%s: unwire\n%q\nwant\n%q", c.name, back, c.text)
		}
	}
}

// verify holds an edit of the config file, beside an empty credentials file,
// against its intent.
func verify(t *testing.T, d *Document) {
	t.Helper()
	other := document(t, CredentialsFile, "")
	if err := Verify(Files{"config", "credentials"}, vault(map[string]string{"dev": "AKIA1", "base": "AKIA2"}), d, other); err != nil {
		t.Errorf("%v: %s", err, d.Bytes())
	}
}

// TestWireKeepsRoutes: what wire writes into a profile does not beat what
// another profile, which includes it, says itself.
func TestWireKeepsRoutes(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::111122223333:role/"
	text := "[profile dev]\nrole_arn = " + arn + "a\nsource_profile = base\nregion = eu-west-1\n" +
		"[profile other]\ninclude_profile = dev\nrole_arn = " + arn + "b\n[profile base]\n"
	for _, wired := range []string{text, wire(t, text, "dev"), wire(t, text, "dev", "other", "base")} {
		c := mustLoad(t, wired, "")
		for profile, want := range map[string]string{"dev": arn + "a", "other": arn + "b"} {
			r, err := c.Route(profile, vault(map[string]string{"base": "AKIA2"}))
			if err != nil || len(r.Roles) != 1 || r.Roles[0].Role.ARN != want {
				t.Errorf("%s: %+v, %v, want role %s of\n%s", profile, r.Roles, err, want, wired)
			}
		}
	}
}

// TestUnwireBesideATwin: a section that somebody made beside the one that is
// wired, as `aws configure` makes [default] beside [profile default], holds
// nothing up. Where both are wired nobody knows which is meant.
func TestUnwireBesideATwin(t *testing.T) {
	t.Parallel()
	const wired, plain = "[profile default]\ncredential_process = /b/broker credential-process default\nbroker_role_arn = x\n", "[profile default]\nrole_arn = x\n"
	const twin, twinWired = "[default]\nregion = a\n", "[default]\ncredential_process = /b/broker credential-process default\n"
	for _, c := range []struct{ text, want string }{
		{wired + twin, plain + twin},
		{twin + wired, twin + plain},
	} {
		if got := unwire(t, c.text, "default"); got != c.want {
			t.Errorf("unwire of\n%q is\n%q\nwant\n%q", c.text, got, c.want)
		}
	}
	d := document(t, ConfigFile, wired+twinWired)
	if changed, err := d.Unwire("default"); err == nil || changed || string(d.Bytes()) != wired+twinWired {
		t.Errorf("unwire of two that are wired: %t, %v, want a refusal", changed, err)
	}
}
