// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/credproc"
	"credbroker/internal/awsapi"
)

// takes reports whether the pretend IAM takes a document that was handed out.
func (w *world) takes(document string) error {
	w.t.Helper()
	session, err := credproc.Parse(json.RawMessage(document))
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := awsapi.New(awsapi.Options{
		Region: "us-east-1", STSEndpointURL: w.account.Endpoint, IAMEndpointURL: w.account.Endpoint, Now: time.Now, UserAgent: "e2e",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = client.Temporary(session).ListAccessKeys(ctx, "ann")
	return err
}

// handedOut returns a document of a profile.
func (w *world) handedOut(profile string) string {
	w.t.Helper()
	return w.must(w.run("broker", "credential-process", profile)).stdout
}

// refusedKey fails the test unless a profile is refused because its key is
// revoked.
func (w *world) refusedKey(profile string) {
	w.t.Helper()
	if r := w.run("broker", "credential-process", profile); r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "was revoked at") {
		w.t.Errorf("%s: exit status %d, stdout %q, stderr %q", r.line, r.status, r.stdout, r.stderr)
	}
}

// TestRevokeEndsSessions: sessions that were handed out work on after the key
// went, end with the deny, and work again when somebody else has taken it back.
func TestRevokeEndsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.set("policy=force-mfa")
	w.prime("dev")
	w.set("policy=none")
	key, session := w.stored("dev"), w.handedOut("dev")
	w.must(w.run("broker", "revoke", "dev"))
	if got := w.keysOf("ann")[key]; got != "Inactive" {
		t.Errorf("the key is %s", got)
	}
	if err := w.takes(session); err != nil {
		t.Errorf("before the deny: %v", err)
	}
	w.refusedKey("dev")
	w.must(w.run("broker", "revoke", "dev", "--deny-sessions"))
	w.eventually("the session is denied everything", func() error {
		if err := w.takes(session); err == nil || !strings.Contains(err.Error(), "explicit deny") {
			return fmt.Errorf("AWS said %w", err)
		}
		return nil
	})
	again := w.must(w.run("broker", "revoke", "dev", "--deny-sessions"))
	if !strings.Contains(again.stdout, "denied everything") {
		t.Errorf("twice: %s", again.stdout)
	}
	if r := w.run("broker", "revoke", "dev", "--undo"); r.status != 8 || !strings.Contains(r.stderr, "--undo --using PROFILE") {
		t.Errorf("undone by nobody: exit status %d, %s", r.status, r.stderr)
	}
	w.add("boss", "bob", "--no-mfa")
	w.must(w.run("broker", "revoke", "dev", "--undo", "--using", "boss"))
	if got := w.keysOf("ann")[key]; got != "Active" {
		t.Errorf("the key is %s", got)
	}
	if err := w.takes(session); err != nil {
		t.Errorf("after undo: %v", err)
	}
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("it cost %d sessions", len(calls))
	}
	w.prime("dev")
	w.codesLoggedOnce()
}

// TestPanicOverThreeUsers: one is denied, and the others are done all the same;
// again, when it is not, all are.
func TestPanicOverThreeUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.add("ops", "bob", "--no-mfa")
	w.add("eve", "eve", "--no-mfa")
	w.prime("dev")
	session := w.handedOut("dev")
	w.set("fail.UpdateAccessKey=AccessDenied:1")
	r := w.run("broker", "panic", "--yes", "--deny-sessions")
	if r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "NOT known to be Inactive") || !strings.Contains(r.stderr, "iam:UpdateAccessKey") {
		t.Errorf("exit status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	inactive := 0
	for _, user := range []string{"ann", "bob", "eve"} {
		if w.keysOf(user)[w.user(user).AccessKeys[0].AccessKeyID] == "Inactive" {
			inactive++
		}
	}
	if inactive != 2 {
		t.Errorf("%d keys are Inactive, want 2", inactive)
	}
	for _, profile := range []string{"dev", "ops", "eve"} {
		w.refusedKey(profile)
	}
	if err := w.takes(session); err == nil {
		t.Error("the session is not denied")
	}
	w.must(w.run("broker", "revoke", "--all", "--yes"))
	for _, user := range []string{"ann", "bob", "eve"} {
		if got := w.keysOf(user)[w.user(user).AccessKeys[0].AccessKeyID]; got != "Inactive" {
			t.Errorf("%s: the key is %s", user, got)
		}
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts", s.Prompts)
	}
}

// TestRevokeWithoutAWS: here it is done, and the user is told what is not.
func TestRevokeWithoutAWS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	key := w.stored("dev")
	// AWS goes away half way: the key is Inactive, and nobody hears of it.
	w.set("drop.UpdateAccessKey=after", "drop.ListAttachedUserPolicies=before", "drop.PutUserPolicy=before")
	r := w.run("broker", "revoke", "dev", "--deny-sessions")
	if r.status != 8 || !strings.Contains(r.stderr, key+" may work on at AWS") || !strings.Contains(r.stderr, "IAM console") && !strings.Contains(r.stderr, "sessions of IAM user ann go on") {
		t.Errorf("exit status %d, %s", r.status, r.stderr)
	}
	w.refusedKey("dev")
	w.must(w.run("broker-sandbox", "reset", "--endpoint", w.account.Endpoint))
	w.must(w.run("broker", "revoke", "dev", "--deny-sessions"))
	if got := w.keysOf("ann")[key]; got != "Inactive" {
		t.Errorf("the key is %s", got)
	}
	if n := len(w.log("PutUserPolicy")); n == 0 {
		t.Error("nothing is denied")
	}
}

// TestRevokeSurvivesTheDaemon kills brokerd in the middle of each call; run
// again, all of it comes to the same.
func TestRevokeSurvivesTheDaemon(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"UpdateAccessKey", "ListAttachedUserPolicies", "PutUserPolicy"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.initialise()
			w.add("dev", "eve", "--no-mfa")
			w.awsConfig("[profile dev]\nregion = eu-west-1\n")
			key := w.stored("dev")
			w.handedOut("dev")
			w.set("delay." + action + "=5s")
			revoking := w.start("broker", "revoke", "dev", "--deny-sessions")
			w.eventually(action+" is under way", func() error {
				if revocationsOf(w, key) == "" {
					return fmt.Errorf("nothing is written down")
				}
				if len(w.log("GetCallerIdentity")) < 2 { // that of add, and that of revoke
					return fmt.Errorf("it has not begun")
				}
				return nil
			})
			w.killDaemon()
			revoking.wait()
			w.set("delay." + action + "=0s")
			w.refusedKey("dev") // the next daemon knows
			r := w.run("broker", "revoke", "dev", "--deny-sessions")
			w.eventually("the key is out of use", func() error {
				if got := w.keysOf("eve")[key]; got != "Inactive" {
					return fmt.Errorf("it is %s (exit status %d, %s)", got, r.status, r.stderr)
				}
				return nil
			})
			if r.status != 0 && !strings.Contains(r.stderr, "--deny-sessions --using PROFILE") {
				t.Errorf("exit status %d, %s", r.status, r.stderr)
			}
		})
	}
}

// revocationsOf returns the file that names a revoked key, or nothing.
func revocationsOf(w *world, key string) string {
	data, err := os.ReadFile(filepath.Join(w.home, ".local", "state", "broker", "revocations.json"))
	if err != nil || !strings.Contains(string(data), key) {
		return "" // it is looked for until it is there
	}
	return string(data)
}

// TestRevokeInQuarantine: AWS was faster; broker says so, and an administrator
// does it.
func TestRevokeInQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	w.set("policy=quarantine")
	r := w.run("broker", "revoke", "dev")
	if r.status != 8 || !strings.Contains(r.stderr, "AWSCompromisedKeyQuarantineV3") || !strings.Contains(r.stderr, "broker revoke dev --using PROFILE") {
		t.Errorf("exit status %d, %s", r.status, r.stderr)
	}
	w.refusedKey("dev")
}
