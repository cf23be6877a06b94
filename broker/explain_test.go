// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// explainCase is one profile and what happened to it before it is explained.
type explainCase struct {
	name    string // of the golden file
	profile string
	aws     string // ~/.aws/config
	own     string // what is added to broker's config
	key     *ipc.KeyDetails
	before  func(*rig)
}

func explainCases() []explainCase {
	const (
		wired = "credential_process = /usr/bin/broker credential-process "
		dev   = "[profile dev]\nregion = eu-west-1\n" + wired + "dev\n\n"
		one   = "[profile one]\nrole_arn = arn:aws:iam::222233334444:role/one\nsource_profile = dev\n"
		two   = "[profile two]\nrole_arn = arn:aws:iam::333344445555:role/two\nsource_profile = one\n"
	)
	return []explainCase{
		{name: "key", profile: "dev", aws: dev},
		{name: "key-cached", profile: "dev", aws: dev, before: func(r *rig) { r.prime("dev"); time.Sleep(90 * time.Minute) }},
		{name: "unwired", profile: "dev", aws: "[profile dev]\n"},
		{name: "no-mfa", profile: "dev", aws: dev + "[profile dev]\nmfa_serial = " + annMFA + "\n", key: &ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true}},
		{name: "unverified", profile: "dev", aws: dev, key: &ipc.KeyDetails{SerialNumber: annMFA}},
		{
			name: "role", profile: "one",
			aws: dev + "[profile one]\n" + wired + "one\nbroker_role_arn = arn:aws:iam::222233334444:role/one\nbroker_source_profile = dev\n" +
				"broker_external_id = partner-7\nbroker_session_tags = team=blue, cost=42\nbroker_transitive_session_tags = team\nbroker_role_duration = 4h\n",
			own: "[aws]\nregion = ca-central-1\nhttps_proxy = http://me:pass@proxy.example:3128\n[profile one]\nregion = eu-north-1\nmfa_command = /usr/bin/oath --seed HUSH\n[mfa]\nsurfaces = terminal command\n",
		},
		{name: "role-other-serial", profile: "one", aws: dev + one + "mfa_serial = " + annMFA2 + "\n"},
		{name: "chain", profile: "two", aws: dev + one + two + "mfa_serial = " + annMFA + "\nrole_session_name = ann-from-home\n", before: func(r *rig) {
			r.prime("one")
		}},
		{name: "chain-long", profile: "two", aws: dev + one + two + "duration_seconds = 14400\n", before: func(r *rig) {
			r.aws.maxRole = 3600
			r.prime("two")
		}},
		{name: "role-renewed", profile: "one", aws: dev + one, before: func(r *rig) { r.prime("one"); time.Sleep(45 * time.Minute) }},
		{name: "role-outlives", profile: "one", aws: dev + one, own: "[sessions]\nsession_duration = 30m\n", before: func(r *rig) {
			r.prime("one")
			time.Sleep(35 * time.Minute)
		}},
		{name: "pending", profile: "dev", aws: dev, before: func(r *rig) { r.helper("dev"); synctest.Wait() }},
	}
}

// happen makes what is to be explained.
func (tc explainCase) happen(r *rig) {
	r.t.Helper()
	r.write("aws/config", tc.aws)
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n"+tc.own)
	d := ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA}
	if tc.key != nil {
		d = *tc.key
	}
	r.add("dev", annKey, d)
	if tc.before != nil {
		tc.before(r)
	}
}

// TestExplainForetells: who comes next is asked for a code, and is given what is
// there, exactly as explain says.
func TestExplainForetells(t *testing.T) {
	for _, tc := range explainCases() {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, newRig, func(t *testing.T, r *rig) {
				tc.happen(r)
				x := do[ipc.Explanation](r, ipc.OpExplain, ipc.ExplainParams{Profile: tc.profile})
				h := r.helper(tc.profile)
				synctest.Wait()
				if asked := len(r.status().Pending) > 0; asked != (x.Code.When == ipc.CodeNow) {
					t.Errorf("asked for a code: %t, explained %+v", asked, x.Code)
				}
				if x.Code.When == ipc.CodeNow {
					<-r.mfa(r.aws.code(x.Code.SerialNumber, 0)).done
				}
				got := h.document(t)
				if served := x.Now != nil && x.Now.AccessKeyID == got.AccessKeyID; served != (x.Now != nil && !x.Now.Renewed) {
					t.Errorf("given %s, explained %+v", got.AccessKeyID, x.Now)
				}
				after := do[ipc.Explanation](r, ipc.OpExplain, ipc.ExplainParams{Profile: tc.profile})
				for _, c := range after.Calls {
					if c.Session == nil && tc.name != "role-outlives" {
						t.Errorf("%s is explained as to be made after it was made", c.Action)
					}
				}
				if after.Now == nil || after.Now.Renewed || after.Now.AccessKeyID != got.AccessKeyID {
					t.Errorf("given %s, explained afterwards %+v", got.AccessKeyID, after.Now)
				}
			})
		})
	}
}

// TestExplain holds the explanation of each case against its golden file. What
// people see of it is held by the client.
func TestExplain(t *testing.T) {
	for _, tc := range explainCases() {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, newRig, func(t *testing.T, r *rig) {
				tc.happen(r)
				calls, prompts := len(r.aws.seenCalls()), r.status().Prompts
				c := r.start(ipc.OpExplain, ipc.ExplainParams{Profile: tc.profile}, ipc.AskTerminal)
				if <-c.done; c.err != nil {
					t.Fatal(c.err)
				}
				if len(r.aws.seenCalls()) != calls || r.status().Prompts != prompts {
					t.Errorf("explain asked: %q, %d prompts", r.aws.seenCalls()[calls:], r.status().Prompts-prompts)
				}
				golden(t, filepath.Join("testdata", "explain", tc.name+".json"), strings.ReplaceAll(string(c.result), r.dir, "/home/ann"))
			})
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(got), "", "\t"); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, indented.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", &indented, want)
	}
}

// TestExplainShowsNoSecret: neither a command's arguments, nor a proxy's
// password, nor what memory holds.
func TestExplainShowsNoSecret(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.json")
	if err != nil || len(files) != len(explainCases()) {
		t.Fatalf("%d golden files, want %d, %v", len(files), len(explainCases()), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, hush := range []string{"HUSH", "me:pass", "temporary-secret", "session-token"} {
			if strings.Contains(string(data), hush) {
				t.Errorf("%s shows %s", name, hush)
			}
		}
	}
}

// TestExplainIsWhatIsServed: every shape of profile has the same key, calls and
// errors explained as it is served with.
func TestExplainIsWhatIsServed(t *testing.T) {
	for _, tc := range planCases() {
		keys := tc.keys
		if keys == nil {
			keys = map[string]record{"dev": annRecord()}
		}
		bubble(t, newRig, func(t *testing.T, r *rig) {
			r.write("aws/config", tc.aws)
			r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n"+tc.own)
			for profile, k := range keys {
				r.add(profile, k.AccessKeyID, ipc.KeyDetails{AccountID: k.AccountID, ARN: k.ARN, UserName: k.UserName, SerialNumber: k.SerialNumber, NoMFA: k.NoMFA, Region: k.Region})
			}
			pl, err := r.planner()
			if err != nil {
				t.Fatal(err)
			}
			p, err := pl.plan(tc.profile)
			c := r.start(ipc.OpExplain, ipc.ExplainParams{Profile: tc.profile}, ipc.AskNowhere)
			<-c.done
			if err != nil || c.err != nil {
				if err == nil || c.err == nil || !reflect.DeepEqual(coded(err), coded(c.err)) {
					t.Errorf("%s: planned %v, explained %v", tc.name, err, c.err)
				}
				return
			}
			var x ipc.Explanation
			if err := json.Unmarshal(c.result, &x); err != nil {
				t.Fatal(err)
			}
			calls := slices.DeleteFunc(x.Calls, func(c ipc.PlannedCall) bool { return c.Action == "GetCallerIdentity" })
			root := calls[0]
			if x.Key.AccessKeyID != p.key.AccessKeyID || x.Key.Profile != p.owner || root.SerialNumber != p.id.serial ||
				time.Duration(root.DurationSeconds)*time.Second != p.duration || len(calls) != 1+len(p.roles) {
				t.Errorf("%s: explained %+v, planned %+v", tc.name, x, p)
			}
			for i, role := range p.roles {
				got := calls[i+1]
				in := AssumeRoleInput{
					RoleARN: got.RoleARN, RoleSessionName: got.RoleSessionName, ExternalID: got.ExternalID, SourceIdentity: got.SourceIdentity,
					Tags: got.Tags, TransitiveTagKeys: got.TransitiveTagKeys, DurationSeconds: got.DurationSeconds,
				}
				if !reflect.DeepEqual(in, role.input) {
					t.Errorf("%s: explained %+v, planned %+v", tc.name, in, role.input)
				}
			}
			for _, s := range x.Settings {
				if s.Value == "" || s.From == "" {
					t.Errorf("%s: setting %+v", tc.name, s)
				}
			}
			if s, ok := x.Setting("region"); !ok || s.Value != p.aws.Region {
				t.Errorf("%s: Region %+v, planned %s", tc.name, s, p.aws.Region)
			}
		})
	}
}

// slowDesktop is a Dialog that takes its time, and finds out who waits for it.
type slowDesktop struct {
	fakeDialog
	others func() bool // whether the daemon can serve others meanwhile
	held   bool
}

func (d *slowDesktop) Ready() bool {
	d.held = d.held || !d.others()
	return true
}

// TestExplainHoldsUpNobody: to look for a desktop is to look at the disk.
func TestExplainHoldsUpNobody(t *testing.T) {
	r := ready(t)
	d := &slowDesktop{}
	d.others = func() bool {
		free := r.mu.TryLock()
		if free {
			r.mu.Unlock()
		}
		return free
	}
	r.opts.Dialog = d
	r.restart()
	x := do[ipc.Explanation](r, ipc.OpExplain, ipc.ExplainParams{Profile: "dev"})
	if !slices.Contains(x.Code.Surfaces, surfaceDialog) || d.held {
		t.Errorf("surfaces %q, everybody else kept waiting: %t", x.Code.Surfaces, d.held)
	}
}
