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
		{"nothing", "[default]\nregion = x\n[profile dev]\n" + ours + "[sso-session s]\n[services s]\ns3 =\n  a = b\n[plugins]\n", "[dev]\naws_access_key_id = A\n[other]\n", []string{"credentials:2: profile dev has an access key"}},
		{"quiet", "[default]\nregion = x\n[profile dev]\n" + ours, "[other]\naws_access_key_id = A\naws_secret_access_key = " + canary, nil},
		{"section twice", "[profile dev]\n[profile dev]\nx = 1\n", "[a]\n[b]\n[ a ]", []string{"config:2: section [profile dev] stands on line 1", "credentials:3: section [a] stands on line 1"}},
		{"key twice", "[profile dev]\nregion = a\nx = 1\nREGION = b\n", "", []string{"config:4: region stands on line 2"}},
		{"no profile", "[dev]\nregion = a\n", "[profile dev]\n", []string{"[config:1: [dev] is no profile", "[credentials:1: [profile dev] is no profile"}},
		{"quoted name", "[profile \"dev\"]\n", "", []string{"config:1: the name of profile"}},
		{"upper case", "[profile dev]\nCredential_Process = x y\n", "", []string{"config:2: credential_process is not in lower case"}},
		{"two lines", "[profile dev]\ncredential_process = x\n  y\n", "", []string{"config:2: credential_process goes on over several lines"}},
		{"comment", "[profile dev]\ncredential_process = x y # " + canary + "\n", "", []string{"config:2: credential_process has a comment"}},
		{"no comment", "[profile dev]\ncredential_process = x y#z\n", "", nil},
		{"quotes", "[profile dev]\ncredential_process = \"/a b/x\" c \"d e\"\n", "", []string{"config:2: credential_process begins and ends with a quote"}},
		{"one quoted word first", "[profile dev]\ncredential_process = \"/a b/x\" c\n", "", nil},
		{"shell", "[profile dev]\ncredential_process = $HOME/x " + canary + "\n", "", []string{"config:2: credential_process has characters that a shell"}},
		{"role and process", "[profile dev]\nrole_arn = r\n" + ours, "", []string{"config:2: profile dev has role_arn and credential_process, but no source_profile"}},
		{"source and process", "[profile dev]\nsource_profile = a\n" + ours, "", []string{"config:2: profile dev has source_profile and credential_process"}},
		{"key and process", "[profile dev]\naws_access_key_id = A\naws_secret_access_key = " + canary + "\n" + ours, "", []string{"config:2: profile dev has an access key and credential_process: botocore and Java"}},
		{"sso and process", "[profile dev]\nsso_session = s\n" + ours, "", []string{"config:3: profile dev has credential_process and sso"}},
		{"device on a process", "[profile dev]\n" + ours + "[profile r]\nrole_arn = r\nsource_profile = dev\nmfa_serial = m\n", "", []string{"config:6: profile r names an MFA device"}},
		{"device on a key", "[profile dev]\naws_access_key_id = A\n[profile r]\nrole_arn = r\nsource_profile = dev\nmfa_serial = m\n", "", nil},
		{"wired by hand", "[profile r]\nbroker_role_arn = r\nbroker_source_profile = dev\n" + ours, "", nil},
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
