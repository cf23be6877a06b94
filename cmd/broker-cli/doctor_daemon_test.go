// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// TestDoctorTellsWhatIsHeldUp: a leaked key that may work on, a rotation that
// stands still and a network that is down are not "nothing is wrong".
func TestDoctorTellsWhatIsHeldUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	leaked := &ipc.RevokedKey{AccessKeyID: "AKIALEAKED", RevokedAt: &now}
	stuck := ipc.Rotation{
		Profiles: []string{"dev"}, Old: "AKIAOLD", New: "AKIANEW", State: "switched", Waiting: "stuck",
		Problem: &ipc.Error{Code: ipc.CodeOnRotate, Message: "tell-github ended with 1"},
	}
	held := stuck
	held.Waiting, held.Problem = "held", nil
	inactive := *leaked
	inactive.Inactive = true
	outage := ipc.Outage{AccessKeyID: "AKIADEV", Region: "eu-west-1", Code: ipc.CodeAWSUnreachable, Message: "reach AWS: refused"}
	open := outage
	open.RetryAt = &now
	for name, tt := range map[string]struct {
		status   ipc.Status
		problems int
		want     []string
	}{
		"all is well": {ipc.Status{Keys: []ipc.Key{{Profile: "dev"}}, Rotations: []ipc.Rotation{held}}, 0, []string{"ok: daemon: no key"}},
		"revoked": {
			ipc.Status{Keys: []ipc.Key{{Profile: "dev", Revoked: leaked}, {Profile: "twin", Revoked: leaked}}},
			1,
			[]string{"problem: daemon: key ", "of dev was revoked at " + now.Format(minute) + ", and may work on at AWS", "next: make it Inactive: broker revoke dev"},
		},
		"revoked, and Inactive": {ipc.Status{Keys: []ipc.Key{{Profile: "dev", Revoked: &inactive}}}, 0, []string{"ok: daemon: "}},
		"stuck": {
			ipc.Status{Rotations: []ipc.Rotation{stuck}},
			1,
			[]string{"problem: daemon: rotation of dev: ", "tell-github ended with 1", "  next: "},
		},
		"outage": {
			ipc.Status{Outages: []ipc.Outage{open}},
			1,
			[]string{"problem: daemon: reach AWS: refused (key AKIADEV in eu-west-1)", "next: check the network"},
		},
		"one call failed": {ipc.Status{Outages: []ipc.Outage{outage}}, 0, []string{"ok: daemon: ", "note: daemon: reach AWS: refused"}},
	} {
		var result diagnosis
		wantWords(t, printed(func(a *app) {
			d := &doctor{app: a, status: &tt.status}
			summary := d.checkDaemon(t.Context())
			result = diagnosis{OK: true, Checks: []checked{{Name: "daemon", Summary: summary, Findings: gathered(d.findings)}}}
			result.sayOnce()
			a.printDiagnosis(result)
		}), tt.want...)
		if n := result.problems(); n != tt.problems {
			t.Errorf("%s: %d problems, not %d", name, n, tt.problems)
		}
	}
}

// TestSnoozedKeyThatIsNotDue: a column says what there is to say, and no dash
// before it.
func TestSnoozedKeyThatIsNotDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	until, active := now.Add(time.Hour), false
	k := ipc.Key{KeyFacts: ipc.KeyFacts{SnoozedUntil: &until}}
	if got := levelText(k, now); got != "snoozed" {
		t.Errorf("got %q", got)
	}
	k.Active = &active
	if got := levelText(k, now); got != "Inactive, snoozed" {
		t.Errorf("got %q", got)
	}
}
