// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/secret"
)

const (
	testID     = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// loadTexts loads two files of these contents.
func loadTexts(t *testing.T, config, credentials string) *Config {
	t.Helper()
	dir := t.TempDir()
	files := Files{Config: filepath.Join(dir, "config"), Credentials: filepath.Join(dir, "credentials")}
	for path, text := range map[string]string{files.Config: config, files.Credentials: credentials} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStaticKeys(t *testing.T) {
	t.Parallel()
	c := loadTexts(t,
		"[default]\nregion = x\n[stray]\naws_access_key_id = AKIASTRAY\n[profile b]\naws_access_key_id = AKIAOTHER\n[profile c]\naws_secret_access_key = "+testSecret+"\n",
		"[b]\naws_secret_access_key = "+testSecret+"\naws_access_key_id = "+testID+"\n"+
			"[a]\nAWS_ACCESS_KEY_ID = ASIAX\naws_secret_access_key = x\naws_session_token = y\n"+
			"[d]\naws_access_key_id = "+testSecret+"\n[e]\naws_session_token = y\n[profile b]\nAws_Secret_Access_Key = z\n[a b c]\nregion = x\n")
	var got []string
	for _, k := range c.StaticKeys() {
		got = append(got, fmt.Sprintf("%s %s %s:%d %t %t %t", k.Profile, k.AccessKeyID, filepath.Base(k.Pos.File), k.Pos.Line, k.HasSecret, k.HasToken, k.Stray))
	}
	want := []string{
		"a ASIAX credentials:5 true true false",
		"b " + testID + " credentials:3 true false false",
		"b AKIAOTHER config:6 false false false",
		"c  config:8 true false false",
		"d [redacted] credentials:9 false false false",
		"profile b  credentials:13 false false true",
		"stray  config:4 false false true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("StaticKeys:\ngot  %q\nwant %q", got, want)
	}
}

func TestReadKeyPair(t *testing.T) {
	t.Parallel()
	pair := func(value string) string {
		return "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n" +
			"[dev]\n# one\naws_access_key_id = " + testID + "\naws_secret_access_key" + value
	}
	tests := []struct {
		name, credentials, want, problem string
	}{
		{name: "plain", credentials: pair(" = " + testSecret + "\n"), want: testSecret},
		{name: "no blanks, no newline", credentials: pair("=" + testSecret), want: testSecret},
		{name: "CRLF", credentials: strings.ReplaceAll(pair(" =\t"+testSecret+" \n[x]\n"), "\n", "\r\n"), want: testSecret},
		{name: "comment", credentials: pair(" = " + testSecret + " # mine\n"), want: testSecret},
		{name: "twice", credentials: pair(" = first\naws_secret_access_key = " + testSecret + "\n"), want: testSecret},
		{name: "sections merge", credentials: pair(" = first\n[x]\n[dev]\naws_secret_access_key = " + testSecret + "\n"), want: testSecret},
		{name: "double quotes", credentials: pair(` = "` + testSecret + `"`), problem: "stands in quotes"},
		{name: "single quotes", credentials: pair(` = '` + testSecret + `'`), problem: "stands in quotes"},
		{name: "continued", credentials: pair(" = " + testSecret + "\n  more\n"), problem: "goes on in the next line"},
		{name: "continued after a comment", credentials: pair(" = " + testSecret + "\n# c\n\n more\n"), problem: "goes on in the next line"},
		{name: "nested", credentials: pair(" =\n a = " + testSecret + "\n"), problem: "goes on in the next line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := loadTexts(t, "[profile dev]\naws_access_key_id = AKIACONFIG\naws_secret_access_key = x\n", tt.credentials)
			keys := c.StaticKeys()
			got, err := keys[0].Read()
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), testSecret) {
					t.Fatalf("Read: %v, want %q", err, tt.problem)
				}
				return
			}
			if err != nil || got.AccessKeyID != testID || got.SecretAccessKey.Reveal() != tt.want {
				t.Errorf("Read = %s %q, %v", got.AccessKeyID, got.SecretAccessKey.Reveal(), err)
			}
			if other, err := keys[1].Read(); err != nil || other.SecretAccessKey.Reveal() != "x" {
				t.Errorf("of the config: %v", err)
			}
		})
	}
}

// TestKeyPairThatIsNoLongerThere: what is read is what was listed, or nothing.
func TestKeyPairThatIsNoLongerThere(t *testing.T) {
	t.Parallel()
	c := loadTexts(t, "", "[dev]\naws_access_key_id = "+testID+"\naws_secret_access_key = "+testSecret+"\n")
	k := c.StaticKeys()[0]
	for name, text := range map[string]string{
		"empty":       "",
		"another key": "[dev]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = " + testSecret + "\n",
		"no secret":   "[dev]\naws_access_key_id = " + testID + "\n",
		"elsewhere":   "[ops]\naws_access_key_id = " + testID + "\naws_secret_access_key = " + testSecret + "\n",
		"of a config": "[profile dev]\naws_access_key_id = " + testID + "\naws_secret_access_key = " + testSecret + "\n",
	} {
		if got, err := k.In([]byte(text)); !errors.Is(err, &Error{Code: CodeProfileInvalid}) || !got.SecretAccessKey.IsZero() {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if _, err := k.In([]byte("broken")); !errors.Is(err, &Error{Code: CodeConfigBroken}) {
		t.Errorf("broken: %v", err)
	}
	if err := os.Remove(k.Pos.File); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Read(); !errors.Is(err, &Error{Code: CodeProfileInvalid}) {
		t.Errorf("file gone: %v", err)
	}
}

// TestP33ListedKeysHoldNoSecret: what --dry-run sees of a file prints nothing of it.
func TestP33ListedKeysHoldNoSecret(t *testing.T) {
	t.Parallel()
	c := loadTexts(t, "[profile x]\naws_access_key_id = "+testSecret+"\naws_secret_access_key = "+testID+"\n",
		"[dev]\naws_access_key_id = "+testID+"\naws_secret_access_key = "+testSecret+"\n")
	if text := fmt.Sprintf("%#v %+v %s", c.StaticKeys(), *c, c.config.text+c.credentials.text); strings.Contains(text, testSecret) || !strings.Contains(text, secret.Redacted) {
		t.Errorf("the secret is in what was listed: %s", text)
	}
}
