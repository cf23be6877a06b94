// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// untouchable is a source whose secrets nobody may read.
type untouchable struct {
	t    *testing.T
	keys []candidate
}

func (s untouchable) list(context.Context) ([]candidate, error) { return s.keys, nil }

func (s untouchable) take(_ context.Context, c candidate) (takenKey, error) {
	s.t.Errorf("the key of %s is read", c.profile)
	return takenKey{}, errors.New("no")
}

func (s untouchable) drop(context.Context, []string) ([]droppedKey, error) {
	s.t.Error("keys are removed")
	return nil, nil
}

// importHome is a home with an AWS config, and an app in it that has no daemon.
func importHome(t *testing.T, config string) (a *app, out *bytes.Buffer, home string) {
	t.Helper()
	home = t.TempDir()
	for name, text := range map[string]string{".aws/config": config, ".config/broker/config": "[vault]\nbackend = file\n"} {
		path := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	out = &bytes.Buffer{}
	env := map[string]string{"HOME": home, "PATH": "/usr/bin:/bin", "BROKER_SOCKET": filepath.Join(home, "s"), "BROKER_STATE_DIR": filepath.Join(home, "state")}
	return &app{App: &client.App{Getenv: func(name string) string { return env[name] }, UID: os.Getuid(), Stdout: out, Stderr: out, Now: time.Now}}, out, home
}

// run is importKeys for a source of the test's own.
func runImport(t *testing.T, a *app, kind sourceKind, source importSource, o importOptions) (*importing, error) {
	t.Helper()
	config, err := a.AWSConfig()
	if err != nil {
		t.Fatal(err)
	}
	r := newImporting(a, o, kind, source, config)
	if err := r.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	candidates, err := source.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.dryRun(candidates)
	return r, r.end(t.Context())
}

// TestDryRunReadsNoSecret: it lists and does nothing else; no daemon is asked.
func TestDryRunReadsNoSecret(t *testing.T) {
	t.Parallel()
	a, out, home := importHome(t, "[default]\nregion = eu-west-1\n[profile ops]\nrole_arn = arn:aws:iam::111122223333:role/dev\nsource_profile = dev\n")
	source := untouchable{t, []candidate{
		{profile: "dev", where: "a store"},
		{profile: "tmp", where: "a store", leave: keyInvalid("it is a temporary key", "")},
	}}
	r, err := runImport(t, a, sourceKind{name: "test"}, source, importOptions{from: "test", dryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	want := `would store the key for profile dev, from a store
left alone: profile tmp, a store: it is a temporary key
plan of dev
  before  key of dev of a store
  after   key of dev of the vault; GetSessionToken, with a code if AWS lists a device
plan of ops
  before  key of dev of a store; AssumeRole arn:aws:iam::111122223333:role/dev
  after   key of dev of the vault; GetSessionToken, with a code if AWS lists a device; AssumeRole arn:aws:iam::111122223333:role/dev
next: broker import --from test
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if len(r.report.Keys) != 2 || r.report.Keys[0].State != keyFound || r.report.Keys[1].State != keyLeft {
		t.Errorf("report: %+v", r.report.Keys)
	}
	if _, err := os.Stat(filepath.Join(home, "state")); err == nil {
		t.Error("a dry run has made a state directory")
	}
}

// TestRoleOfDefaultIsNotAdopted: what aws-vault took from [default] is shown, and
// neither planned nor written.
func TestRoleOfDefaultIsNotAdopted(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::111122223333:role/dev"
	config := "[default]\nrole_arn = " + role + "\nsource_profile = base\n[profile dev]\nregion = eu-west-1\n" +
		"[profile own]\nrole_arn = " + role + "2\nsource_profile = base\n[profile inc]\ninclude_profile = base\n[profile base]\n"
	for _, inherits := range []bool{true, false} {
		a, out, home := importHome(t, config)
		source := untouchable{t, []candidate{
			{profile: "dev", accessKeyID: "AKIAIOSFODNN7EXAMPLE", where: "a store"},
			{profile: "own", accessKeyID: "AKIAIOSFODNN7EXAMPLE", where: "a store"},
			{profile: "inc", accessKeyID: "AKIAIOSFODNN7EXAMPLE", where: "a store"},
			{profile: "default", accessKeyID: "AKIAIOSFODNN7EXAMPLE", where: "a store"},
		}}
		r, err := runImport(t, a, sourceKind{name: "test", inherits: inherits}, source, importOptions{from: "test", dryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range r.report.Offers {
			got = append(got, o.Setting+" "+strings.Join(o.Profiles, " ")+" "+o.Value)
		}
		want := ""
		if inherits {
			want = "broker_role_arn dev " + role
		}
		if strings.Join(got, ",") != want {
			t.Errorf("inherits %t: offers %q, want %q", inherits, got, want)
		}
		if before := "plan of dev\n  before  key AKIAIOSFODNN7EXAMPLE of a store; AssumeRole " + role + ", from [default]\n  after   key AKIAIOSFODNN7EXAMPLE of the vault; GetSessionToken, with a code if AWS lists a device\n"; strings.Contains(out.String(), before) != inherits {
			t.Errorf("inherits %t:\n%s", inherits, out)
		}
		if byHand := "below [profile dev]: broker_role_arn = " + role + "\n"; strings.Contains(out.String(), byHand) != inherits {
			t.Errorf("inherits %t:\n%s", inherits, out)
		}
		data, err := os.ReadFile(filepath.Join(home, ".aws", "config"))
		if err != nil || string(data) != config {
			t.Errorf("the AWS config is %q, %v", data, err)
		}
	}
}

// TestWriteOffer: what the user takes is in the file afterwards, and broker
// follows it.
func TestWriteOffer(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::111122223333:role/dev"
	a, _, home := importHome(t, "[default]\nrole_arn = "+role+"\n[profile dev]\nregion = eu-west-1\n")
	config, err := a.AWSConfig()
	if err != nil {
		t.Fatal(err)
	}
	r := newImporting(a, importOptions{}, sourceKind{inherits: true}, nil, config)
	r.report.Keys = []importedKey{{Profile: "dev", State: keyStored}}
	offers, err := r.offers()
	if err != nil || len(offers) != 1 {
		t.Fatalf("offers: %+v, %v", offers, err)
	}
	if err := r.write(t.Context(), &offers[0]); err != nil || !offers[0].Written {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(home, ".aws", "config"))
	if want := "[default]\nrole_arn = " + role + "\n[profile dev]\nregion = eu-west-1\nbroker_role_arn = " + role + "\n"; err != nil || string(data) != want {
		t.Errorf("the AWS config is %q, %v; want %q", data, err, want)
	}
	after, err := a.AWSConfig()
	if err != nil {
		t.Fatal(err)
	}
	route, err := after.Route("dev", client.Lookup(map[string]string{"dev": "AKIAIOSFODNN7EXAMPLE"}))
	if err != nil || len(route.Roles) != 1 || route.Roles[0].Role.ARN != role {
		t.Errorf("route: %+v, %v", route.Roles, err)
	}
}

// TestOfferThatBreaksTheConfig: broker's own config is never left unreadable.
func TestOfferThatBreaksTheConfig(t *testing.T) {
	t.Parallel()
	a, _, home := importHome(t, "")
	r := newImporting(a, importOptions{}, sourceKind{}, nil, nil)
	path := filepath.Join(home, ".config", "broker", "config")
	o := commandOffer("dev", "/bin/otp x", awsconfig.Pos{}, path)
	o.value = "relative x"
	if err := r.write(t.Context(), &o); !errors.Is(err, &awsconfig.Error{Code: awsconfig.CodeConfigBroken}) {
		t.Errorf("write: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "[vault]\nbackend = file\n" || o.Written {
		t.Errorf("broker's config is %q, %v", data, err)
	}
}

// TestP33ImportReportHoldsNoSecret: an offered command shows its program; its
// arguments may be a seed.
func TestP33ImportReportHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for _, process := range []string{"/bin/oathtool -b JBSWY3DPEHPK3PXP", "oathtool JBSWY3DPEHPK3PXP | cat", "./x JBSWY3DPEHPK3PXP", `"/bin/x JBSWY3DPEHPK3PXP`} {
		o := commandOffer("dev", process, awsconfig.Pos{}, "config")
		data, err := json.Marshal(o)
		if text := string(data) + o.text() + o.question() + o.byHand(); err != nil || strings.Contains(text, "JBSWY3DP") {
			t.Errorf("%s: %s, %v", process, text, err)
		}
	}
}

// TestEndsImport: what is wrong with one key does not end an import; what would
// be wrong with the next one does.
func TestEndsImport(t *testing.T) {
	t.Parallel()
	one := []ipc.Code{
		ipc.CodeKeyExists, ipc.CodeKeyInvalid, ipc.CodeMFAUnknown, ipc.CodeMFASerial, ipc.CodeMFAPasskey,
		ipc.CodeAWSKeyUnknown, ipc.CodeAWSSecret, ipc.CodeAWSDenied, ipc.CodeAWSExplicitDeny, ipc.CodeAWSQuarantined,
		ipc.CodeProfileInvalid, ipc.CodeUsage, ipc.CodeAWSRegion, ipc.CodeAWSThrottled,
	}
	for _, code := range one {
		if endsImport(client.Errorf(code, "x")) {
			t.Errorf("%s ends it", code)
		}
	}
	for _, code := range []ipc.Code{ipc.CodeNoDaemon, ipc.CodeKeychainLocked, ipc.CodeAWSUnreachable, ipc.CodeDiskFull, ipc.CodeNotInitialised} {
		if !endsImport(client.Errorf(code, "x")) {
			t.Errorf("%s does not end it", code)
		}
	}
}

// TestPlansAreGrouped: profiles whose plans differ in roles only are read as one;
// a role that an import changes is never hidden behind those words.
func TestPlansAreGrouped(t *testing.T) {
	t.Parallel()
	const a, b = "arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b"
	got := groupPlans([]profilePlan{
		{"dev", "key", "vault"},
		{"one", "key; AssumeRole " + a, "vault; AssumeRole " + a + " as ann"},
		{"two", "key; AssumeRole " + b, "vault; AssumeRole " + b + " as ann"},
		{"alone", "key; AssumeRole " + a, "vault; AssumeRole " + a + " as bob"},
		{"like", "key; AssumeRole " + a, "vault; AssumeRole " + a + " as bob"},
		{"lost", "key; AssumeRole " + a + ", from [default]", "vault"},
		{"other", "key; AssumeRole " + a, "vault; AssumeRole " + b + " as ann"},
	})
	want := []planGroup{
		{[]string{"dev"}, "key", "vault"},
		{[]string{"one", "two"}, "key; AssumeRole its role", "vault; AssumeRole its role as ann"},
		{[]string{"alone", "like"}, "key; AssumeRole " + a, "vault; AssumeRole " + a + " as bob"},
		{[]string{"lost"}, "key; AssumeRole " + a + ", from [default]", "vault"},
		{[]string{"other"}, "key; AssumeRole " + a, "vault; AssumeRole " + b + " as ann"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestDroppedKeysAreNamed: who has just had a key taken out of a file is told
// that it was there, and after unwire not that there never was one.
func TestDroppedKeysAreNamed(t *testing.T) {
	t.Parallel()
	r := &importing{report: importReport{Deleted: []droppedKey{{Profile: "dev", AccessKeyID: "AKIADEV"}, {Profile: "ops", AccessKeyID: "AKIAOPS", Why: "busy"}}}}
	profiles := []wiredProfile{{Profile: "dev", Was: noSource}, {Profile: "ops", Was: noSource}, {Profile: "role", Was: "role x"}}
	r.nameDropped(profiles)
	for i, want := range []string{"key AKIADEV, removed just now", noSource, "role x"} {
		if profiles[i].Was != want {
			t.Errorf("%s: %s, want %s", profiles[i].Profile, profiles[i].Was, want)
		}
	}
	if text := unwiredText(wiredProfile{Profile: "dev", Now: noSource}); strings.Contains(text, "again") {
		t.Error(text)
	}
}

// TestPanicFailsForSeveral: the hint is about all keys, unless one alone failed.
func TestPanicFailsForSeveral(t *testing.T) {
	t.Parallel()
	denied := &ipc.Error{Code: ipc.CodeAWSDenied, Message: "no", Hint: "broker revoke dev --using PROFILE"}
	gone := &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "nobody is there", Hint: "try again: broker revoke dev"}
	locked := &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "the vault is locked", Hint: "open it: broker unlock"}
	for name, c := range map[string]struct {
		keys []ipc.RevokedKey
		p    ipc.RevokeParams
		want string
	}{
		"one of two":  {[]ipc.RevokedKey{{Problem: gone}, {}}, ipc.RevokeParams{All: true}, gone.Hint},
		"one profile": {[]ipc.RevokedKey{{Problem: gone}, {Problem: gone}}, ipc.RevokeParams{Profile: "dev"}, gone.Hint},
		"locked":      {[]ipc.RevokedKey{{Problem: locked}, {Problem: locked}}, ipc.RevokeParams{All: true}, locked.Hint},
		"two":         {[]ipc.RevokedKey{{Problem: gone}, {Problem: gone}}, ipc.RevokeParams{All: true}, "try again, which does what is not done yet: broker panic"},
		"denied": {
			[]ipc.RevokedKey{{Problem: gone}, {DenyProblem: denied}},
			ipc.RevokeParams{All: true, DenySessions: true},
			"try again, which does what is not done yet: broker panic --deny-sessions; or one by one, as somebody who may: broker revoke PROFILE --deny-sessions --using PROFILE",
		},
	} {
		r := ipc.Revoked{Keys: c.keys}
		if hint := client.AsCoded(forAll(worstOf(r), r, c.p)).Hint; hint != c.want {
			t.Errorf("%s: hint %q, want %q", name, hint, c.want)
		}
	}
}

// TestNextAfterRevoke: one line is what comes next, also when a key is back.
func TestNextAfterRevoke(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, undo := range []bool{false, true} {
		k := ipc.RevokedKey{AccessKeyID: "AKIADEV", Profiles: []string{"dev"}, Inactive: true}
		if !undo {
			k.RevokedAt = &at
		}
		text := printed(func(a *app) {
			a.writeRevoked(a.Stdout, "", ipc.Revoked{Keys: []ipc.RevokedKey{k}}, ipc.RevokeParams{Profile: "dev", Undo: undo}, nil)
		})
		if strings.Count(text, "next") != 1 {
			t.Errorf("undo %v: %s", undo, text)
		}
	}
}
