// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// rolesConfig is three hops from dev's key, as a user writes it.
func (w *world) rolesConfig(hop3 string) string {
	arn := func(name string) string { return "arn:aws:iam::" + w.account.AccountID + ":role/" + name }
	serial := w.user("ann").Devices[0].SerialNumber
	return "[profile dev]\nregion = eu-west-1\nmfa_serial = " + serial + "\n" +
		"[profile hop1]\nrole_arn = " + arn("dev-hop1") + "\nsource_profile = dev\nmfa_serial = " + serial + "\n" +
		"[profile hop2]\nrole_arn = " + arn("dev-hop2") + "\nsource_profile = hop1\n" +
		"[profile hop3]\nrole_arn = " + arn("dev-hop3") + "\nsource_profile = hop2\n" + hop3
}

// TestThreeHopsOneCode: a chain of three roles costs one code.
func TestThreeHopsOneCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.awsConfig(w.rolesConfig(""))
	w.prime("hop3")
	first := w.credentials("hop3")
	if got := len(w.log("GetSessionToken")); got != 1 {
		t.Errorf("%d GetSessionToken calls, want 1", got)
	}
	if got := len(w.log("AssumeRole")); got != 3 {
		t.Errorf("%d AssumeRole calls, want 3", got)
	}
	for _, profile := range []string{"dev", "hop1", "hop2", "hop3"} {
		w.credentials(profile)
	}
	if again := w.credentials("hop3"); again != first {
		t.Error("the same inputs are not a hit")
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts, want 1", s.Prompts)
	}
	if got := len(w.log("AssumeRole")); got != 3 {
		t.Errorf("%d AssumeRole calls after everything is cached, want 3", got)
	}
}

// TestChangedRoleInputIsAMiss: whatever AWS would see differently is another
// session. A code is not asked for again.
func TestChangedRoleInputIsAMiss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.awsConfig(w.rolesConfig(""))
	w.prime("hop1")
	seen := map[string]string{w.credentials("hop1").AccessKeyID: "hop1 as it was"}
	base := "[profile dev]\nregion = eu-west-1\n[profile hop1]\nsource_profile = dev\nregion = eu-west-1\n"
	role := "role_arn = arn:aws:iam::" + w.account.AccountID + ":role/dev-hop1\n"
	for _, change := range []struct{ name, text string }{
		{"role ARN", "role_arn = arn:aws:iam::" + w.account.AccountID + ":role/dev\n"},
		{"external ID", role + "external_id = another\n"},
		{"session name", role + "role_session_name = somebody\n"},
		{"duration", role + "duration_seconds = 1800\n"},
		{"tag", role + "session_tags = team=blue\n"},
	} {
		w.awsConfig(base + change.text)
		got := w.credentials("hop1")
		if was, ok := seen[got.AccessKeyID]; ok {
			t.Errorf("a changed %s served the credentials of %s", change.name, was)
		}
		seen[got.AccessKeyID] = "a changed " + change.name
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts, want 1", s.Prompts)
	}
}

// TestChangedKeyIsAMiss: another key under the profile is another session.
func TestChangedKeyIsAMiss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.awsConfig("[profile dev]\nregion = eu-west-1\n")
	first := w.credentials("dev")
	w.add("dev", "bob", "--no-mfa", "--replace")
	second := w.credentials("dev")
	if first.AccessKeyID == second.AccessKeyID {
		t.Error("the replaced key's session is still served")
	}
	if got := w.log("GetSessionToken"); len(got) != 2 || got[0].AccessKeyID == got[1].AccessKeyID {
		t.Errorf("GetSessionToken calls: %+v, want one for each key", got)
	}
}

// TestSourceLoopPrintsTheLoop: a circle is an error that shows it, and no code
// is asked for.
func TestSourceLoopPrintsTheLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.awsConfig("[profile a]\nrole_arn = arn:aws:iam::111122223333:role/a\nsource_profile = b\n" +
		"[profile b]\nrole_arn = arn:aws:iam::111122223333:role/b\nsource_profile = c\n" +
		"[profile c]\nrole_arn = arn:aws:iam::111122223333:role/c\nsource_profile = a\n")
	r := w.run("broker", "credential-process", "a")
	if r.status != 1 || r.stdout != "" {
		t.Errorf("status %d, stdout %q; want 1 and nothing", r.status, r.stdout)
	}
	for _, name := range []string{"a", "b", "c"} {
		if !strings.Contains(r.stderr, name) {
			t.Errorf("stderr = %q, want the loop with %s in it", r.stderr, name)
		}
	}
	if !strings.Contains(r.stderr, "a → b → c → a") {
		t.Errorf("stderr = %q, want the loop a → b → c → a", r.stderr)
	}
	if s := w.status(); s.Prompts != 0 || len(s.Pending) != 0 {
		t.Errorf("a code was asked for: %+v", s)
	}
}

// TestAnotherSerialOnARole: a role that names another device of the same user
// primes a second session with that device; a device of somebody else is an
// error before any code is asked for.
func TestAnotherSerialOnARole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	devices := w.user("bob").Devices
	if len(devices) < 2 {
		t.Fatal("bob has one device only")
	}
	w.add("ops", "bob", "--mfa-serial", devices[0].SerialNumber)
	role := "[profile role]\nsource_profile = ops\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/dev-hop1\nmfa_serial = "
	w.awsConfig("[profile ops]\nregion = eu-west-1\n" + role + devices[1].SerialNumber + "\n")

	helper := w.start("broker", "credential-process", "role")
	w.awaitPending(1)
	if got := w.status().Pending[0].SerialNumber; got != devices[1].SerialNumber {
		t.Errorf("the prompt is for %s, want %s", got, devices[1].SerialNumber)
	}
	w.must(w.run("broker", "mfa", w.code("--serial", devices[1].SerialNumber)))
	w.document(helper.wait())

	w.awsConfig("[profile ops]\nregion = eu-west-1\n" + role + "arn:aws:iam::999988887777:mfa/ann\n")
	r := w.run("broker", "credential-process", "role")
	if r.status == 0 || !strings.Contains(r.stderr, "999988887777") {
		t.Errorf("a serial of another account: status %d, stderr %q", r.status, r.stderr)
	}
	if s := w.status(); len(s.Pending) != 0 {
		t.Errorf("a code is asked for: %+v", s.Pending)
	}
}
