// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"path/filepath"
	"strings"
	"testing"
)

// disagreements returns "file:line: message" of each, harmless ones in brackets.
func disagreements(t *testing.T, config, credentials string) []string {
	t.Helper()
	dir := t.TempDir()
	files := Files{Config: filepath.Join(dir, "config"), Credentials: filepath.Join(dir, "credentials")}
	write(t, files.Config, config)
	write(t, files.Credentials, credentials)
	found, err := Disagreements(files)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, d := range found {
		if d.Hint == "" {
			t.Errorf("%s: no hint", d.Message)
		}
		text := strings.TrimPrefix(d.Pos.String(), dir+"/") + ": " + d.Message
		if d.Harmless {
			text = "[" + text + "]"
		}
		if strings.Contains(text+d.Hint, canary) {
			t.Errorf("a value is quoted: %s", text)
		}
		list = append(list, text)
	}
	return list
}

func TestDisagreements(t *testing.T) {
	t.Parallel()
	const ours = "credential_process = /usr/bin/broker credential-process dev\n"
	for _, tc := range []struct {
		name, config, credentials string
		want                      []string // parts, in order
	}{
		{"nothing", "[default]\nregion = x\n[profile dev]\n" + ours + "[sso-session s]\n[services s]\ns3 =\n  a = b\n[plugins]\n", "", nil},
		{"quiet", "[default]\nregion = x\n[profile dev]\n" + ours, "[other]\naws_access_key_id = A\naws_secret_access_key = " + canary, nil},
		{"section twice", "[profile dev]\n[profile dev]\nx = 1\n", "[a]\n[b]\n[ a ]", []string{"config:2: section [profile dev] stands on line 1", "credentials:3: section [a] stands on line 1"}},
		{"key twice", "[profile dev]\nregion = a\nx = 1\nREGION = b\n", "", []string{"config:4: region stands on line 2"}},
		{"no profile", "[dev]\nregion = a\n", "[profile dev]\n", []string{"[config:1: [dev] is no profile", "[credentials:1: [profile dev] is no profile"}},
		{"quoted name", "[profile \"dev\"]\n", "", []string{"config:1: the name of profile"}},
		{"quoted name of something", "[profile \"dev\"]\nregion = x\n", "", []string{"config:1: the name of profile"}},
		{"two blanks", "[profile  dev]\nregion = x\n", "", []string{"config:1: profile dev: JavaScript does not find it"}},
		{"blanks in brackets", "[ profile dev ]\nregion = x\n", "", []string{"config:1: profile dev: botocore and JavaScript do not find it"}},
		{"comment glued to a header", "[profile dev]# c\nregion = x\n", "", []string{"config:1: profile dev: JavaScript does not find it"}},
		{"DEFAULT", "[DEFAULT]\nregion = x\n[profile dev]\noutput = y\n", "", []string{"config:1: botocore reads what stands in [DEFAULT] into every profile"}},
		{"default twice", "[profile default]\nregion = x\n[default]\nregion = y\n", "", []string{"config:3: [profile default] on line 1 takes the place of [default], but for botocore"}},
		{"default twice, harmless", "[default]\nregion = x\n[profile default]\nregion = y\n", "", []string{"[config:1: [profile default] on line 3 takes the place of [default]"}},
		{"upper case", "[profile dev]\nCredential_Process = x y\n", "", []string{"config:2: credential_process is not in lower case"}},
		{"two lines", "[profile dev]\ncredential_process = x\n  y\n", "", []string{"config:2: credential_process goes on over several lines"}},
		{"comment", "[profile dev]\ncredential_process = x y # " + canary + "\n", "", []string{"config:2: credential_process has a comment"}},
		{"no comment", "[profile dev]\ncredential_process = x y#z\n", "", nil},
		{"quotes", "[profile dev]\ncredential_process = \"/a b/x\" c \"d e\"\n", "", []string{"config:2: credential_process begins and ends with a quote"}},
		{"one quoted word first", "[profile dev]\ncredential_process = \"/a b/x\" c\n", "", nil},
		{"shell", "[profile dev]\ncredential_process = $HOME/x " + canary + "\n", "", []string{"config:2: credential_process has characters that a shell"}},
		{"quoted Region", "[profile dev]\nregion = \"x\"\n", "", []string{"config:2: profile dev: Go takes the quotes off region"}},
		{"comment behind the Region", "[profile dev]\nregion = x ; mine\n", "", []string{"config:2: profile dev: botocore takes the comment behind region for a part of it"}},
		{"Region in upper case", "[profile dev]\nRegion = x\n", "", []string{"config:2: profile dev: JavaScript does not see region"}},
		{"Region over two lines", "[profile dev]\nregion = x\n  y\n", "", []string{"config:2: profile dev: JavaScript glues the lines of region"}},
		{"endpoint_url in the second file", "[profile dev]\nregion = x\n", "[dev]\nendpoint_url = http://x\nregion = x\n", []string{"credentials:2: profile dev: Go loses endpoint_url"}},
		{"endpoint_url in both files", "[profile dev]\nendpoint_url = http://y\n", "[dev]\nendpoint_url = http://x\n", []string{"config:2: profile dev: botocore takes the endpoint_url of line"}},
		{"Region in both files", "[profile dev]\nregion = x\n", "[dev]\nregion = y\n", nil},
		{"role and process", "[profile dev]\nrole_arn = r\n" + ours, "", []string{"config:2: profile dev: botocore refuses it: it has role_arn without a source_profile (line 2); Go assumes r (line 2) with what broker gives for profile dev; JavaScript asks broker for profile dev"}},
		{"source and process", "[profile dev]\nsource_profile = a\n" + ours, "", []string{"config:2: profile dev: botocore and JavaScript ask broker for profile dev; Go refuses it: it has source_profile without a role_arn (line 2)"}},
		{"key and process", "[profile dev]\naws_access_key_id = A\naws_secret_access_key = " + canary + "\n" + ours, "", []string{"config:2: profile dev: botocore asks broker for profile dev; Go and JavaScript use the access key A (line 2)"}},
		{"sso and process", "[profile dev]\nsso_region = s\n" + ours, "", []string{"config:1: profile dev: botocore and JavaScript ask broker for profile dev; Go refuses it: it signs in with sso without"}},
		{"half a pair", "[profile dev]\naws_access_key_id = A\n", "", []string{"[config:2: profile dev: botocore and Go refuse it: it has half a key pair (line 2); JavaScript finds no credentials in it"}},
		{"device on a process", "[profile dev]\n" + ours + "[profile r]\nrole_arn = r\nsource_profile = dev\nmfa_serial = m\n", "", []string{"config:6: profile r: botocore assumes r (line 4) with what broker gives for profile dev after asking for a code on the terminal; Go and JavaScript refuse it: it has mfa_serial, and a program must say how to ask for the code (line 6)"}},
		{"device on a key", "[profile dev]\naws_access_key_id = A\naws_secret_access_key = " + canary + "\n[profile r]\nrole_arn = r\nsource_profile = dev\nmfa_serial = m\n", "", []string{"[config:7: profile r: botocore assumes r"}},
		{"a source that is not one to all", "[profile dev]\nrole_arn = r\nsource_profile = a\n[profile a]\naws_access_key_id = A\naws_secret_access_key = " + canary + "\n" + ours, "", []string{"config:5: profile a: botocore asks broker for profile dev"}},
		{"quoted source", "[profile dev]\nrole_arn = r\nsource_profile = \"a\"\n[profile a]\n" + ours, "", []string{"config:3: profile dev: Go takes the quotes off source_profile"}},
		{"wired by hand", "[profile r]\nbroker_role_arn = r\nbroker_source_profile = dev\n" + ours, "", nil},
		{"wired", "[profile r]\n" + ours + "broker_role_arn = r\nbroker_mfa_serial = m\nbroker_was_credential_process = x\nbroker_keep = mfa_serial\n", "[r]\nbroker_role_arn = x\n", nil},
		{"hostile name", "[profile a\x1b[31m]\n[profile a\x1b[31m]\n", "", []string{"config:1: the name of profile \"a\\x1b[31m\"", "config:2: section [profile \"a\\x1b[31m\"]", "config:2: the name"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := disagreements(t, tc.config, tc.credentials)
			if len(got) != len(tc.want) {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			for i, part := range tc.want {
				if !strings.HasPrefix(got[i], part) {
					t.Errorf("got %q, want %q", got[i], part)
				}
			}
		})
	}
}

// TestDisagreementsOfABrokenFile: the errors are those of Load.
func TestDisagreementsOfABrokenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config")
	write(t, path, "[profile dev\n")
	_, err := Disagreements(Files{Config: path})
	checkError(t, err, CodeConfigBroken, `config:1: expected "]" at the end of the section name`)
}
