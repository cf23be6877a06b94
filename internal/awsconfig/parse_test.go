// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

type values = map[string]string

// TestGrammar has a case for each rule that AWS publishes for all SDKs.
func TestGrammar(t *testing.T) {
	t.Parallel()
	one := func(properties values) map[string]values { return map[string]values{"dev": properties} }
	tests := []struct {
		name                string
		config, credentials string
		want                map[string]values
		sessions            map[string]values
		err                 string
	}{
		{name: "nothing at all"},
		{name: "only blank lines", config: "\n \t\n\r\n"},
		{name: "section without properties", config: "[profile dev]", want: one(values{})},
		{name: "every character of a name", config: "[profile aZ09-_/.%@:+]\n[profile a!b]\n[profile a,b]\n[profile ä]", want: map[string]values{"aZ09-_/.%@:+": {}}},
		{name: "names tell upper from lower case", config: "[profile dev]\n[profile Dev]", want: map[string]values{"dev": {}, "Dev": {}}},
		{name: "blanks around a name", config: "[ \tprofile \t dev\t ]", want: one(values{})},
		{name: "tab after profile", config: "[profile\tdev]", want: one(values{})},
		{name: "header without bracket", config: "[profile dev", err: `config:1: expected "]"`},
		{name: "header with text behind", config: "[profile dev] x", err: `config:1: expected "]"`},
		{name: "bracket inside a comment", config: "[profile dev # ]", err: `config:1: expected "]"`},
		{name: "header without a name", config: "[profile]\na=1\n[]\nb=2\n[profile ]\nc=3", want: nil},
		{name: "property before any section", config: "\nregion = x", err: "config:2: expected a section"},
		{name: "continuation before any section", config: " region", err: "config:1: expected a section"},
		{name: "property", config: "[profile dev]\nregion=eu-west-1", want: one(values{"region": "eu-west-1"})},
		{name: "carriage returns", config: "[profile dev]\r\nregion = eu-west-1\r\noutput = json", want: one(values{"region": "eu-west-1", "output": "json"})},
		{name: "equals signs in a value", config: "[profile dev]\nx = a=b=", want: one(values{"x": "a=b="})},
		{name: "characters beyond ASCII in a value", config: "[profile dev]\nx = Zürich 😀", want: one(values{"x": "Zürich 😀"})},
		{name: "blanks around key and value", config: "[profile dev]\nx\t = \t y \t", want: one(values{"x": "y"})},
		{name: "blanks inside a value", config: "[profile dev]\nx = a  b", want: one(values{"x": "a  b"})},
		{name: "empty value", config: "[profile dev]\nx =", want: one(values{"x": ""})},
		{name: "no key", config: "[profile dev]\n= y", err: "config:2: expected the name of a property"},
		{name: "no equals sign", config: "[profile dev]\nregion eu-west-1", err: `config:2: expected "="`},
		{name: "a colon is no equals sign", config: "[profile dev]\nregion : eu-west-1", err: `config:2: expected "="`},
		{name: "equals sign in a comment", config: "[profile dev]\nregion # = x", err: `config:2: expected "="`},
		{name: "keys lose their case", config: "[profile dev]\nReGion = x", want: one(values{"region": "x"})},
		{name: "bad keys are dropped", config: "[profile dev]\nmy key = 1\nx = 2", want: one(values{"x": "2"})},
		{name: "every character of a key", config: "[profile dev]\naZ09-_/.%@:+ = 1", want: one(values{"az09-_/.%@:+": "1"})},
		{name: "hash comments", config: "# one\n[profile dev] # two\nx = y # three # four", want: one(values{"x": "y"})},
		{name: "semicolon comments", config: ";\n[profile dev];two\nx = y\t;three", want: one(values{"x": "y"})},
		{name: "comment next to a header", config: "[profile dev]#two", want: one(values{})},
		{name: "no comment next to a value", config: "[profile dev]\nx = start#/\ny = a;b", want: one(values{"x": "start#/", "y": "a;b"})},
		{name: "comment in place of a value", config: "[profile dev]\nx = # y\nz =#y", want: one(values{"x": "", "z": "#y"})},
		{name: "continuation", config: "[profile dev]\nx = a\n\t b \n  c", want: one(values{"x": "a\nb\nc"})},
		{name: "comments in a continuation are text", config: "[profile dev]\nx = a\n  b # c\n  ; d", want: one(values{"x": "a\nb # c\n; d"})},
		{name: "blank lines and comment lines do not end a value", config: "[profile dev]\nx = a\n\n# c\n  b", want: one(values{"x": "a\nb"})},
		{name: "continuation of nothing", config: "[profile dev]\n  a", err: "config:2: an indented line must follow"},
		{name: "a header ends a value", config: "[profile dev]\nx = a\n[profile dev]\n  b", err: "config:4: an indented line must follow"},
		{name: "continuation of a bad key is dropped with it", config: "[profile dev]\nmy key = 1\n  more\nx = 2", want: one(values{"x": "2"})},
		{name: "nested block", config: "[profile dev]\ns3 =\n  max = 1\n\n  in valid =\nx = y", want: one(values{"s3": "\nmax = 1\nin valid =", "x": "y"})},
		{name: "nested line without equals sign", config: "[profile dev]\ns3 =\n  max", err: `config:3: expected "=" after the name of a nested`},
		{name: "nested line without key", config: "[profile dev]\ns3 =\n  = 1", err: "config:3: expected the name of a nested property"},
		{name: "comment in a nested block is text", config: "[profile dev]\ns3 =\n  # max", err: `config:3: expected "="`},
		{name: "sections of one name merge", config: "[profile dev]\nx = 1\ny = 1\n[profile  dev]\nX = 2", want: one(values{"x": "2", "y": "1"})},
		{name: "the last value of a key wins", config: "[profile dev]\nx = 1\nx = 2", want: one(values{"x": "2"})},
		{name: "default without prefix", config: "[default]\nx = 1", want: map[string]values{"default": {"x": "1"}}},
		{name: "prefixed default wins when first", config: "[profile default]\nx = 1\n[default]\ny = 2", want: map[string]values{"default": {"x": "1"}}},
		{name: "prefixed default wins when last", config: "[default]\ny = 2\n[profile default]\nx = 1", want: map[string]values{"default": {"x": "1"}}},
		{name: "prefixed defaults merge", config: "[profile default]\nx = 1\n[default]\ny = 2\n[profile default]\nz = 3", credentials: "[default]\nw = 4", want: map[string]values{"default": {"x": "1", "z": "3", "w": "4"}}},
		{name: "bad names drop their properties", config: "[profile dev]\nx = 1\n[profile my dev]\nx = 2", credentials: "[my dev]\nx = 3", want: one(values{"x": "1"})},
		{name: "config needs the prefix", config: "[dev]\nx = 1\n[profiledev]\nx = 2\n[Profile dev]\nx = 3", want: nil},
		{name: "credentials refuse the prefix", credentials: "[profile dev]\nx = 1", want: nil},
		{name: "credentials trim names", credentials: "[ dev ]\nx = 1", want: one(values{"x": "1"})},
		{name: "both files merge by key and credentials win", config: "[profile dev]\nx = 1\ny = 1", credentials: "[dev]\ny = 2\nz = 2", want: one(values{"x": "1", "y": "2", "z": "2"})},
		{name: "sso-session", config: "[sso-session corp]\nsso_region = x\n[sso-sesion typo]\na = 1", want: nil, sessions: map[string]values{"corp": {"sso_region": "x"}}},
		{name: "no sso-session in credentials", credentials: "[sso-session corp]\nx = 1\n[sso-sessioncorp]\ny = 2", want: map[string]values{"sso-sessioncorp": {"y": "2"}}},
		{name: "services and other sections are passed over", config: "[services s]\ns3 =\n  endpoint_url = x\n[plugins]\nx = 1", want: nil},
		{name: "errors in other sections count", config: "[plugins]\nx", err: `config:2: expected "="`},
		{name: "error in credentials", config: "[profile dev]", credentials: "[dev]\n\nx", err: `credentials:3: expected "="`},
		{name: "byte order mark", config: "\xef\xbb\xbf[profile dev]", err: "config:1: starts with a byte order mark"},
		{name: "not UTF-8", config: "[profile dev]\n# \xff", err: "config:2: is not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, tt.config, tt.credentials)
			if tt.err != "" {
				checkError(t, err, CodeConfigBroken, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "profiles", allOf(c.Profiles(), c.Profile), tt.want)
			compare(t, "sso-sessions", allOf(slices.Collect(maps.Keys(c.config.sessions)), c.SSOSession), tt.sessions)
		})
	}
}

func allOf(names []string, get func(string) (Profile, bool)) map[string]Profile {
	all := map[string]Profile{}
	for _, name := range names {
		all[name], _ = get(name)
	}
	return all
}

func compare(t *testing.T, what string, got map[string]Profile, want map[string]values) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d %s %v, want %v", len(got), what, got, want)
	}
	for name, properties := range want {
		if !reflect.DeepEqual(got[name].Properties(), properties) {
			t.Errorf("%s %s: got %q, want %q", what, name, got[name].Properties(), properties)
		}
	}
}

// TestSecretsAreDropped reads secrets at every place where one can stand.
func TestSecretsAreDropped(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, strings.ReplaceAll(`[profile dev]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
AWS_Secret_Access_Key = CANARY
aws_session_token =
aws_security_token = x
  CANARY
tool_secret =
  CANARY = CANARY
s3 =
  proxy_password = CANARY
  max = 1
my token = CANARY
broker_was_aws_secret_access_key = CANARY
web_identity_token_file = /token
[profile my dev]
aws_secret_access_key = CANARY
[sso-session corp]
sso_client_secret = CANARY
`, "CANARY", canary), "[dev]\nAWS_SESSION_TOKEN = "+canary)
	dev, _ := c.Profile("dev")
	want := values{
		"aws_access_key_id":                "AKIAIOSFODNN7EXAMPLE",
		"aws_secret_access_key":            "[redacted]",
		"aws_session_token":                "[redacted]",
		"aws_security_token":               "[redacted]",
		"tool_secret":                      "[redacted]",
		"s3":                               "\nproxy_password = [redacted]\nmax = 1",
		"broker_was_aws_secret_access_key": "[redacted]",
		"web_identity_token_file":          "/token",
	}
	if !reflect.DeepEqual(dev.Properties(), want) {
		t.Errorf("got %q\nwant %q", dev.Properties(), want)
	}
	corp, _ := c.SSOSession("corp")
	if got := corp.Get("sso_client_secret"); got != "[redacted]" {
		t.Errorf("sso_client_secret is %q", got)
	}
}

// TestSwappedKeyIsDropped: who swaps the two parts of a key shows neither.
func TestSwappedKeyIsDropped(t *testing.T) {
	t.Parallel()
	const wrong = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	c := mustLoad(t, "[profile dev]\nregion = eu-west-1\nAWS_ACCESS_KEY_ID = "+wrong+"\n  more\naws_secret_access_key = AKIAIOSFODNN7EXAMPLE\n", "")
	dev, _ := c.Profile("dev")
	want := values{"region": "eu-west-1", "aws_access_key_id": "[redacted]", "aws_secret_access_key": "[redacted]"}
	if !reflect.DeepEqual(dev.Properties(), want) {
		t.Errorf("got %q\nwant %q", dev.Properties(), want)
	}
}

// TestErrorsQuoteNoLine puts a secret where each error of the grammar arises.
func TestErrorsQuoteNoLine(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		canary, " " + canary, canary + " = x", "[" + canary, "[default]\n" + canary, "[default]\n " + canary,
		"[default]\n=" + canary, "[default]\ns3 =\n " + canary, "[default]\ns3 =\n =" + canary, "\xef\xbb\xbf" + canary, canary + "\xff",
	} {
		_, err := load(t, text, "")
		if err == nil {
			t.Errorf("%q: no error", text)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the error shows the line: %v", text, err)
		}
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "\n[profile dev]\nx = 1\ny = 1\n[profile dev]\nx = 2\n", "[dev]\ny = 2")
	dev, _ := c.Profile("dev")
	for key, want := range map[string]Pos{
		"x": {c.Files().Config, 6}, "y": {c.Files().Credentials, 2}, "none": {c.Files().Config, 2},
	} {
		if got := dev.Where(key); got != want {
			t.Errorf("%s is at %s, want %s", key, got, want)
		}
	}
	if got := (Pos{File: "f"}).String(); got != "f" {
		t.Errorf("a file without a line reads %q", got)
	}
}

// FuzzParse checks that every input can be written back byte for byte, line by
// line and as a Document where it is one, that none panics, and that what parses
// holds no secret.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/config", "testdata/credentials"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")))
	}
	f.Add([]byte("[default]\r\nx = 1\n y\r\r\n\n[x"))
	for _, text := range slices.Concat(hostile(), botocoreTable()) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got []byte
		for rest := data; len(rest) > 0; {
			var l line
			l, rest = cutLine(rest)
			got = append(append(got, l.text...), l.eol...)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("got %q, want %q", got, data)
		}
		for _, kind := range []FileKind{ConfigFile, CredentialsFile} {
			d, err := ParseDocument("f", kind, data)
			if err != nil {
				checkError(t, err, CodeConfigBroken, "f:")
			} else if got := d.Bytes(); !bytes.Equal(got, data) || d.Changed() {
				t.Errorf("as a document: got %q, want %q", got, data)
			}
		}
		file, err := parse("f", data)
		if err != nil {
			checkError(t, err, CodeConfigBroken, ":")
			return
		}
		for _, s := range file.sections() {
			for _, p := range s.props {
				if isSecret(p.key) && p.value != "" && p.value != "[redacted]" {
					t.Errorf("line %d: a secret was kept", p.pos.Line)
				}
			}
		}
	})
}
