// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

const testRole = "role_arn = arn:aws:iam::111122223333:role/dev\nsource_profile = base\n"

// rules are those of a test: the key of base is stored.
func rules(names ...string) wireRules {
	return wireRules{
		files: awsconfig.Files{Config: "/h/config", Credentials: "/h/credentials"},
		names: names, keys: map[string]string{"base": "AKIAIOSFODNN7EXAMPLE"}, program: "/usr/local/bin/broker",
	}
}

func planOf(t *testing.T, r wireRules, config, credentials string) (wirePlan, map[string]string) {
	t.Helper()
	p, err := r.plan(awsText{[]byte(config), []byte(credentials)})
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, profile := range p.profiles {
		states[profile.Profile] = profile.State
	}
	return p, states
}

// TestWirePlanStates: what becomes of each profile, and of the files.
func TestWirePlanStates(t *testing.T) {
	t.Parallel()
	const config = "[profile base]\nregion = eu-west-1\n[profile ops]\n" + testRole + "[profile none]\n[profile loop]\nsource_profile = pool\nrole_arn = arn:aws:iam::111122223333:role/dev\n[profile pool]\nsource_profile = loop\nrole_arn = arn:aws:iam::111122223333:role/dev\n"
	const credentials = "[paired]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-the-secret\n[there]\n" + testRole
	r := rules()
	r.keys["paired"] = "AKIAIOSFODNN7EXAMPLE"
	r.keys["new"] = "AKIAIOSFODNN7EXAMPLE" // in no file
	p, got := planOf(t, r, config, credentials)
	want := map[string]string{
		"base": stateWired, "ops": stateWired, "there": stateWired, "new": stateWired,
		"paired": stateRefused, "none": stateUnserved, "loop": stateUnserved, "pool": stateUnserved,
	}
	if !maps.Equal(got, want) || p.changes != [2]bool{true, true} || p.others != nil {
		t.Errorf("states %v, changes %v, others %v; want %v", got, p.changes, p.others, want)
	}
	again, states := planOf(t, r, string(p.text[theConfig]), string(p.text[theCredentials]))
	for name, state := range want {
		if state == stateWired && states[name] != stateAlready {
			t.Errorf("the second time %s is %s", name, states[name])
		}
	}
	if again.changes != [2]bool{} || !again.text.equal(p.text) {
		t.Errorf("the second time it changes %v", again.changes)
	}
	if err := p.refusal(false); err == nil || err.Error() != "1 profile that broker serves could not be wired" {
		t.Errorf("refusal: %v", err)
	}
	un := unwireRules{files: r.files, known: func(string) bool { return false }}
	back, err := un.plan(p.text)
	if err != nil || !back.text.equal(awsText{[]byte(config), []byte(credentials)}) {
		t.Errorf("unwire: %v\n%s%s", err, back.text[theConfig], back.text[theCredentials])
	}
}

// TestWireRefusesTogether: profiles that are named are wired all or not at all,
// and the error counts those that cannot be.
func TestWireRefusesTogether(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		names []string
		code  ipc.Code
		want  string
	}{
		{[]string{"base"}, "", ""},
		{[]string{"none"}, ipc.CodeNoKey, "/h/config:2: profile none has no credentials and no key in the vault"},
		{[]string{"base", "none"}, ipc.CodeNoKey, "nothing was wired: /h/config:2: profile none has no credentials and no key in the vault"},
		{[]string{"gone", "base", "none", "none2"}, ipc.CodeNoProfile, "nothing was wired: profile gone does not exist in the AWS config; and 2 others of those that were named cannot be wired either"},
	} {
		p, _ := planOf(t, rules(test.names...), "[profile base]\n[profile none]\n[profile none2]\n", "")
		err := p.refusal(true)
		if got := ""; test.want != "" {
			if err != nil {
				got = client.AsCoded(err).Message
			}
			if got != test.want || client.AsCoded(err).Code != test.code {
				t.Errorf("%v: %q (%s), want %q (%s)", test.names, got, client.AsCoded(err).Code, test.want, test.code)
			}
		} else if err != nil {
			t.Errorf("%v: %v", test.names, err)
		}
	}
}

// TestWireEditThatIsRefusedLeavesNoTrace: a profile whose edit is refused half
// way changes neither file, and no other profile's edit.
func TestWireEditThatIsRefusedLeavesNoTrace(t *testing.T) {
	t.Parallel()
	// Wire takes ops in the config; the second one of the credentials is refused.
	const config = "[profile base]\n[profile ops]\n" + testRole
	const credentials = "[ops]\nrole_arn = arn:aws:iam::111122223333:role/dev\nbroker_role_arn = arn:aws:iam::111122223333:role/dev\nbroker_was_role_arn = x\n"
	p, got := planOf(t, rules(), config, credentials)
	if got["ops"] != stateRefused || got["base"] != stateWired {
		t.Fatalf("states %v", got)
	}
	if string(p.text[theCredentials]) != credentials || strings.Contains(string(p.text[theConfig]), "broker_role_arn") {
		t.Errorf("the files would be\n%s\n%s", p.text[theConfig], p.text[theCredentials])
	}
}

// TestWireNamesDependants: who lives on a profile that is wired by name is said.
func TestWireNamesDependants(t *testing.T) {
	t.Parallel()
	const config = "[profile base]\n[profile a]\n" + testRole + "[profile b]\nsource_profile = a\nrole_arn = arn:aws:iam::111122223333:role/dev\n[profile other]\n"
	p, _ := planOf(t, rules("base"), config, "")
	if !slices.Equal(p.others, []string{"a", "b"}) {
		t.Errorf("others: %v", p.others)
	}
	if p, _ = planOf(t, rules("a", "base", "b"), config, ""); p.others != nil {
		t.Errorf("others of all: %v", p.others)
	}
	var many []string
	for i := range maxShown + 2 {
		many = append(many, fmt.Sprint("p", i))
	}
	if got := someOf(many); !strings.HasSuffix(got, "p9 and 2 more") {
		t.Errorf("someOf: %q", got)
	}
}

// TestSourceText: each way to credentials in words, which name no value but
// roles, profiles and programs.
func TestSourceText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"region = x1\n": "without credentials in the AWS files",
		testRole:        "role arn:aws:iam::111122223333:role/dev through base",
		"role_arn = arn:aws:iam::111122223333:role/dev\n":                            "role arn:aws:iam::111122223333:role/dev",
		"source_profile = base\n":                                                    "on the credentials of base, which SDKs do not know without a role",
		"sso_session = corp\n":                                                       "IAM Identity Center",
		"login_session = x\n":                                                        "aws login",
		"credential_process = /bin/other --secret s\n":                               "a credential_process of its own",
		"credential_process = /a/broker credential-process p\n":                      "broker at /a/broker",
		"credential_process = /a/broker credential-process q\n":                      "broker, asked for q",
		"aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret\n": "a key in the AWS files",
	} {
		c, err := awsconfig.LoadBytes(awsconfig.Files{Config: "/h/config"}, []byte("[profile p]\n"+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := sourceText(c, "p"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestKeyPairHint: what to do depends on what is stored.
func TestKeyPairHint(t *testing.T) {
	t.Parallel()
	const pair = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = s\n"
	for _, test := range []struct{ text, stored, want string }{
		{pair, "", "broker import p --delete-source"},
		{pair, "AKIAIOSFODNN7EXAMPLE", "the key is stored"},
		{pair, "AKIAOTHER", "broker add p --replace"},
		{pair + "aws_session_token = t\n", "", "temporary"},
		{"aws_secret_access_key = s\n", "", "add the one that is missing"},
	} {
		c, err := awsconfig.LoadBytes(awsconfig.Files{Config: "/h/config"}, []byte("[profile p]\n"+test.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := c.Profile("p")
		if got := client.KeyPairHint(p, test.stored); !strings.Contains(got, test.want) {
			t.Errorf("%q with %q stored: %q, want %q in it", test.text, test.stored, got, test.want)
		}
		var refused *awsconfig.Error
		if err := keyPairIn(c, "p", test.stored); !errors.As(err, &refused) || refused.Code != string(ipc.CodeRefused) || refused.Line < 2 {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

// TestWireLine: a program that would not be known again is refused.
func TestWireLine(t *testing.T) {
	t.Parallel()
	for program, ok := range map[string]bool{
		"/usr/local/bin/broker": true, "/my programs/broker": true,
		"/usr/bin/broker-1.2": false, "broker": false, "/a;b/broker": false, filepath.Join("/", "x"): false,
	} {
		r := rules()
		r.program = program
		if line, err := r.line("dev"); (err == nil) != ok {
			t.Errorf("%s: %q, %v", program, line, err)
		}
	}
}
