// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestF28OutageOfSTS: while STS fails, what is cached is served, whoever needs
// more is told so in STS's words, after a while at once and without asking STS
// again; when it is back, so is everything else.
func TestF28OutageOfSTS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	role := "source_profile = dev\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/"
	w.awsConfig("[profile dev]\nregion = eu-west-1\n[profile one]\n" + role + "dev\n[profile two]\n" + role + "readonly\n")
	w.prime("dev")
	cached := w.credentials("one")
	w.set("fail.AssumeRole=503")
	for range 3 {
		before := len(w.log("AssumeRole"))
		if r := w.run("broker", "credential-process", "two"); r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "ServiceUnavailable") {
			t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
		}
		if n := len(w.log("AssumeRole")) - before; n != 3 {
			t.Errorf("it was tried %d times, want 3", n)
		}
	}
	before, began := len(w.log("AssumeRole")), time.Now()
	for range 5 {
		r := w.run("broker", "credential-process", "two")
		if r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "ServiceUnavailable") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
		}
		if got := w.credentials("one"); got != cached {
			t.Error("another session of the other role was served")
		}
	}
	// A slow machine may get a try in: one is let through after each pause, of 5
	// seconds at first.
	if n, tries := len(w.log("AssumeRole"))-before, 1+int(time.Since(began)/(5*time.Second)); n > 3*tries {
		t.Errorf("STS was asked %d times more while nobody should", n)
	}
	if r := w.must(w.run("broker", "status")); !strings.Contains(r.stdout, "outage: ") || !strings.Contains(r.stdout, "failures since") {
		t.Errorf("status says nothing of it:\n%s", r.stdout)
	}
	w.set("fail.AssumeRole=none")
	w.eventually("the role is served again", func() error {
		if r := w.run("broker", "credential-process", "two"); r.status != 0 {
			return fmt.Errorf("%s", r.stderr)
		}
		return nil
	})
	if r := w.must(w.run("broker", "status")); strings.Contains(r.stdout, "outage: ") {
		t.Errorf("status still tells of an outage:\n%s", r.stdout)
	}
}

// TestF30BadAnswers: an answer that is not AWS's is an error, changes nothing
// that is cached, and is over when it is over.
func TestF30BadAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	role := "source_profile = dev\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/"
	text := "[profile dev]\nregion = eu-west-1\n[profile one]\n" + role + "dev\n"
	knobs := []string{"body.AssumeRole=garbage", "body.AssumeRole=huge", "body.AssumeRole=html", "drop.AssumeRole=before", "drop.AssumeRole=after"}
	// A Region for each, so that none is spared by the trouble of the one before.
	regions := []string{"eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2"}
	for i, region := range regions {
		text += fmt.Sprintf("[profile p%d]\nregion = %s\nrole_session_name = p%d\n%sreadonly\n", i, region, i, role)
	}
	w.awsConfig(text)
	w.prime("dev")
	cached := w.credentials("one")
	for i, knob := range knobs {
		profile := fmt.Sprintf("p%d", i)
		w.set(knob)
		begin := time.Now()
		r := w.run("broker", "credential-process", profile)
		if r.status != 8 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || len(r.stderr) > 512 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", knob, r.status, r.stdout, r.stderr)
		}
		if took := time.Since(begin); took > 40*time.Second {
			t.Errorf("%s: it took %v", knob, took)
		}
		if got := w.credentials("one"); got != cached {
			t.Errorf("%s: the cache was touched", knob)
		}
		name, _, _ := strings.Cut(knob, "=")
		w.set(name + "=none")
		w.credentials(profile)
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts, want 1", s.Prompts)
	}
}
