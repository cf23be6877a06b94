// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// inGrace is a world in which the key of dev was rotated a moment ago, and the
// old one can be had back. Two roles are reached with it.
func inGrace(t *testing.T) (w *world, rotatedFrom string) {
	t.Helper()
	w = newWorld(t)
	w.ready("[rotation]", "verify_for = 0s", "keep_disabled = 1h", "[sessions]", "role_duration = 15m")
	w.quickCodes()
	role := "source_profile = dev\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/"
	w.awsConfig("[profile dev]\nregion = eu-west-1\n[profile one]\n" + role + "dev\n[profile two]\n" + role + "readonly\n")
	w.add("clock", "eve", "--no-mfa") // whoever asks for it has broker look at AWS's clock
	w.prime("dev")
	rotatedFrom = w.stored("dev")
	w.must(w.run("broker", "rotate", "dev"))
	if keys := w.keysOf("ann"); keys[rotatedFrom] != "Inactive" || keys[w.stored("dev")] != "Active" {
		t.Fatalf("IAM has %v", keys)
	}
	return w, rotatedFrom
}

// answered runs a command that waits for a code, and gives it one.
func (w *world) answered(name string, args ...string) result {
	w.t.Helper()
	asking := w.start(name, args...)
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code()))
	return w.must(asking.wait())
}

// sources returns the long-lived keys that sessions were made with.
func (w *world) sources() (ids []string) {
	w.t.Helper()
	for _, e := range w.log("GetSessionToken") {
		ids = append(ids, e.AccessKeyID)
	}
	return ids
}

// TestF48SessionRefusedInTheGracePeriod: AWS does not take the session that the
// old key made any more. It is dropped, and made again once, with the new key, by
// one code; the rotation, which needs one for the deletion, does the same. What a
// policy denies is no reason to drop anything, and is asked once.
func TestF48SessionRefusedInTheGracePeriod(t *testing.T) {
	t.Parallel()
	w, old := inGrace(t)
	session := w.credentials("dev")
	w.set("policy=deny:sts:AssumeRole")
	for range 2 {
		before := len(w.log("AssumeRole"))
		if r := w.run("broker", "credential-process", "one"); r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "ask who manages your AWS account") {
			t.Errorf("denied: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
		}
		if n := len(w.log("AssumeRole")) - before; n != 1 {
			t.Errorf("denied, AWS was asked %d times", n)
		}
	}
	w.set("policy=none")
	if got := w.credentials("dev"); got != session || w.status().Prompts != 1 {
		t.Errorf("a denied role cost the session, or a prompt: %d", w.status().Prompts)
	}

	w.set("key." + session.AccessKeyID + "=deleted")
	before := len(w.log("AssumeRole"))
	if d := w.document(w.answered("broker", "credential-process", "one")); d.AccessKeyID == session.AccessKeyID {
		t.Error("the refused session was served")
	}
	if n := len(w.log("AssumeRole")) - before; n != 2 { // refused, and well
		t.Errorf("AWS was asked %d times for the role", n)
	}
	if from := w.sources(); len(from) != 2 || from[0] != old || from[1] != w.stored("dev") {
		t.Errorf("sessions were made with %v; the old key is %s", from, old)
	}

	second := w.credentials("dev")
	w.set("key."+second.AccessKeyID+"=deleted", "now=+2h")
	w.credentials("clock")
	r := w.answered("broker", "rotate", "dev")
	if keys := w.keysOf("ann"); len(keys) != 1 || keys[w.stored("dev")] != "Active" {
		t.Errorf("in the end IAM has %v\n%s", keys, r.stdout)
	}
	w.credentials("dev")
	w.codesLoggedOnce()
	if from := w.sources(); len(from) != 4 || from[3] != w.stored("dev") && from[2] != w.stored("dev") { // one of them is clock's
		t.Errorf("sessions were made with %v", from)
	}
}

// TestF08SessionsEndInTheGracePeriod: role sessions of minutes come and go in it
// without a prompt; when the session of the old key has ended, one code makes that
// of the new one, and programs go on.
func TestF08SessionsEndInTheGracePeriod(t *testing.T) {
	t.Parallel()
	w, old := inGrace(t)
	w.set("session_life=5s")
	over := func(d document) {
		t.Helper()
		w.eventually("the session is over", func() error {
			if left := time.Until(d.Expiration); left > 0 {
				return fmt.Errorf("%v are left", left)
			}
			return nil
		})
	}
	first := w.credentials("one")
	over(first)
	second := w.credentials("one")
	if second.AccessKeyID == first.AccessKeyID || w.status().Prompts != 1 {
		t.Errorf("the role's session is %s after %s; %d prompts", second.AccessKeyID, first.AccessKeyID, w.status().Prompts)
	}
	w.set("session_life=0s")
	out := w.must(w.run("broker", "exec", "--mode", "env", "two", "--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"))
	if !strings.HasPrefix(out.stdout, "ASIA") {
		t.Errorf("exec gave %q", out.stdout)
	}

	w.must(w.run("broker", "lock"))
	w.set("session_life=5s")
	ends := w.document(w.answered("broker", "credential-process", "dev"))
	w.set("session_life=0s")
	over(ends)
	w.document(w.answered("broker", "credential-process", "one"))
	w.credentials("two")
	w.must(w.run("broker", "exec", "one", "--", "true"))
	if from := w.sources(); len(from) != 3 || from[0] != old || from[1] != w.stored("dev") || from[2] != w.stored("dev") {
		t.Errorf("sessions were made with %v; the old key is %s", from, old)
	}
	w.codesLoggedOnce()
	if keys := w.keysOf("ann"); keys[old] != "Inactive" {
		t.Errorf("IAM has %v", keys)
	}
}
