// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// outages are what status says of keys that nothing is asked for at present.
func (w *world) outages() (all []struct {
	Code    string
	RetryAt *time.Time
},
) {
	w.t.Helper()
	s := struct{ Outages any }{&all}
	if err := json.Unmarshal([]byte(w.must(w.run("broker", "status", "--json")).stdout), &s); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestF15KeyGoneAtAWS: a key is deleted at IAM. What was made of it is served, a
// session says that it is gone for good, and a rotation does not begin; without a
// session it is no new key that AWS is late to know. Its secret stays until the
// user has it removed.
func TestF15KeyGoneAtAWS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	w.settled() // else the daemon may learn by itself that it is gone, and say that instead
	session := w.credentials("dev")
	item, before := w.itemOf("dev")
	key := w.stored("dev")
	w.set("key." + key + "=deleted")
	if got := w.credentials("dev"); got != session {
		t.Error("the session that is there is not served")
	}
	if r := w.run("broker", "rotate", "dev"); r.status != 8 || !strings.Contains(r.stderr, "does not have it any more") || !strings.Contains(r.stderr, "broker add dev --replace") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	w.must(w.run("broker", "lock"))
	helper := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	if r := w.run("broker", "mfa", w.code()); r.status != 8 {
		t.Errorf("mfa: status %d, stderr %q", r.status, r.stderr)
	}
	if r := helper.wait(); r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "or store another: broker add dev --replace") {
		t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	if n := len(w.log("GetSessionToken")); n != 2 {
		t.Errorf("%d sessions were asked for", n)
	}
	if now, data := w.itemOf("dev"); now != item || string(data) != string(before) {
		t.Error("the item of the key was touched")
	}
	w.must(w.run("broker", "remove", "dev", "--yes"))
	if left := w.contents(w.stateDir() + "/vault"); strings.Contains(strings.Join(keysOfMap(left), " "), item) {
		t.Errorf("after remove the vault has %v", keysOfMap(left))
	}
}

func keysOfMap(m map[string]string) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	return names
}

// TestF15YoungKeyIsLate: the same answer of AWS about a key that a rotation made
// a moment ago says that AWS is late; ten minutes of AWS's time later it does not.
func TestF15YoungKeyIsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone("verify_for = 0s", "keep_disabled = 0s")
	w.must(w.run("broker", "rotate", racked))
	w.set("key." + w.stored(racked) + "=Inactive")
	refused := func(hint string) {
		t.Helper()
		if r := w.run("broker", "credential-process", racked); r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, hint) {
			t.Errorf("status %d, stdout %q, stderr %q; want %q", r.status, r.stdout, r.stderr, hint)
		}
	}
	refused("try again in a minute")
	w.set("now=+11m")
	refused("make it active in the IAM console")
	w.set("key." + w.stored(racked) + "=Active")
	w.credentials(racked)
}

// TestF16AccountSuspended: AWS serves the account no more. It is asked once, for
// one code; programs are then refused at once, in AWS's words, and status says
// until when. A terminal gets through as soon as that is settled.
func TestF16AccountSuspended(t *testing.T) {
	t.Parallel()
	for _, why := range []string{"AccountProblem", "OptInRequired"} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			w.quickCodes()
			w.set("fail.GetSessionToken=" + why)
			helper := w.start("broker", "credential-process", "dev")
			w.awaitPending(1)
			w.run("broker", "mfa", w.code())
			for i, r := range []result{helper.wait(), w.run("broker", "credential-process", "dev"), w.run("broker", "credential-process", "dev")} {
				if r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, why) || strings.Count(r.stderr, "\n") != 1 ||
					i > 0 && !strings.Contains(r.stderr, "before the next try") {
					t.Errorf("helper %d: status %d, stdout %q, stderr %q", i, r.status, r.stdout, r.stderr)
				}
			}
			if n, s := len(w.log("GetSessionToken")), w.status(); n != 1 || s.Prompts != 1 {
				t.Errorf("AWS was asked %d times, the user %d times", n, s.Prompts)
			}
			out := w.outages()
			if len(out) != 1 || out[0].Code != "aws_blocked" || out[0].RetryAt == nil || time.Until(*out[0].RetryAt) < 10*time.Minute {
				t.Errorf("status: %+v", out)
			}
			w.set("fail.GetSessionToken=none")
			w.must(w.run("broker", "mfa", "-p", "dev", w.code()))
			w.credentials("dev")
			if out := w.outages(); len(out) != 0 {
				t.Errorf("status: %+v", out)
			}
		})
	}
}

// TestF16SuspendedInARotation: so it is for IAM, when a rotation begins, and in
// the middle of one, which stands still, asks nobody, and goes on when told to.
func TestF16SuspendedInARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 0s", "keep_disabled = 0s")
	w.set("fail.ListAccessKeys=AccountProblem")
	if r := w.run("broker", "rotate", racked); r.status != 8 || !strings.Contains(r.stderr, "AccountProblem") || !strings.Contains(r.stderr, "ask who manages the AWS account") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	if all := w.underWay(); len(all) != 0 || len(w.log("CreateAccessKey")) != 0 || w.stored(racked) != old {
		t.Errorf("under way: %+v", all)
	}
	w.set("fail.ListAccessKeys=none", "fail.UpdateAccessKey=OptInRequired")
	if r := w.run("broker", "rotate", racked); r.status != 8 || !strings.Contains(r.stderr, "OptInRequired") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	rot := w.awaitRotation("stuck")
	if keys := w.keysOf("eve"); len(keys) != 2 || keys[old] != "Active" || keys[rot.New] != "Active" || rot.Old != old {
		t.Errorf("IAM has %v; %+v", keys, rot)
	}
	w.credentials(racked)
	if n := len(w.log("UpdateAccessKey")); n != 1 {
		t.Errorf("IAM was asked %d times", n)
	}
	w.set("fail.UpdateAccessKey=none")
	w.must(w.run("broker", "rotate", racked, "--resume"))
	if keys := w.keysOf("eve"); len(keys) != 1 || keys[w.stored(racked)] != "Active" {
		t.Errorf("in the end IAM has %v", keys)
	}
}
