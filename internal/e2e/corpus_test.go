// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"credbroker/internal/testcorpus"
)

const corpusDir = "testdata/corpus"

// corpusWorkers is how many worlds share the sets. Each waits for the programs
// that it runs, which are what takes the time.
const corpusWorkers = 2

// corpusPrograms is for how many sets the AWS CLI runs once as a program of its
// own: it starts for most of a second.
const corpusPrograms = 6

// TestNothingBreaksCorpus: whatever feature the files of a user have, wire gives
// every profile that broker serves the identity that it had, for the AWS CLI,
// boto3 and the SDK for Go alike; the rest of the files means what it meant;
// and unwire gives every byte back, also with the edits of others in between.
func TestNothingBreaksCorpus(t *testing.T) {
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
	w.env = append(w.env, "PYTHONPATH="+modules)
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
	r := &corpusRig{world: w, golang: w.goServer(), pythons: w.pythonServers()}
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
	unwired := r.unwired(t, c, original)
	r.unchanged(t, unwired, "wire and unwire")

	r.named(t, c, unwired)
	r.foreignEdits(t, c)
}

// lay replaces everything in the home but broker's own by the files of a set.
func (r *corpusRig) lay(t *testing.T, c testcorpus.Case) {
	t.Helper()
	entries, err := os.ReadDir(r.home)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != ".config" && name != ".local" {
			if err := os.RemoveAll(filepath.Join(r.home, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Write(r.home, filepath.Join(r.bin, "broker")); err != nil {
		t.Fatal(err)
	}
}

func (r *corpusRig) config() string { return filepath.Join(r.home, ".aws", "config") }

// snapshot describes every file and link of the home, but for broker's own and
// the backups, which wire makes beside what it edits.
func (r *corpusRig) snapshot(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(r.home, func(path string, e fs.DirEntry, err error) error {
		name, rel := e.Name(), strings.TrimPrefix(path, r.home)
		switch {
		case err != nil:
			return err
		case e.IsDir() && (rel == "/.config" || rel == "/.local" || rel == "/.aws/cli"):
			return fs.SkipDir
		case e.IsDir() || strings.Contains(name, ".broker-"):
			return nil
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			seen[rel] = "link to " + target
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		stat := info.Sys().(*syscall.Stat_t)
		seen[rel] = fmt.Sprintf("%v of %d:%d\n%s", info.Mode(), stat.Uid, stat.Gid, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// unchanged compares the home with what it was. A file that was not there may
// be an empty one now.
func (r *corpusRig) unchanged(t *testing.T, was map[string]string, after string) {
	t.Helper()
	is := r.snapshot(t)
	for _, path := range slices.Sorted(maps.Keys(is)) {
		if _, old := was[path]; !old && !strings.HasSuffix(is[path], "\n") {
			t.Errorf("after %s there is %s: %q", after, path, is[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(was)) {
		if is[path] != was[path] {
			t.Errorf("after %s %s is\n%q\nwant\n%q", after, path, is[path], was[path])
		}
	}
}

// unwired is what the home is to be after unwire.
func (r *corpusRig) unwired(t *testing.T, c testcorpus.Case, original map[string]string) map[string]string {
	t.Helper()
	want := maps.Clone(original)
	for _, name := range []string{"config", "credentials"} {
		path, err := filepath.EvalSymlinks(filepath.Join(r.home, ".aws", name))
		if err != nil {
			continue
		}
		rel := strings.TrimPrefix(path, r.home)
		mode, _, existed := strings.Cut(original[rel], "\n")
		if existed {
			want[rel] = mode + "\n" + string(c.Unwired(name, r.home, filepath.Join(r.bin, "broker")))
		}
	}
	return want
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

// identities sees that every client comes to what is wanted of every served
// profile. The AWS CLI answers for each of them inside a server, which forks; for
// one of every corpusPrograms sets it is a program of its own as well.
func (r *corpusRig) identities(t *testing.T, c testcorpus.Case, i int) {
	t.Helper()
	served := c.Served()
	if len(served) == 0 {
		return
	}
	r.check(t, c, "aws-sdk-go-v2", r.golang.ask(t, question{Op: "sdk", Endpoint: r.account.Endpoint, Region: regionOf(c.Partition), Profiles: names(served)}).Identities)
	for n, python := range r.pythons {
		if !python.boto3 && i%len(r.pythons) != n {
			continue // its turn comes
		}
		got := python.ask(t, question{Op: "sdk", Endpoint: r.account.Endpoint, Region: regionOf(c.Partition), Profiles: names(served)})
		if got.Error != "" {
			t.Errorf("%s: %s", python.name, got.Error)
		}
		r.check(t, c, python.name, got.Identities)
	}
	r.cliInside(t, c, i)
	if i%corpusPrograms == 0 {
		one := served[i%len(served)]
		arn, program := r.cli(one.Profile, "AWS_DEFAULT_REGION="+regionOf(c.Partition), "AWS_USE_FIPS_ENDPOINT=false", "AWS_USE_DUALSTACK_ENDPOINT=false", "AWS_PAGER=")
		r.check(t, c, "aws", []identity{{Profile: one.Profile, ARN: arn, AccessKeyID: "ASIA", Error: program.stderr}})
	}
}

// regionOf returns a Region of a partition, for profiles that have none.
func regionOf(partition string) string {
	switch partition {
	case "aws-cn":
		return "cn-north-1"
	case "aws-us-gov":
		return "us-gov-west-1"
	}
	return "us-east-1"
}

// cliInside asks the AWS CLI inside a server for every served profile. Where
// several are installed, the sets take turns.
func (r *corpusRig) cliInside(t *testing.T, c testcorpus.Case, i int) {
	t.Helper()
	with := slices.DeleteFunc(slices.Clone(r.pythons), func(c *client) bool { return !c.cli })
	if len(with) == 0 {
		return
	}
	python := with[i%len(with)]
	q := question{Op: "cli", Env: map[string]string{"AWS_DEFAULT_REGION": regionOf(c.Partition)}}
	for _, w := range c.Served() {
		q.Commands = append(q.Commands, []string{"sts", "get-caller-identity", "--output", "json", "--endpoint-url", r.account.Endpoint, "--profile", w.Profile})
	}
	got := python.ask(t, q)
	if got.Error != "" {
		t.Fatalf("aws inside %s: %s", python.name, got.Error)
	}
	var all []identity
	for n, result := range got.Results {
		id := identity{Profile: c.Served()[n].Profile, AccessKeyID: "ASIA", Error: result.Stderr}
		var out struct{ Arn string }
		if err := json.Unmarshal([]byte(result.Stdout), &out); err == nil {
			id.ARN = out.Arn
		}
		all = append(all, id)
	}
	r.check(t, c, "aws inside "+python.name, all)
}

// check compares what a client came to with what is wanted.
func (r *corpusRig) check(t *testing.T, c testcorpus.Case, client string, got []identity) {
	t.Helper()
	served := c.Served()
	byName := map[string]testcorpus.Want{}
	for _, w := range served {
		byName[w.Profile] = w
	}
	if len(got) == 0 {
		t.Errorf("%s answered for no profile", client)
	}
	for _, id := range got {
		w := byName[id.Profile]
		if !w.Matches(id.ARN) || !strings.HasPrefix(id.ARN, "arn:"+c.Partition+":") || !strings.HasPrefix(id.AccessKeyID, "ASIA") {
			t.Errorf("%s as profile %s is %q by key %q, want %s of %s; it says %q", client, id.Profile, id.ARN, id.AccessKeyID, w.Resource, w.Account, id.Error)
		}
	}
}

// alone sees that the expectations do not come from how broker reads the files:
// with the stored keys as static ones, botocore has the same identities by the
// files as they were.
func (r *corpusRig) alone(t *testing.T, c testcorpus.Case) {
	t.Helper()
	served := slices.DeleteFunc(c.Served(), func(w testcorpus.Want) bool { return !w.Alone })
	if len(served) == 0 || len(r.pythons) == 0 {
		return
	}
	path := filepath.Join(r.dir, "with-keys")
	credentials, _ := c.Data("credentials", r.home, "")
	text := string(credentials) + "\n"
	for _, k := range testcorpus.Vault() {
		if !strings.Contains(text, "["+k.Profile+"]") {
			key := r.user(k.User).AccessKeys[0]
			text += "[" + k.Profile + "]\naws_access_key_id = " + key.AccessKeyID + "\naws_secret_access_key = " + key.SecretAccessKey + "\n"
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.pythons[0].ask(t, question{
		Op: "sdk", Profiles: names(served), Endpoint: r.account.Endpoint,
		Region: regionOf(c.Partition),
		Env:    map[string]string{"AWS_SHARED_CREDENTIALS_FILE": path, "AWS_ENDPOINT_URL_STS": r.account.Endpoint},
	})
	if len(got.Identities) != len(served) {
		t.Fatalf("botocore alone: %s", got.Error)
	}
	for n, id := range got.Identities {
		if !served[n].Matches(id.ARN) {
			t.Errorf("botocore alone is as profile %s %q, the set wants %s of %s; it says %q", id.Profile, id.ARN, served[n].Resource, served[n].Account, id.Error)
		}
	}
}

// named wires each served profile by itself and takes that back, once with and
// once without its name.
func (r *corpusRig) named(t *testing.T, c testcorpus.Case, original map[string]string) {
	t.Helper()
	served := names(c.Served())
	if len(served) == 0 || c.Sampled {
		return
	}
	if got := r.world.run("broker", append([]string{"wire"}, served...)...); got.status != 0 {
		t.Fatalf("%s: status %d\n%s", got.line, got.status, got.stderr)
	}
	if got := r.world.run("broker", append([]string{"unwire"}, served...)...); got.status != 0 {
		t.Fatalf("%s: status %d\n%s", got.line, got.status, got.stderr)
	}
	r.unchanged(t, original, "wire and unwire by name")
}

func names(wants []testcorpus.Want) []string {
	var names []string
	for _, w := range wants {
		names = append(names, w.Profile)
	}
	return names
}

// foreignEdits sees that unwire leaves what others have written in between: the
// AWS CLI sets a Region in a served profile, or makes a new one, and somebody
// appends a section by hand. The same edits of the original are what has to
// come out.
func (r *corpusRig) foreignEdits(t *testing.T, c testcorpus.Case) {
	t.Helper()
	config := c.Unwired("config", r.home, filepath.Join(r.bin, "broker"))
	if len(config) == 0 || len(c.Served()) == 0 {
		return
	}
	plain := filepath.Join(r.dir, "plain-config")
	if err := os.WriteFile(plain, config, 0o600); err != nil {
		t.Fatal(err)
	}
	r.edit(t, c, plain)
	want, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	r.wire(t, c)
	r.edit(t, c, r.config())
	r.unwire(t)
	got, err := os.ReadFile(r.config())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("after wire, edits of others and unwire the config is\n%q\nwant\n%q", got, want)
	}
}

// edit makes the edits of others in a config.
func (r *corpusRig) edit(t *testing.T, c testcorpus.Case, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := "\n[profile appended-by-hand]\nregion = eu-west-3\n# the end\n"
	if config := c.Unwired("config", r.home, ""); bytes.Contains(config, []byte("\r\n")) {
		text = strings.ReplaceAll(text, "\n", "\r\n") // as its owner's editor does
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.pythons, func(c *client) bool { return c.cli })
	if i < 0 {
		return
	}
	set := []string{"configure", "set", "output", "text", "--profile", "made-by-aws"}
	config, _ := c.Data("config", r.home, "")
	for _, name := range names(c.Served()) {
		if bytes.Contains(config, []byte("[profile "+name+"]\n")) {
			set = []string{"configure", "set", "region", "eu-north-1", "--profile", name}
			break
		}
	}
	q := question{Op: "cli", Commands: [][]string{set}, Env: map[string]string{"AWS_CONFIG_FILE": path, "AWS_DEFAULT_REGION": regionOf(c.Partition)}}
	for _, result := range r.pythons[i].ask(t, q).Results {
		if result.Status != 0 {
			t.Fatalf("aws configure set: %s", result.Stderr)
		}
	}
}
