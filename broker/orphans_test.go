// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// found returns the problems of status that hold all of these words.
func (r *rig) found(words ...string) []ipc.Error {
	r.t.Helper()
	return having(r.status().Problems, words...)
}

// having returns those that hold all of these words.
func having(list []ipc.Error, words ...string) []ipc.Error {
	return slices.DeleteFunc(list, func(p ipc.Error) bool {
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(p.Message, w) })
	})
}

// TestOrphansOfTheUser: a second key that nobody here has made, one that is
// stored too, and a stored secret whose key is gone.
func TestOrphansOfTheUser(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		learn := func() {
			r.outdate(annKey)
			r.learnFacts(t.Context())
		}
		learn()
		if p := r.status().Problems; len(p) != 0 {
			t.Fatalf("one key, and yet %+v", p)
		}
		r.aws.setKeys(append(r.aws.iamKeys(), ipc.KeyState{AccessKeyID: bobKey, Active: true, CreateDate: r.clock.Now()}))
		learn()
		stranger := having(r.status().Notes, bobKey, "neither stores nor has made", "active")
		if len(stranger) != 1 || stranger[0].Code != ipc.CodeKeyUnexplained || !strings.Contains(stranger[0].Hint, "broker usage dev") || len(r.status().Problems) != 0 {
			t.Errorf("a stranger: %+v", r.status())
		}
		r.add("twin", bobKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		if p := r.found(annKey, bobKey, "two active keys"); len(p) != 1 {
			t.Errorf("two of ours: %+v", r.status().Problems)
		}
		r.aws.setKeys(r.aws.iamKeys()[1:])
		learn()
		if p := r.found(annKey, "does not have that key any more"); len(p) != 1 || p[0].Code != ipc.CodeKeyGone || !strings.Contains(p[0].Hint, "broker remove dev") {
			t.Errorf("a key that is gone: %+v", r.status().Problems)
		}
		if n := len(r.status().Problems); r.aws.calls("GetSessionToken") != 1 || n != 1 {
			t.Errorf("%d sessions, %d problems", r.aws.calls("GetSessionToken"), n)
		}
	})
}

// TestStrangersThatAreProblems: a second key that is older than a key may
// become, that broker itself has asked for, or that a journal which cannot be
// read may be about.
func TestStrangersThatAreProblems(t *testing.T) {
	stranger := func(t *testing.T, r *rig, made time.Time) {
		t.Helper()
		r.prime("dev")
		r.aws.setKeys(append(r.aws.iamKeys(), ipc.KeyState{AccessKeyID: bobKey, CreateDate: made}))
		r.outdate(annKey)
		r.learnFacts(t.Context())
	}
	wanted := func(t *testing.T, r *rig, hint string, words ...string) {
		t.Helper()
		if p := r.found(append(words, bobKey)...); len(p) != 1 || p[0].Code != ipc.CodeKeyUnexplained || !strings.Contains(p[0].Hint, hint) || len(r.status().Notes) != 0 {
			t.Errorf("%+v, %+v", r.status().Problems, r.status().Notes)
		}
	}
	bubble(t, aged, func(t *testing.T, r *rig) {
		stranger(t, r, r.clock.Now().Add(-91*24*time.Hour))
		wanted(t, r, "broker usage dev", "older than max_age (90 days)")
	})
	bubble(t, aged, func(t *testing.T, r *rig) {
		sent := r.clock.Now()
		j, err := rotation.PlanCreation(randomID(), rotation.Maker{Using: "dev", UserName: "ann"}, newItem(), "second", newItem(), sent)
		if err != nil {
			t.Fatal(err)
		}
		j.Sent = &sent
		r.rotations.all = map[string]*rotator{j.ID: {b: r.Broker, journal: j}}
		stranger(t, r, sent.Add(20*time.Second))
		wanted(t, r, "broker add second --create", "broker may have made")
		r.rotations.all = nil
		if n := having(r.status().Notes, bobKey); len(n) != 1 {
			t.Errorf("without the journal: %+v", r.status())
		}
		r.rotations.broken = []error{os.ErrInvalid}
		if p := r.found(bobKey, "broker may have made"); len(p) != 1 {
			t.Errorf("a journal that cannot be read: %+v", r.status())
		}
	})
}

// TestOrphansOfARotation: a journal explains both keys; when its time has run
// out while nobody could give a code, it says what it waits for.
func TestOrphansOfARotation(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		if p := r.status().Problems; len(p) != 0 {
			t.Errorf("a rotation under way, and yet %+v", p)
		}
		time.Sleep(49 * time.Hour)
		synctest.Wait()
		p := r.found(annKey, "was to be deleted on", "still waits")
		if len(p) != 1 || p[0].Code != ipc.CodeMFARequired || !strings.Contains(p[0].Hint, "broker rotate dev --resume") {
			t.Fatalf("%+v", r.status().Problems)
		}
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Resume: true}); err != nil {
			t.Fatal(err)
		}
		if p := r.status().Problems; len(p) != 0 {
			t.Errorf("at its end: %+v", p)
		}
		sealed := r.sealedFile(strings.Repeat("a", 32))
		if err := os.WriteFile(sealed, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if p := r.found(sealed); len(p) != 1 {
			t.Errorf("a sealed key without a journal: %+v", r.status().Problems)
		}
	})
}
