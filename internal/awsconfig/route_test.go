// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// names returns the profiles of a route: "asked,…,owner / first role,…".
func (r Route) names() string {
	var path, roles []string
	for _, p := range r.Path {
		path = append(path, p.Profile)
	}
	for _, p := range r.Roles {
		roles = append(roles, p.Profile)
	}
	return strings.Join(path, ",") + " / " + strings.Join(roles, ",")
}

const routes = `[profile dev]
region = eu-west-1
mfa_serial = arn:aws:iam::111122223333:mfa/ann
[profile first]
role_arn = arn:aws:iam::111122223333:role/First
source_profile = dev
[profile second]
role_arn = arn:aws:iam::111122223333:role/Second
source_profile = first
[profile third]
role_arn = arn:aws:iam::111122223333:role/Third
source_profile = second
[profile elsewhere]
source_profile = dev
region = us-east-1
[profile self]
role_arn = arn:aws:iam::111122223333:role/Self
source_profile = self
[profile own]
role_arn = arn:aws:iam::111122223333:role/Own
[profile keyed]
role_arn = arn:aws:iam::111122223333:role/Keyed
source_profile = dev
[profile onkeyed]
role_arn = arn:aws:iam::111122223333:role/OnKeyed
source_profile = keyed
[profile wired]
broker_role_arn = arn:aws:iam::111122223333:role/Wired
broker_source_profile = dev
credential_process = /usr/bin/broker credential-process wired
[profile helper]
credential_process = /usr/bin/broker credential-process helper
[profile shared]
include_profile = template
[profile template]
role_arn = arn:aws:iam::111122223333:role/Template
source_profile = dev
[profile unstored]
credential_process = /usr/bin/broker credential-process unstored
[profile foreign]
credential_process = /usr/bin/other-helper
[profile plain]
aws_access_key_id = AKIAPLAIN
aws_secret_access_key = x
[profile onplain]
role_arn = arn:aws:iam::111122223333:role/X
source_profile = plain
[profile sso]
sso_start_url = https://corp.example.com
[profile login]
login_session = arn:aws:iam::111122223333:user/ann
[profile web]
role_arn = arn:aws:iam::111122223333:role/Web
web_identity_token_file = /token
[profile ec2]
role_arn = arn:aws:iam::111122223333:role/X
credential_source = Ec2InstanceMetadata
[profile onsso]
role_arn = arn:aws:iam::111122223333:role/X
source_profile = sso
[profile a]
source_profile = b
[profile b]
source_profile = a
[profile both]
role_arn = arn:aws:iam::111122223333:role/X
source_profile = dev
credential_source = Environment
[profile norole]
role_arn = arn:aws:iam::111122223333:role/X
[profile empty]
region = eu-west-1
[profile temporary]
aws_access_key_id = ASIATEMP
aws_secret_access_key = x
aws_session_token = y
`

func TestRoutes(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, routes, "")
	keys := vault(map[string]string{"dev": "AKIADEV", "self": "AKIASELF", "own": "AKIAOWN", "keyed": "AKIAKEYED", "helper": "AKIAHELPER", "unlisted": "AKIAU"})
	tests := []struct{ profile, want, code string }{
		{"dev", "dev / ", ""},
		{"unlisted", "unlisted / ", ""},
		{"first", "first,dev / first", ""},
		{"third", "third,second,first,dev / first,second,third", ""},
		{"elsewhere", "elsewhere,dev / ", ""},
		{"self", "self / self", ""},
		{"own", "own / own", ""},
		{"keyed", "keyed,dev / keyed", ""},
		{"onkeyed", "onkeyed,keyed / onkeyed", ""},
		{"wired", "wired,dev / wired", ""},
		{"helper", "helper / ", ""},
		{"shared", "shared,dev / shared", ""},

		{"absent", "profile absent does not exist", CodeNoProfile},
		{"-x", `starts with "-"`, CodeUsage},
		{"empty", "profile empty has no credentials and no key in the vault", CodeNoKey},
		{"unstored", "profile unstored has no credentials and no key in the vault", CodeNoKey},
		{"plain", "config:43: the key of profile plain is in this file, not in the vault", CodeNoKey},
		{"onplain", "config:43: the key of profile plain is in this file, not in the vault", CodeNoKey},
		{"temporary", "profile temporary has temporary credentials in this file, and no key in the vault", CodeNoKey},
		{"foreign", "profile foreign runs a credential_process of its own", CodeUnsupported},
		{"sso", "profile sso signs in with IAM Identity Center", CodeUnsupported},
		{"onsso", "profile sso signs in with IAM Identity Center", CodeUnsupported},
		{"login", "profile login signs in with aws login", CodeUnsupported},
		{"web", "profile web uses a web identity token", CodeUnsupported},
		{"ec2", "profile ec2 takes its credentials from a credential_source", CodeUnsupported},
		{"a", "source_profile runs in a circle: a → b → a", CodeProfileLoop},
		{"both", "both source_profile and credential_source", CodeProfileInvalid},
		{"norole", "neither source_profile nor credential_source", CodeProfileInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.profile, func(t *testing.T) {
			t.Parallel()
			r, err := c.Route(tt.profile, keys)
			if tt.code != "" {
				checkError(t, err, tt.code, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := r.names(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := r.Profile().Profile; got != tt.profile {
				t.Errorf("the asked profile is %s", got)
			}
		})
	}
	if _, err := c.Route("dev", nil); err == nil {
		t.Error("a route without a vault")
	}
}

func TestRouteSettings(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `[profile dev]
region = us-gov-west-1
mfa_serial = arn:aws:iam::111122223333:mfa/ann
broker_mfa_serial = GAHT12345678
broker_was_region = nowhere
broker_session_duration = 8h
use_fips_endpoint = TRUE
use_dualstack_endpoint = false
[profile admin]
source_profile = dev
role_arn = arn:aws-us-gov:iam::111122223333:role/a/b/Admin
external_id = a/b:c
role_session_name = ann@example.com
source_identity = ann
duration_seconds = 7200
session_tags = team=core, empty=, cost = 42
transitive_session_tags = team,cost
[profile short]
source_profile = dev
role_arn = arn:aws:iam::111122223333:role/Short
duration_seconds = 7200
broker_role_duration = 30m
`, "")
	keys := vault(map[string]string{"dev": "AKIADEV"})
	r, err := c.Route("admin", keys)
	if err != nil {
		t.Fatal(err)
	}
	wantRole := Role{
		ARN: "arn:aws-us-gov:iam::111122223333:role/a/b/Admin", ExternalID: "a/b:c",
		SessionName: "ann@example.com", SourceIdentity: "ann", Duration: 2 * time.Hour,
		Tags: []Tag{{"team", "core"}, {"empty", ""}, {"cost", "42"}}, TransitiveTagKeys: []string{"team", "cost"},
	}
	if got := r.Roles[0].Role; !reflect.DeepEqual(got, wantRole) {
		t.Errorf("got %+v\nwant %+v", got, wantRole)
	}
	owner := r.Owner()
	pos := owner.Where("mfa_serial")
	owner.source = Profile{}
	want := ProfileSettings{
		Profile: "dev", MFASerial: "GAHT12345678", Region: "us-gov-west-1", SessionDuration: 8 * time.Hour, UseFIPS: true,
	}
	if !reflect.DeepEqual(owner, want) {
		t.Errorf("got %+v\nwant %+v", owner, want)
	}
	if pos.Line != 4 {
		t.Errorf("mfa_serial is at %s", pos)
	}
	if r, err = c.Route("short", keys); err != nil || r.Profile().Role.Duration != 30*time.Minute {
		t.Errorf("short lasts %v, %v", r.Profile().Role.Duration, err)
	}
}

// TestRouteRefusesValues has a value that AWS, a host name or a terminal must
// not meet for each key.
func TestRouteRefusesValues(t *testing.T) {
	t.Parallel()
	tests := []string{
		"region = evil.example.com/",
		"region = EU-WEST-1",
		"mfa_serial = short",
		"mfa_serial = arn:aws:iam::111122223333:mfa/\x1b[2J",
		"use_fips_endpoint = yes",
		"broker_session_duration = 40h",
		"broker_session_duration = 1",
		"broker_role_duration = 13h",
		"role_arn = arn:aws:iam::1111:role/X",
		"role_arn = arn:aws:iam::111122223333:user/X",
		"role_arn = arn:aws:iam::111122223333:role/",
		"role_arn = Admin",
		"external_id = x",
		"role_session_name = a b",
		"source_identity = x",
		"duration_seconds = 899",
		"duration_seconds = 43201",
		"duration_seconds = 1h",
		"duration_seconds = -3600",
		"session_tags = team",
		"session_tags = =core",
		"session_tags = team=<core>",
		"session_tags = team=" + strings.Repeat("x", 257),
		"session_tags = " + strings.Repeat("k=v,", 51),
	}
	for _, text := range tests {
		key, _, _ := strings.Cut(text, " ")
		c := mustLoad(t, "[profile dev]\nrole_arn = arn:aws:iam::111122223333:role/X\nsource_profile = dev\n"+text, "")
		_, err := c.Route("dev", vault(map[string]string{"dev": "AKIADEV"}))
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		checkError(t, err, CodeProfileInvalid, "config:4: profile dev: "+strings.TrimPrefix(key, "broker_")+" ")
	}
}

// TestHelperOfAProfile: a profile is broker's only where no SDK could read a
// second source.
func TestHelperOfAProfile(t *testing.T) {
	t.Parallel()
	const line = "credential_process = /b/broker credential-process dev\n"
	for _, tt := range []struct {
		name, config, credentials string
		want                      bool
	}{
		{"its own line", "[profile dev]\nregion = x\n" + line, "", true},
		{"with a length", "[profile dev]\ncredential_process = /b/broker credential-process --duration=2h dev\n", "", true},
		{"in the credentials file", "", "[dev]\n" + line, true},
		{"no profile", "", "", false},
		{"no line", "[profile dev]\nregion = x\n", "", false},
		{"another profile's", "[profile dev]\ncredential_process = /b/broker credential-process ops\n", "", false},
		{"another program", "[profile dev]\ncredential_process = /b/vault dev\n", "", false},
		{"a role beside it", "[profile dev]\nrole_arn = arn:aws:iam::111122223333:role/r\n" + line, "", false},
		{"keys beside it", "[profile dev]\n" + line, "[dev]\naws_access_key_id = AKIA\n", false},
	} {
		program, ok := mustLoad(t, tt.config, tt.credentials).Helper("dev")
		if ok != tt.want || ok && program != "/b/broker" {
			t.Errorf("%s: %q, %t, want %t", tt.name, program, ok, tt.want)
		}
	}
}
