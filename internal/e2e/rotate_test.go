// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// quickly is what makes a rotation short where IAM is on this machine.
var quickly = []string{"[rotation]", "verify_for = 1s", "keep_disabled = 1s"}

// keysOf returns the keys of a user at the pretend IAM: access key ID → status.
func (w *world) keysOf(userName string) map[string]string {
	w.t.Helper()
	var account struct {
		Users []struct {
			UserName   string
			AccessKeys []struct {
				AccessKeyID string `json:"accessKeyId"`
				Status      string
			}
		}
	}
	r := w.must(w.run("broker-sandbox", "account", "--endpoint", w.account.Endpoint))
	if err := json.Unmarshal([]byte(r.stdout), &account); err != nil {
		w.t.Fatal(err)
	}
	keys := map[string]string{}
	for _, u := range account.Users {
		for _, k := range u.AccessKeys {
			if u.UserName == userName {
				keys[k.AccessKeyID] = k.Status
			}
		}
	}
	return keys
}

// stored returns the access key ID that the index has for a profile.
func (w *world) stored(profile string) string {
	w.t.Helper()
	var list struct {
		Keys []struct{ Profile, AccessKeyID string }
	}
	if err := json.Unmarshal([]byte(w.must(w.run("broker", "list", "--json")).stdout), &list); err != nil {
		w.t.Fatal(err)
	}
	for _, k := range list.Keys {
		if k.Profile == profile {
			return k.AccessKeyID
		}
	}
	return ""
}

// TestRotationCostsOneCode: a whole rotation where everything but signing in
// needs MFA, and credentials at once: one prompt.
func TestRotationCostsOneCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(quickly...)
	w.set("policy=force-mfa", "propagation=3s:flap")
	old := w.stored("dev")
	rotating := w.start("broker", "rotate", "dev")
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code()))
	out := w.must(rotating.wait())
	if fresh := w.stored("dev"); fresh == old || !strings.Contains(out.stdout, fresh) || !strings.Contains(out.stdout, old) {
		t.Errorf("the index has %s, and was told:\n%s", fresh, out.stdout)
	}
	w.credentials("dev")
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts, want 1", s.Prompts)
	}
	w.eventually("the old key is deleted", func() error {
		if keys := w.keysOf("ann"); len(keys) != 1 || keys[w.stored("dev")] != "Active" {
			return fmt.Errorf("IAM has %v", keys)
		}
		return nil
	})
	w.credentials("dev")
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls", len(calls))
	}
	w.codesLoggedOnce()
	if calls := w.log("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"); len(calls) != 3 {
		t.Errorf("IAM was asked for %+v", calls)
	}
}
