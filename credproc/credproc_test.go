// SPDX-License-Identifier: Apache-2.0

package credproc

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/secret"
)

var update = flag.Bool("update", false, "rewrite testdata")

func example() Credentials {
	return Credentials{
		AccessKeyID:     "ASIAIOSFODNN7EXAMPLE",
		SecretAccessKey: secret.New("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
		SessionToken:    secret.New("IQoJb3JpZ2luX2VjE<>&+/=="),
		Expiration:      time.Date(2026, 1, 2, 4, 4, 5, 987654321, time.FixedZone("CET", 3600)),
		AccountID:       "111122223333",
	}
}

func TestEncodeGolden(t *testing.T) {
	got, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/document.json"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("Encode:\n%s\nwant:\n%s", got, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	long := strings.Repeat("x", 8000)
	for _, tt := range []struct {
		name string
		edit func(*Credentials)
	}{
		{"no access key ID", func(c *Credentials) { c.AccessKeyID = "" }},
		{"no secret", func(c *Credentials) { c.SecretAccessKey = secret.String{} }},
		{"no token", func(c *Credentials) { c.SessionToken = secret.String{} }},
		{"no expiration", func(c *Credentials) { c.Expiration = time.Time{} }},
		{"expiration out of range", func(c *Credentials) { c.Expiration = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"access key ID with a newline", func(c *Credentials) { c.AccessKeyID = "ASIA\n" }},
		{"secret that is not UTF-8", func(c *Credentials) { c.SecretAccessKey = secret.New("a\xffb") }},
		{"token with a blank", func(c *Credentials) { c.SessionToken = secret.New("a b") }},
		{"account ID of letters", func(c *Credentials) { c.AccountID = "11112222333x" }},
		{"short account ID", func(c *Credentials) { c.AccountID = "1" }},
	} {
		c := example()
		tt.edit(&c)
		got, err := c.Encode()
		if got != nil || !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: Encode = %q, %v, want %v", tt.name, got, err, ErrIncomplete)
		}
	}
	c := example()
	c.SessionToken = secret.New(long)
	if got, err := c.Encode(); got != nil || err == nil || strings.Contains(err.Error(), long) {
		t.Errorf("document over %d bytes: %d bytes, %v", MaxSize, len(got), err)
	}
}

// The largest document is one byte below what SDK for Go v1 reads.
func TestEncodeAtTheLimit(t *testing.T) {
	c := example()
	doc, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	room := MaxSize - len(doc)
	c.SessionToken = secret.New(c.SessionToken.Reveal() + strings.Repeat("x", room))
	if doc, err = c.Encode(); err != nil || len(doc) != 8191 {
		t.Errorf("document of %d bytes, %v, want 8191", len(doc), err)
	}
	c.SessionToken = secret.New(c.SessionToken.Reveal() + "x")
	if _, err = c.Encode(); err == nil {
		t.Error("a document of 8192 bytes is accepted")
	}
}

func TestParse(t *testing.T) {
	doc, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	want := example()
	want.Expiration = want.Expiration.UTC().Truncate(time.Second)
	if !same(got, want) {
		t.Errorf("Parse = %+v, want %+v", got, want)
	}
}

func same(a, b Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.AccountID == b.AccountID && a.Expiration.Equal(b.Expiration) &&
		a.SecretAccessKey.Equal(b.SecretAccessKey) && a.SessionToken.Equal(b.SessionToken)
}

// A document that another version of Encode wrote is read all the same, and
// only what this one writes is read without encoding/json.
func TestParseExact(t *testing.T) {
	const exact = `{"Version":1,"AccessKeyId":"ASIA1","SecretAccessKey":"k","SessionToken":"t","Expiration":"2026-01-02T03:04:05Z"}`
	want, err := Parse([]byte(exact))
	if err != nil {
		t.Fatal(err)
	}
	for text, fast := range map[string]bool{
		exact:                                  true,
		exact + "\n":                           true,
		strings.Replace(exact, `:1`, `: 1`, 1): false,
		strings.Replace(exact, `"t"`, `"\u0074"`, 1):                                      false,
		strings.Replace(exact, `"k"`, `"k","Later":"x"`, 1):                               false,
		`{"SessionToken":"t",` + strings.Replace(exact[1:], `"SessionToken":"t",`, ``, 1): false,
	} {
		if _, ok := parseExact(text); ok != fast {
			t.Errorf("%s: parseExact says %v", text, ok)
		}
		if got, err := Parse([]byte(text)); err != nil || !same(got, want) {
			t.Errorf("%s: Parse = %+v, %v", text, got, err)
		}
	}
	if allocs := testing.AllocsPerRun(10, func() { _, _ = Parse([]byte(exact)) }); allocs > 8 {
		t.Errorf("Parse allocates %.0f times", allocs)
	}
}

func TestParseRefuses(t *testing.T) {
	const ok = `{"Version":1,"AccessKeyId":"ASIA1","SecretAccessKey":"canary","SessionToken":"canary","Expiration":"2026-01-02T03:04:05Z"}`
	if _, err := Parse([]byte(ok)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"nothing", ok, ""},
		{"more than one document", ok, ok + ok},
		{"another version", `"Version":1`, `"Version":2`},
		{"no version", `"Version":1,`, ``},
		{"a text as version", `"Version":1`, `"Version":"1"`},
		{"no zone", `05Z`, `05`},
		{"null expiration", `"2026-01-02T03:04:05Z"`, `null`},
		{"no token", `"SessionToken":"canary",`, ``},
		{"account ID as a number", `"Version":1`, `"Version":1,"AccountId":111122223333`},
		{"long account ID", `"Version":1`, `"Version":1,"AccountId":"1111222233334"`},
	} {
		got, err := Parse([]byte(strings.Replace(ok, tt.old, tt.new, 1)))
		if err == nil || got != (Credentials{}) {
			t.Errorf("%s: Parse = %+v, %v", tt.name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error shows a secret: %v", tt.name, err)
		}
	}
}

// FuzzP50Encode: whatever the fields are, what comes out is one JSON document
// on one line that reads back as it was, or nothing.
func FuzzP50Encode(f *testing.F) {
	f.Add("ASIAIOSFODNN7EXAMPLE", "secret", "token", "111122223333", int64(1767323045))
	f.Add("", "\x00", "\u2028", "1", int64(-1))
	f.Add("</script>", "a\"b\\c", "\xff", "", int64(1<<40))
	f.Fuzz(func(t *testing.T, id, key, token, account string, unix int64) {
		c := Credentials{
			AccessKeyID: id, SecretAccessKey: secret.New(key), SessionToken: secret.New(token),
			Expiration: time.Unix(unix, 0), AccountID: account,
		}
		doc, err := c.Encode()
		if err != nil {
			if doc != nil {
				t.Errorf("Encode returns %q beside %v", doc, err)
			}
			return
		}
		if len(doc) > MaxSize || bytes.IndexByte(doc, '\n') != len(doc)-1 || !json.Valid(doc) {
			t.Errorf("not one line of at most %d bytes: %q", MaxSize, doc)
		}
		var slow document
		if fast, ok := parseExact(string(doc)); ok && (json.Unmarshal(doc, &slow) != nil || fast != slow) {
			t.Errorf("%q is %+v to JSON, not %+v", doc, slow, fast)
		}
		back, err := Parse(doc)
		if err != nil || !same(back, c) {
			t.Errorf("%q reads back as %+v, %v", doc, back, err)
		}
	})
}

func TestEnviron(t *testing.T) {
	c := Credentials{
		AccessKeyID: "ASIA1", SecretAccessKey: secret.New("s"), SessionToken: secret.New("t"),
		Expiration: time.Date(2026, 1, 2, 5, 4, 5, 0, time.FixedZone("", 7200)),
	}
	want := []string{
		"AWS_ACCESS_KEY_ID=ASIA1", "AWS_SECRET_ACCESS_KEY=s", "AWS_SESSION_TOKEN=t",
		"AWS_CREDENTIAL_EXPIRATION=2026-01-02T03:04:05Z", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
	}
	if got := c.Environ("eu-west-1"); !slices.Equal(got, want) {
		t.Errorf("Environ = %q, want %q", got, want)
	}
	// Beside what Competing names, only the Region is set: a Scrub of the
	// caller's environment makes room for all of it.
	if left := Scrub(c.Environ("r")); !slices.Equal(left, []string{"AWS_REGION=r", "AWS_DEFAULT_REGION=r"}) {
		t.Errorf("not scrubbed: %q", left)
	}
}

func TestScrub(t *testing.T) {
	env := []string{
		"PATH=/bin", "AWS_ACCESS_KEY_ID=AKIA1", "AWS_REGION=eu-central-1", "AWS_SECRET_ACCESS_KEY=a=b",
		"AWS_SESSION_TOKEN=", "AWS_PROFILE=prod", "AWS_CONFIG_FILE=/c", "AWS_ENDPOINT_URL=http://127.0.0.1:1",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:2", "AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_VAULT=x",
		"MY_AWS_PROFILE=1", "aws_profile=2", "AWS_PROFILES=3", "HOME=/home/ann", "=C:=odd", "AWS_SECURITY_TOKEN",
	}
	before := slices.Clone(env)
	want := []string{
		"PATH=/bin", "AWS_REGION=eu-central-1", "AWS_CONFIG_FILE=/c", "AWS_ENDPOINT_URL=http://127.0.0.1:1",
		"MY_AWS_PROFILE=1", "aws_profile=2", "AWS_PROFILES=3", "HOME=/home/ann", "=C:=odd",
	}
	if got := Scrub(env); !slices.Equal(got, want) {
		t.Errorf("Scrub = %q, want %q", got, want)
	}
	if !slices.Equal(env, before) {
		t.Error("Scrub changes its argument")
	}
}
