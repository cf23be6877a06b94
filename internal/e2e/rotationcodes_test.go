// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// nothingDone fails the test unless IAM was asked to change nothing, the old key
// serves, and nothing of a rotation is under way.
func (w *world) nothingDone(what, old string) {
	w.t.Helper()
	if all := w.underWay(); len(all) != 0 {
		w.t.Errorf("%s: under way: %+v", what, all)
	}
	if writes := w.log("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"); len(writes) != 0 {
		w.t.Errorf("%s: IAM was asked for %+v", what, writes)
	}
	if stored := w.stored("dev"); stored != old {
		w.t.Errorf("%s: the index has %s, and had %s", what, stored, old)
	}
	if left, err := os.ReadDir(w.stateDir() + "/rotations"); err != nil || len(left) != 0 {
		w.t.Errorf("%s: left: %v, %v", what, left, err)
	}
}

// TestF46RotationWithoutACode: the code that a rotation begins with is cancelled,
// does not come in time, or is wrong three times. Nothing is half done, and the
// next one, for which a used code is typed first, costs one code.
func TestF46RotationWithoutACode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(append(quickly, "[mfa]", "timeout = 30s")...)
	w.quickCodes()
	old := w.stored("dev")
	begin := func() *background {
		rotating := w.start("broker", "rotate", "dev")
		w.awaitPending(1)
		return rotating
	}
	ended := func(what, word string, rotating *background) {
		if r := rotating.wait(); r.status != 4 || r.stdout != "" || !strings.Contains(r.stderr, word) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", what, r.status, r.stdout, r.stderr)
		}
		w.nothingDone(what, old)
	}
	rotating := begin()
	for attempt := 1; attempt <= 3; attempt++ {
		w.eventually(fmt.Sprintf("attempt %d", attempt), func() error {
			if p := w.status().Pending; len(p) != 1 || p[0].Attempt != attempt {
				return fmt.Errorf("pending: %+v", p)
			}
			return nil
		})
		if r := w.run("broker", "mfa", wrongCode(attempt)); r.status != 4 {
			t.Fatalf("a wrong code: status %d, stderr %q", r.status, r.stderr)
		}
	}
	ended("wrong", "refused 3 MFA codes", rotating)

	w.setting("timeout = 30s", "timeout = 1s")
	ended("too late", "within 1s", w.start("broker", "rotate", "dev"))
	w.setting("timeout = 1s", "timeout = 5m")

	rotating = begin()
	w.must(w.run("broker", "mfa", "--cancel"))
	ended("cancelled", "cancelled", rotating)

	used := w.code()
	w.must(w.run("broker", "mfa", "-p", "dev", used))
	w.must(w.run("broker", "lock"))
	before := w.status().Prompts
	rotating = begin()
	if r := w.run("broker", "mfa", used); r.status != 4 {
		t.Errorf("a used code: status %d, stderr %q", r.status, r.stderr)
	}
	w.must(w.run("broker", "mfa", w.code()))
	w.must(rotating.wait())
	if fresh := w.stored("dev"); fresh == old {
		t.Error("the key was not rotated")
	}
	if s := w.status(); s.Prompts-before > 2 { // the used code was asked for again
		t.Errorf("%d prompts", s.Prompts-before)
	}
	w.credentials("dev")
	w.codesLoggedOnce()
}

// setting changes a line of broker's config.
func (w *world) setting(from, to string) {
	w.t.Helper()
	data, err := os.ReadFile(w.configPath())
	if err != nil || !strings.Contains(string(data), from+"\n") {
		w.t.Fatalf("%s has no %q: %v", w.configPath(), from, err)
	}
	overwrite(w.t, w.configPath(), strings.Replace(string(data), from+"\n", to+"\n", 1))
}

// TestF46WrongCodeForARevocation: a wrong code takes nothing back: the key is out
// of use here, the user is told what is not done at AWS, and the same command
// with the right one does that.
func TestF46WrongCodeForARevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.quickCodes()
	w.set("policy=force-mfa")
	key := w.stored("dev")
	revoking := w.start("broker", "revoke", "dev")
	w.awaitPending(1)
	for attempt := 1; attempt <= 3; attempt++ {
		w.eventually(fmt.Sprintf("attempt %d", attempt), func() error {
			if p := w.status().Pending; len(p) != 1 || p[0].Attempt != attempt {
				return fmt.Errorf("pending: %+v", p)
			}
			return nil
		})
		if r := w.run("broker", "mfa", wrongCode(attempt)); r.status != 4 {
			t.Fatalf("a wrong code: status %d, stderr %q", r.status, r.stderr)
		}
	}
	r := revoking.wait()
	if r.status == 0 || r.stdout != "" || !strings.Contains(r.stderr, "NOT known to be Inactive") && !strings.Contains(r.stderr, "may work on at AWS") || !strings.Contains(r.stderr, "MFA code") {
		t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	w.refusedKey("dev")
	if keys := w.keysOf("ann"); keys[key] != "Active" {
		t.Errorf("IAM has %v", keys)
	}
	revoking = w.start("broker", "revoke", "dev")
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code()))
	w.must(revoking.wait())
	if keys := w.keysOf("ann"); keys[key] != "Inactive" {
		t.Errorf("in the end IAM has %v", keys)
	}
	w.refusedKey("dev")
	w.codesLoggedOnce()
}

// TestF47DeviceReplaced: the user has another device than the one on record, when
// a rotation needs a code. It is asked for once; the answer says which devices
// there are; and the one that the user then names is used.
func TestF47DeviceReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise(quickly...)
	w.quickCodes()
	phone, tablet := w.user("bob").Devices[0].SerialNumber, w.user("bob").Devices[1].SerialNumber
	w.add("dev", "bob", "--mfa-serial", phone)
	w.awsConfig("[profile dev]\nregion = eu-west-1\n")
	old := w.stored("dev")
	w.killDaemon()
	gone := strings.Replace(phone, "bob-phone", "bob-lost", 1)
	for _, name := range []string{"state.json", "state.json.1"} {
		path := w.stateDir() + "/" + name
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, path, strings.ReplaceAll(string(data), phone, gone))
	}
	rotating := w.start("broker", "rotate", "dev")
	w.awaitPending(1)
	if r := w.run("broker", "mfa", w.code("--serial", tablet)); r.status == 0 {
		t.Errorf("the code of another device was taken: %q", r.stdout)
	}
	r := rotating.wait()
	if r.status == 0 || !strings.Contains(r.stderr, gone) || !strings.Contains(r.stderr, phone) || !strings.Contains(r.stderr, tablet) || !strings.Contains(r.stderr, "mfa_serial") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	w.nothingDone("another device", old)
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts", s.Prompts)
	}
	overwrite(t, w.configPath(), w.config()+"[profile dev]\nmfa_serial = "+tablet+"\n")
	rotating = w.start("broker", "rotate", "dev")
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code("--serial", tablet)))
	w.must(rotating.wait())
	if fresh := w.stored("dev"); fresh == old {
		t.Error("the key was not rotated")
	}
	w.credentials("dev")
}

func (w *world) config() string {
	w.t.Helper()
	data, err := os.ReadFile(w.configPath())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}
