// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/testcorpus"
)

const corpusDir = "testdata/corpus"

// corpusWorkers is how many worlds share the sets. Each waits for the programs
// that it runs, which are what takes the time.
const corpusWorkers = 3

// corpusPrograms is for how many sets the AWS CLI runs once as a program of its
// own: it starts for most of a second.
const corpusPrograms = 8

// TestNothingBreaksCorpus: whatever feature the files of a user have, wire gives
// every profile that broker serves the identity that it had, for the AWS CLI,
// boto3 and the SDK for Go alike; the rest of the files means what it meant;
// and unwire gives every byte back, also with the edits of others in between.
func TestNothingBreaksCorpus(t *testing.T) {
	t.Parallel()
	cases, err := testcorpus.Load(corpusDir)
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string][]testcorpus.Case{}
	for i, c := range cases {
		name := fmt.Sprintf("%s-%d", c.Partition, i%corpusWorkers+1)
		shares[name] = append(shares[name], c)
	}
	for name, share := range shares {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCorpusRig(t, share[0].Partition)
			for i, c := range share {
				t.Run(c.Name, func(t *testing.T) { r.run(t, c, i) })
			}
		})
	}
}

// corpusRig is a world with the vault of the corpus, and the clients that look
// at it.
type corpusRig struct {
	*world
	golang  *client
	pythons []*client
}

func newCorpusRig(t *testing.T, partition string) *corpusRig {
	w := emptyWorld(t)
	modules, err := filepath.Abs("testdata/python")
	if err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "PYTHONPATH="+modules, "PYTHONDONTWRITEBYTECODE=1")
	w.startSandbox("--partition", partition)
	w.initialise("region = " + regionOf(partition))
	for _, k := range testcorpus.Vault() {
		switch devices := w.user(k.User).Devices; {
		case !k.MFA:
			w.add(k.Profile, k.User, "--no-mfa")
		default:
			w.add(k.Profile, k.User, "--mfa-serial", devices[0].SerialNumber)
			for _, d := range devices {
				w.primeDevice(k.Profile, d.SerialNumber)
			}
		}
	}
	// The clients get no AWS variable but these two: Regions and all else are
	// for the files to say.
	pythons := interpreters()
	if partition != "aws" {
		pythons = pythons[:min(1, len(pythons))] // for a set or two
	}
	r := &corpusRig{world: w, golang: w.goServer(), pythons: w.pythonServers(pythons)}
	for _, c := range append(slices.Clone(r.pythons), r.golang) {
		t.Logf("client: %s", c.name)
	}
	return r
}

// primeDevice gives the daemon a session of a profile's key by one device.
func (w *world) primeDevice(profile, serial string) {
	w.t.Helper()
	w.awsConfig("[profile " + profile + "]\nmfa_serial = " + serial + "\n")
	helper := w.start("broker", "credential-process", profile)
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code("--serial", serial)))
	w.document(helper.wait())
}

// run takes one set through everything. i is its number in this world.
func (r *corpusRig) run(t *testing.T, c testcorpus.Case, i int) {
	whole := r.world.t
	r.world.t = t
	defer func() { r.world.t = whole }()

	r.lay(t, c)
	original := r.snapshot(t)
	if reason := c.RefusedWhole(); reason != "" {
		r.refused(t, reason, "--all")
		r.refused(t, reason, "dev")
		r.unchanged(t, original, "a refused wire")
		return
	}
	r.alone(t, c)
	was := r.parsed(t)
	for _, w := range c.Want {
		switch {
		case w.Refused != "":
			r.refused(t, w.Refused, w.Profile)
		case !w.Served():
			r.refused(t, "", w.Profile)
		}
	}
	r.unchanged(t, original, "a refused wire")

	r.wire(t, c)
	wired := r.snapshot(t)
	r.sameElse(t, c, was)
	r.identities(t, c, i)
	r.wire(t, c)
	r.unchanged(t, wired, "a second wire")
	r.unwire(t)
	r.unchanged(t, r.unwired(t, c, original), "wire and unwire")
	r.foreignEdits(t, c, i)
}

// refused sees that wire refuses, and says why.
func (r *corpusRig) refused(t *testing.T, reason, what string) {
	t.Helper()
	got := r.world.run("broker", "wire", what)
	if got.status == 0 || !strings.Contains(got.stderr+got.stdout, reason) {
		t.Errorf("%s: status %d, stderr %q, stdout %q; want a refusal that says %q", got.line, got.status, got.stderr, got.stdout, reason)
	}
}

// wire wires everything. Its status tells whether something that broker serves
// had to be left out.
func (r *corpusRig) wire(t *testing.T, c testcorpus.Case) {
	t.Helper()
	want := 0
	if slices.ContainsFunc(c.Want, func(w testcorpus.Want) bool { return w.Refused != "" }) {
		want = 1
	}
	if got := r.world.run("broker", "wire", "--all"); got.status != want {
		t.Fatalf("%s: status %d, want %d\n%s%s", got.line, got.status, want, got.stdout, got.stderr)
	}
}

func (r *corpusRig) unwire(t *testing.T) {
	t.Helper()
	if got := r.world.run("broker", "unwire", "--all"); got.status != 0 {
		t.Fatalf("%s: status %d\n%s%s", got.line, got.status, got.stdout, got.stderr)
	}
}

// parsed is what botocore makes of the files, nil where there is no botocore.
func (r *corpusRig) parsed(t *testing.T) *botoConfig {
	t.Helper()
	if len(r.pythons) == 0 {
		return nil
	}
	got := r.pythons[0].ask(t, question{Op: "read"})
	if got.Error != "" {
		t.Fatalf("botocore cannot read the files: %s", got.Error)
	}
	return got.Config
}

// sourceKeys are the keys that wire takes out of use in a profile it wires.
var sourceKeys = []string{
	"role_arn", "source_profile", "credential_source", "credential_process", "web_identity_token_file", "login_session",
	"external_id", "role_session_name", "duration_seconds", "mfa_serial", "mfa_process",
	"sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "sso_region", "sso_registration_scopes",
}

// sameElse sees, with botocore's own parser, that wire changed the profiles it
// wired, and those only, and in them the source of credentials and nothing else.
func (r *corpusRig) sameElse(t *testing.T, c testcorpus.Case, was *botoConfig) {
	t.Helper()
	is := r.parsed(t)
	if is == nil {
		return
	}
	if !same(is.Services, was.Services) || !same(is.SSOSessions, was.SSOSessions) {
		t.Errorf("services and sso-sessions are %v, %v; want %v, %v", is.Services, is.SSOSessions, was.Services, was.SSOSessions)
	}
	served := names(c.Served())
	for name, old := range was.Profiles {
		now := is.Profiles[name]
		command, _ := now["credential_process"].(string)
		switch wired := strings.HasSuffix(command, "broker credential-process "+name); {
		case wired && (c.Sampled || slices.Contains(served, name)):
			for _, key := range sourceKeys {
				if v, _ := now[key].(string); v != "" && key != "credential_process" {
					t.Errorf("%s still has %s", name, key)
				}
			}
			now, old = withoutSources(now), withoutSources(old)
		case slices.Contains(served, name):
			t.Errorf("%s is not wired: credential_process is %q", name, command)
		}
		if !reflect.DeepEqual(now, old) {
			t.Errorf("botocore reads profile %s as %v, want %v", name, now, old)
		}
	}
	for name := range is.Profiles {
		if _, old := was.Profiles[name]; !old && !slices.Contains(testcorpus.Stored(), name) {
			t.Errorf("there is a new profile %s", name)
		}
	}
}

// same compares sections, of which none is as good as no file.
func same(a, b map[string]map[string]any) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

func withoutSources(profile map[string]any) map[string]any {
	kept := map[string]any{}
	for key, value := range profile {
		if !slices.Contains(sourceKeys, key) && !strings.HasPrefix(key, "broker_") {
			kept[key] = value
		}
	}
	return kept
}

func names(wants []testcorpus.Want) []string {
	var names []string
	for _, w := range wants {
		names = append(names, w.Profile)
	}
	return names
}
