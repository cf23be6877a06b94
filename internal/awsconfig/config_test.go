// SPDX-License-Identifier: Apache-2.0

//go:build unix

package awsconfig

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, separator     string
		env                 map[string]string
		config, credentials string
	}{
		{"home", "/", values{"HOME": "/home/ann", "USERPROFILE": "/x", "HOMEDRIVE": "/x", "HOMEPATH": "/x"}, "/home/ann/.aws/config", "/home/ann/.aws/credentials"},
		{"passwd", "/", nil, "/passwd/.aws/config", "/passwd/.aws/credentials"},
		{"root's home", "/", values{"HOME": "/"}, "/.aws/config", "/.aws/credentials"},
		{"home on Windows", `\`, values{"HOME": `C:\Users\ann`, "USERPROFILE": "x"}, `C:\Users\ann\.aws\config`, `C:\Users\ann\.aws\credentials`},
		{"profile on Windows", `\`, values{"USERPROFILE": `C:\Users\ann`, "HOMEPATH": "x"}, `C:\Users\ann\.aws\config`, `C:\Users\ann\.aws\credentials`},
		{"drive and path", `\`, values{"HOMEDRIVE": "C:", "HOMEPATH": `\Users\ann`}, `C:\Users\ann\.aws\config`, `C:\Users\ann\.aws\credentials`},
		{"config elsewhere", "/", values{"HOME": "/home/ann", "AWS_CONFIG_FILE": "/etc/aws"}, "/etc/aws", "/home/ann/.aws/credentials"},
		{"credentials elsewhere", "/", values{"HOME": "/home/ann", "AWS_SHARED_CREDENTIALS_FILE": "/etc/aws"}, "/home/ann/.aws/config", "/etc/aws"},
		{"config elsewhere on Windows", `\`, values{"HOME": `C:\a`, "AWS_CONFIG_FILE": `D:\c`}, `D:\c`, `C:\a\.aws\credentials`},
		{"credentials elsewhere on Windows", `\`, values{"HOME": `C:\a`, "AWS_SHARED_CREDENTIALS_FILE": `D:\c`}, `C:\a\.aws\config`, `D:\c`},
		{"tilde", "/", values{"HOME": "/home/ann", "AWS_CONFIG_FILE": "~/aws", "AWS_SHARED_CREDENTIALS_FILE": "~bob/aws"}, "/home/ann/aws", "~bob/aws"},
		{"tilde and slash on Windows", `\`, values{"HOME": `C:\a`, "AWS_CONFIG_FILE": "~/aws", "AWS_SHARED_CREDENTIALS_FILE": "~"}, `C:\a/aws`, `C:\a`},
		{"empty variables", "/", values{"HOME": "", "AWS_CONFIG_FILE": ""}, "/passwd/.aws/config", "/passwd/.aws/credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := locate(func(k string) string { return tt.env[k] }, "/passwd", tt.separator)
			if want := (Files{tt.config, tt.credentials}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	if got := Locate(func(string) string { return "" }, "/passwd"); got.Config != "/passwd/.aws/config" {
		t.Errorf("got %+v", got)
	}
}

func TestLoadFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	write(t, target, "[profile dev]")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, files := range []Files{{}, {Config: filepath.Join(dir, "none")}, {Config: "/dev/null", Credentials: "/dev/null"}} {
		if c, err := Load(files); err != nil || len(c.Profiles()) != 0 {
			t.Errorf("%v: %v, %v", files, c, err)
		}
	}
	c, err := Load(Files{Config: link})
	if err != nil || !slices.Equal(c.Profiles(), []string{"dev"}) {
		t.Errorf("through a link: %v, %v", c, err)
	}
	_, err = Load(Files{Credentials: dir})
	checkError(t, err, CodeConfigBroken, "cannot be read: is a directory")
	_, err = Load(Files{Config: filepath.Join(target, "below")})
	checkError(t, err, CodeConfigBroken, "cannot be read: not a directory")
	large := filepath.Join(dir, "large")
	write(t, large, "")
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	_, err = Load(Files{Config: large})
	checkError(t, err, CodeConfigBroken, "large: is larger than 16 MiB")
}

// TestLoadPipe reads a config that a shell hands over as <(command).
func TestLoadPipe(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(fifo, []byte("[profile dev]\nregion = eu-west-1\n"), 0o600) }()
	c, err := Load(Files{Config: fifo})
	if err := errors.Join(err, <-wrote); err != nil {
		t.Fatal(err)
	}
	if dev, _ := c.Profile("dev"); dev.Get("region") != "eu-west-1" {
		t.Errorf("got %v", dev.Properties())
	}
}

func TestProfilesAreSorted(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "[profile zoo]\n[default]\n[profile dev]\n[sso-session s]", "[cred]")
	got, err := json.Marshal(c.Profiles())
	if want := `["cred","default","dev","zoo"]`; err != nil || string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, _ := json.Marshal(mustLoad(t, "", "").Profiles()); string(got) != "[]" {
		t.Errorf("no profiles are %s", got)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `[profile dev]
region = eu-west-1
include_profile = base
sso_session = corp
[profile base]
region = us-east-1
output = json
include_profile = root
[profile root]
Output = text
mfa_serial = GAHT12345678
[sso-session corp]
sso_region = eu-north-1
sso_start_url = https://corp.example.com
[profile lost]
sso_session = nowhere
[profile empty]
sso_session = bare
[sso-session bare]
`, "[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = "+canary)
	tests := []struct {
		profile  string
		resolved bool
		want     string
	}{
		{"dev", false, `{"profile":"dev","properties":{"aws_access_key_id":"AKIADEV","aws_secret_access_key":"[redacted]","include_profile":"base","region":"eu-west-1","sso_session":"corp"},"sso_session":{"sso_region":"eu-north-1","sso_start_url":"https://corp.example.com"}}`},
		{"dev", true, `{"profile":"dev","properties":{"aws_access_key_id":"AKIADEV","aws_secret_access_key":"[redacted]","include_profile":"base","mfa_serial":"GAHT12345678","output":"json","region":"eu-west-1","sso_region":"eu-north-1","sso_session":"corp","sso_start_url":"https://corp.example.com"},"sso_session":{"sso_region":"eu-north-1","sso_start_url":"https://corp.example.com"}}`},
		{"root", true, `{"profile":"root","properties":{"mfa_serial":"GAHT12345678","output":"text"}}`},
		{"lost", false, `{"profile":"lost","properties":{"sso_session":"nowhere"}}`},
		{"empty", true, `{"profile":"empty","properties":{"sso_session":"bare"},"sso_session":{}}`},
	}
	for _, tt := range tests {
		doc, err := c.Show(tt.profile, tt.resolved)
		got, jsonErr := json.Marshal(doc)
		if err := errors.Join(err, jsonErr); err != nil {
			t.Errorf("%s: %v", tt.profile, err)
		} else if string(got) != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	_, err := c.Show("lost", true)
	checkError(t, err, CodeProfileInvalid, "config:16: profile lost names sso-session nowhere, which does not exist")
	_, err = c.Show("absent", false)
	checkError(t, err, CodeNoProfile, "profile absent does not exist")
	_, err = c.Resolved("absent")
	checkError(t, err, CodeNoProfile, "profile absent does not exist")
	if !errors.Is(err, &Error{Code: CodeNoProfile}) || errors.Is(err, &Error{Code: CodeNoKey}) {
		t.Error("errors.Is does not go by the code")
	}
	if dev, _ := c.Profile("dev"); dev.Get("output") != "" {
		t.Error("resolving changed the profile")
	}
}

func TestSourceInCredentials(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "[profile conf]\naws_access_key_id = AKIA\naws_secret_access_key = x\n", `[conf]
region = eu-west-1
[keys]
region = eu-west-1
aws_secret_access_key = x
aws_access_key_id = AKIA
[role]
role_arn = x
[ours]
credential_process = /usr/bin/broker credential-process ours
[theirs]
credential_process = /usr/bin/broker credential-process ours
[empty]
aws_access_key_id =
`)
	for profile, want := range map[string]string{
		"conf": "", "absent": "", "ours": "", "empty": "",
		"keys": "aws_secret_access_key credentials:5", "role": "role_arn credentials:8", "theirs": "credential_process credentials:12",
	} {
		key, pos, found := c.SourceInCredentials(profile)
		got := ""
		if found {
			got = key + " " + strings.TrimPrefix(pos.String(), filepath.Dir(pos.File)+"/")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", profile, got, want)
		}
	}
}

// TestP49ProfileNames has the names that end up in messages, command lines and
// vault records when nobody looks.
func TestP49ProfileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dev", "a/b", "..", "CON", "x-", "aZ09-_/.%@:+", strings.Repeat("x", 128)} {
		if err := ValidProfileName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "is empty", "-x": `starts with "-"`, strings.Repeat("x", 129): "longer than 128 bytes", strings.Repeat("x", 300): "longer than 128 bytes",
		"a b": "has a character", "a\x00b": "has a character", "a\nb": "has a character", "a\rb": "has a character", "\x1b[31mred": "has a character",
		`a\b`: "has a character", "e\u0301": "has a character", "ｄev": "has a character", "a\u202eb": "has a character",
		`a"b`: "has a character", "a'b": "has a character", "$(x)": "has a character", "a]b": "has a character", "a#b": "has a character",
	} {
		err := ValidProfileName(name)
		checkError(t, err, CodeUsage, want)
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\x00") {
			t.Errorf("%q: the message carries the name on: %q", name, err)
		}
	}
}

func TestNoProfileNamesTheNearest(t *testing.T) {
	t.Parallel()
	config := mustLoad(t, "[profile misled]\nsource_profile = prod-uk\nrole_arn = arn:aws:iam::111122223333:role/r\n[profile staging]\n[profile prod-eu]\n[default]\n", "")
	for _, test := range []struct{ name, want string }{
		{"stagin", "did you mean staging? To list the profiles: broker config list"},
		{"prod-us", "did you mean prod-eu? To list the profiles: broker config list"},
		{"misled", "did you mean prod-eu? To list the profiles: broker config list"},
		{"nobody", "list the profiles: broker config list"},
		{strings.Repeat("x", 10_000), "list the profiles: broker config list"},
	} {
		_, err := config.Chain(test.name, vault(nil))
		var failure *Error
		if !errors.As(err, &failure) || failure.Hint != test.want {
			t.Errorf("Resolved(%.20s): %+v, want the hint %q", test.name, err, test.want)
		}
	}
}
