// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/awsconfig"
)

var update = flag.Bool("update", false, "write the golden files")

// planCase is one shape of config that users write.
type planCase struct {
	name    string
	profile string
	aws     string            // ~/.aws/config
	own     string            // broker's config
	keys    map[string]record // else ann's under dev
}

func annRecord() record {
	return record{AccessKeyID: annKey, Item: item(1), AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA}
}

func item(n int) string { return fmt.Sprintf("broker.v1.%032x", n) }

func with(change func(*record)) map[string]record {
	r := annRecord()
	change(&r)
	return map[string]record{"dev": r}
}

func planCases() []planCase {
	const (
		one = "[profile one]\nrole_arn = arn:aws:iam::222233334444:role/one\nsource_profile = dev\n"
		two = "[profile two]\nrole_arn = arn:aws:iam::333344445555:role/path/two\nsource_profile = one\n"
	)
	serial := func(s string) string { return "mfa_serial = " + s + "\n" }
	bob := record{AccessKeyID: bobKey, Item: item(2), AccountID: account, ARN: "arn:aws:iam::111122223333:user/bob", UserName: "bob", SerialNumber: bobMFA}
	return []planCase{
		{name: "a key and no section", profile: "dev"},
		{name: "a key and a section", profile: "dev", aws: "[profile dev]\nregion = eu-west-1\n"},
		{name: "the default profile", profile: "default", aws: "[default]\nregion = eu-west-3\n", keys: map[string]record{"default": annRecord()}},
		{name: "credential_process is broker itself", profile: "dev", aws: "[profile dev]\ncredential_process = /usr/bin/broker credential-process dev\n"},
		{name: "plaintext keys beside the stored one", profile: "dev", aws: "[profile dev]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = x\n"},
		{name: "one role", profile: "one", aws: "[profile dev]\nregion = eu-west-1\n" + one},
		{name: "two roles", profile: "two", aws: one + two},
		{name: "the source has no section", profile: "one", aws: one},
		{name: "a role with its own key", profile: "dev", aws: "[profile dev]\nrole_arn = arn:aws:iam::222233334444:role/one\n"},
		{name: "a role whose source is itself", profile: "dev", aws: "[profile dev]\nrole_arn = arn:aws:iam::222233334444:role/one\nsource_profile = dev\n"},
		{name: "a source with a role and a key", profile: "one", aws: "[profile dev]\nrole_arn = arn:aws:iam::999988887777:role/never\nsource_profile = other\n" + one},
		{name: "everything of a role", profile: "one", aws: one + "external_id = x-1\nrole_session_name = me\nduration_seconds = 7200\nsession_tags = a=b, c=d\ntransitive_session_tags = a\nsource_identity = ann\n"},
		{name: "broker_ spellings", profile: "one", aws: "[profile dev]\n[profile one]\nbroker_role_arn = arn:aws:iam::222233334444:role/one\nbroker_source_profile = dev\nbroker_external_id = x-2\ncredential_process = /usr/bin/broker credential-process one\n"},
		{name: "broker_ spellings win", profile: "one", aws: one + "broker_role_duration = 2h\nduration_seconds = 1800\n"},
		{name: "include_profile", profile: "one", aws: "[profile base]\nregion = eu-north-1\nexternal_id = shared\n" + one + "include_profile = base\n"},
		{name: "serial of the profile", profile: "dev", aws: "[profile dev]\n" + serial(annMFA2)},
		{name: "serial of the source", profile: "one", aws: "[profile dev]\n" + serial(annMFA2) + one},
		{name: "serial of the role", profile: "one", aws: "[profile dev]\n" + serial(annMFA) + one + serial(annMFA2)},
		{name: "serial of a source without a role", profile: "one", aws: "[profile dev]\n[profile mid]\nsource_profile = dev\n" + serial(annMFA2) + "[profile one]\nrole_arn = arn:aws:iam::222233334444:role/one\nsource_profile = mid\n"},
		{name: "serial of a source of no role", profile: "top", aws: "[profile dev]\n[profile mid]\nsource_profile = dev\n" + serial(annMFA2) + "[profile top]\nsource_profile = mid\n"},
		{name: "serial of broker's config", profile: "dev", aws: "[profile dev]\n" + serial(annMFA), own: "[profile dev]\n" + serial(annMFA2)},
		{name: "hardware serial", profile: "dev", aws: "[profile dev]\n" + serial("GAHT12345678")},
		{name: "serial on a chained role that is met", profile: "two", aws: one + two + serial(annMFA)},
		{name: "another serial on a chained role", profile: "two", aws: one + two + serial(annMFA2)},
		{name: "serial of another account", profile: "one", aws: one + serial("arn:aws:iam::999988887777:mfa/ann")},
		{name: "serial of another user", profile: "dev", aws: "[profile dev]\n" + serial(bobMFA), keys: map[string]record{"dev": annRecord(), "bob": bob}},
		{name: "a passkey", profile: "dev", aws: "[profile dev]\n" + serial("arn:aws:iam::111122223333:u2f/user/ann/key")},
		{name: "no serial known", profile: "dev", keys: with(func(r *record) { r.SerialNumber = "" })},
		{name: "no serial known, one on a chained role", profile: "two", aws: one + two + serial(annMFA), keys: with(func(r *record) { r.SerialNumber = "" })},
		{name: "without MFA", profile: "one", aws: one, keys: with(func(r *record) { r.SerialNumber, r.NoMFA = "", true })},
		{name: "without MFA, serial on the owner", profile: "one", aws: "[profile dev]\n" + serial(annMFA) + one, keys: with(func(r *record) { r.SerialNumber, r.NoMFA = "", true })},
		{name: "without MFA, serial on the role", profile: "one", aws: one + serial(annMFA), keys: with(func(r *record) { r.SerialNumber, r.NoMFA = "", true })},
		{name: "unverified key", profile: "one", aws: one, keys: with(func(r *record) { *r = record{AccessKeyID: annKey, Item: item(1), SerialNumber: annMFA} })},
		{name: "region of the key", profile: "one", aws: one, keys: with(func(r *record) { r.Region = "sa-east-1" })},
		{name: "region of the source", profile: "two", aws: "[profile dev]\nregion = eu-west-1\n" + one + "region = eu-west-2\n" + two},
		{name: "region of broker's config", profile: "dev", own: "[aws]\nregion = ca-central-1\n"},
		{name: "region of broker's profile", profile: "dev", aws: "[profile dev]\nregion = eu-west-1\n", own: "[profile dev]\nregion = eu-west-2\n"},
		{name: "partition of the key", profile: "dev", keys: with(func(r *record) {
			r.ARN = "arn:aws-cn:iam::111122223333:user/ann"
			r.SerialNumber = "arn:aws-cn:iam::111122223333:mfa/ann"
		})},
		{name: "a role of another partition", profile: "cn", aws: "[profile cn]\nrole_arn = arn:aws-cn:iam::222233334444:role/one\nsource_profile = dev\n"},
		{name: "a device of another partition", profile: "dev", aws: "[profile dev]\n" + serial("arn:aws-us-gov:iam::111122223333:mfa/ann")},
		{name: "a Region of another partition", profile: "dev", aws: "[profile dev]\nregion = eu-west-1\n", keys: with(func(r *record) {
			r.ARN = "arn:aws-us-gov:iam::111122223333:user/ann"
			r.SerialNumber = "arn:aws-us-gov:iam::111122223333:mfa/ann"
		})},
		{name: "legacy endpoints, FIPS and dual-stack", profile: "dev", aws: "[profile dev]\nregion = us-west-2\nsts_regional_endpoints = legacy\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n"},
		{name: "partition of an unverified key", profile: "cn", aws: "[profile cn]\nrole_arn = arn:aws-cn:iam::222233334444:role/one\nsource_profile = dev\n", keys: with(func(r *record) { *r = record{AccessKeyID: annKey, Item: item(1), NoMFA: true} })},
		{name: "fips and dualstack", profile: "dev", aws: "[profile dev]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = TRUE\n"},
		{name: "endpoints", profile: "dev", aws: "[profile dev]\nendpoint_url = https://evil.example\nca_bundle = /evil\n", own: "[aws]\nendpoint_url = http://127.0.0.1:9\niam_endpoint_url = https://iam.example\nca_bundle = /ca.pem\nhttps_proxy = http://proxy.example:3128\n"},
		{name: "durations of broker's config", profile: "one", aws: one + "duration_seconds = 1800\n", own: "[sessions]\nsession_duration = 36h\nrole_duration = 3h\n[profile one]\nrole_duration = 4h\n"},
		{name: "default duration of chained roles", profile: "two", aws: one + two, own: "[sessions]\nrole_duration = 3h\n"},
		{name: "written duration of a chained role", profile: "two", aws: one + two + "duration_seconds = 14400\n"},
		{name: "session duration of the profile", profile: "dev", aws: "[profile dev]\nbroker_session_duration = 2h\n"},
		{name: "mfa_command", profile: "one", aws: one, own: "[profile dev]\nmfa_command = /bin/oath --serial 'a b'\n"},
		{name: "mfa_process is never run", profile: "dev", aws: "[profile dev]\nmfa_process = /bin/evil\nbroker_mfa_command = /bin/evil\n"},
		{name: "user name with a path", profile: "one", aws: one, keys: with(func(r *record) { r.UserName = "a" })},
		{name: "a circle", profile: "a", aws: "[profile a]\nrole_arn = arn:aws:iam::222233334444:role/a\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::222233334444:role/b\nsource_profile = a\n"},
		{name: "no such profile", profile: "nobody"},
		{name: "no such source", profile: "one", aws: "[profile one]\nrole_arn = arn:aws:iam::222233334444:role/one\nsource_profile = nobody\n"},
		{name: "no key", profile: "other", aws: "[profile other]\nregion = eu-west-1\n"},
		{name: "sso", profile: "other", aws: "[profile other]\nsso_start_url = https://x\nsso_region = us-east-1\nsso_account_id = 111122223333\nsso_role_name = r\n"},
		{name: "not a role", profile: "one", aws: "[profile one]\nrole_arn = arn:aws:iam::222233334444:user/one\nsource_profile = dev\n"},
		{name: "bad name", profile: "a b"},
	}
}

// TestPlans holds the plan of each shape against the golden file: no change
// may alter one unseen.
func TestPlans(t *testing.T) {
	var got strings.Builder
	for _, tc := range planCases() {
		fmt.Fprintf(&got, "## %s\n%s\n", tc.name, describePlan(t, tc))
	}
	golden := filepath.Join("testdata", "plans.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wants := strings.Split(string(want), "## ")
	for i, g := range strings.Split(got.String(), "## ") {
		if i >= len(wants) || g != wants[i] {
			t.Errorf("got\n%s\nwant\n%s", g, append(wants, "", "")[min(i, len(wants))])
		}
	}
}

func describePlan(t *testing.T, tc planCase) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte(tc.aws), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := awsconfig.Load(awsconfig.Files{Config: config, Credentials: filepath.Join(dir, "credentials")})
	if err != nil {
		t.Fatalf("%s: %v", tc.name, err)
	}
	s, err := awsconfig.ParseSettings("config", []byte(tc.own))
	if err != nil {
		t.Fatalf("%s: %v", tc.name, err)
	}
	keys := tc.keys
	if keys == nil {
		keys = map[string]record{"dev": annRecord()}
	}
	p, err := (&planner{aws: c, settings: s, keys: keys}).plan(tc.profile)
	if err != nil {
		e := coded(err)
		return strings.ReplaceAll(fmt.Sprintf("error %s: %s\n", e.Code, e.Message), dir, "DIR")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "key %s of %s\n", p.key.AccessKeyID, p.owner)
	fmt.Fprintf(&b, "session serial=%q duration=%s\n", p.id.serial, p.duration)
	for _, r := range p.roles {
		in := r.input
		fmt.Fprintf(&b, "role %s account=%s name=%s duration=%s", in.RoleARN, r.accountID, in.RoleSessionName, time.Duration(in.DurationSeconds)*time.Second)
		if r.chained {
			fmt.Fprint(&b, " chained")
		}
		if in.ExternalID != "" {
			fmt.Fprintf(&b, " external=%s", in.ExternalID)
		}
		if in.SourceIdentity != "" {
			fmt.Fprintf(&b, " identity=%s", in.SourceIdentity)
		}
		for _, k := range slices.Sorted(maps.Keys(in.Tags)) {
			fmt.Fprintf(&b, " tag:%s=%s", k, in.Tags[k])
		}
		if in.TransitiveTagKeys != nil {
			fmt.Fprintf(&b, " transitive=%v", in.TransitiveTagKeys)
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "aws %+v\n", p.aws)
	if p.command != nil {
		fmt.Fprintf(&b, "command %q\n", p.command)
	}
	return b.String()
}

func TestRoleSessionName(t *testing.T) {
	for _, tc := range []struct{ from, want string }{
		{"ann", "ann"},
		{"a", "a-"},
		{"", "--"},
		{"ann smith/ops", "ann-smith-ops"},
		{"ä", "--"},
		{strings.Repeat("x", 70), strings.Repeat("x", 64)},
	} {
		if got := roleSessionName(tc.from); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.from, got, tc.want)
		}
	}
}

// TestEmptyIndexNamesRecover: whoever deleted the state directory is told how
// to get the keys back that the store still has.
func TestEmptyIndexNamesRecover(t *testing.T) {
	none := &planner{aws: &awsconfig.Config{}, keys: map[string]record{}}
	_, err := none.plan("dev")
	if e := coded(err); !strings.Contains(e.Hint, "broker add dev") || !strings.Contains(e.Hint, "broker recover") {
		t.Errorf("hint with an empty index = %q", e.Hint)
	}
	some := &planner{aws: &awsconfig.Config{}, keys: map[string]record{"ops": annRecord()}}
	_, err = some.plan("dev")
	if e := coded(err); strings.Contains(e.Hint, "recover") {
		t.Errorf("hint with other keys in the index = %q", e.Hint)
	}
}
