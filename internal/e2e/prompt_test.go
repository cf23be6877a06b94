// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestOnePromptForManyProcesses: 200 helpers start on a cold cache, before the
// code exists; one code serves them all.
func TestOnePromptForManyProcesses(t *testing.T) {
	w := newWorld(t)
	w.ready()
	const callers = 200
	helpers := make([]*background, callers)
	for i := range helpers {
		helpers[i] = w.start("broker", "credential-process", "dev")
	}
	w.awaitPending(callers)
	w.must(w.run("broker", "mfa", w.code()))

	want := w.document(helpers[0].wait())
	for _, h := range helpers[1:] {
		if got := w.document(h.wait()); got != want {
			t.Fatalf("two callers got different credentials: %s and %s", want.AccessKeyID, got.AccessKeyID)
		}
	}
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls, want 1: %+v", len(calls), calls)
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("the daemon asked %d times, want once", s.Prompts)
	}
}

// TestOneCodeForTwoRegions: a session is global, so two profiles in two
// Regions on one key share it.
func TestOneCodeForTwoRegions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.add("tokyo", "ann")
	w.awsConfig("[profile dev]\nregion = eu-west-1\n[profile tokyo]\nregion = ap-northeast-1\n")
	w.prime("dev")
	w.credentials("tokyo")
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls, want 1: %+v", len(calls), calls)
	}
}

// TestPromptOutlivesTheCaller: the helper that started the flight is killed;
// the code given later still serves the next one.
func TestPromptOutlivesTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	helper := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	helper.wait()
	w.awaitPending(0)
	w.must(w.run("broker", "mfa", w.code()))
	before := w.status().Prompts
	w.credentials("dev")
	if s := w.status(); s.Prompts != before {
		t.Errorf("the next helper was asked again: %d prompts, then %d", before, s.Prompts)
	}
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls, want 1", len(calls))
	}
}

// TestF46WrongCodeIsAskedAgainTwiceAtMost: three wrong codes end the flight.
func TestF46WrongCodeIsAskedAgainTwiceAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	helper := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	for attempt := 1; attempt <= 3; attempt++ {
		w.eventually(fmt.Sprintf("attempt %d", attempt), func() error {
			for _, p := range w.status().Pending {
				if p.Attempt == attempt {
					return nil
				}
			}
			return fmt.Errorf("pending: %+v", w.status().Pending)
		})
		r := w.run("broker", "mfa", wrongCode(attempt))
		if r.status != 4 {
			t.Fatalf("mfa with a wrong code: exit status %d, want 4; stderr %q", r.status, r.stderr)
		}
	}
	r := helper.wait()
	if r.status != 4 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("the waiter got status %d, stdout %q, stderr %q; want 4, nothing, one line", r.status, r.stdout, r.stderr)
	}
	if calls := w.log("GetSessionToken"); len(calls) != 3 {
		t.Errorf("%d GetSessionToken calls, want 3", len(calls))
	}
}

// wrongCode returns six digits, others for another seed under ten. Of a million
// codes three are right.
func wrongCode(seed int) string { return strings.Repeat(itoa(seed), 6) }

// TestF46UsedCodeIsNotSentAgain: a code that AWS has seen is not sent again; the
// flight asks for the next one.
func TestF46UsedCodeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.quickCodes()
	w.set("fail.GetSessionToken=InternalFailure:1")
	helper := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	code := w.code()
	if r := w.run("broker", "mfa", code); r.status == 0 {
		t.Fatalf("mfa succeeded although AWS failed")
	}
	if r := w.run("broker", "mfa", code); r.status != 4 {
		t.Fatalf("mfa with a used code: exit status %d, want 4; stderr %q", r.status, r.stderr)
	}
	w.must(w.run("broker", "mfa", w.code()))
	w.document(helper.wait())
	w.codesLoggedOnce()
}

// codesLoggedOnce fails the test if AWS saw one code twice.
func (w *world) codesLoggedOnce() {
	w.t.Helper()
	times := map[string]int{}
	for _, e := range w.log("GetSessionToken") {
		if e.SerialNumber == "" {
			continue // of a user who has no device
		}
		if e.Code == "" {
			w.t.Fatalf("the log does not tell codes apart: %+v", e)
		}
		times[e.Code]++
		if times[e.Code] > 1 {
			w.t.Errorf("one code was sent %d times", times[e.Code])
		}
	}
}

// TestCodesAreSentOnce: whatever happens to the call that carries a code, the
// code does not leave the machine again.
func TestCodesAreSentOnce(t *testing.T) {
	t.Parallel()
	for name, knob := range map[string]string{
		"500":           "fail.GetSessionToken=InternalFailure:1",
		"503":           "fail.GetSessionToken=ServiceUnavailable:1",
		"throttled":     "fail.GetSessionToken=Throttling:1",
		"lost request":  "drop.GetSessionToken=before:1",
		"lost reply":    "drop.GetSessionToken=after:1",
		"garbage reply": "body.GetSessionToken=garbage",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			w.quickCodes()
			w.set(knob)
			helper := w.start("broker", "credential-process", "dev")
			w.awaitPending(1)
			if r := w.run("broker", "mfa", w.code()); r.status == 0 {
				t.Fatalf("mfa succeeded although AWS failed")
			}
			if calls := w.log("GetSessionToken"); len(calls) != 1 {
				t.Errorf("%d GetSessionToken calls for one code", len(calls))
			}
			w.set("body.GetSessionToken=none")
			w.eventually("the helper has ended, or another code is asked for", func() error {
				if p := w.status().Pending; helper.running() && (len(p) == 0 || p[0].Attempt < 2) {
					return fmt.Errorf("pending: %+v", p)
				}
				return nil
			})
			if helper.running() {
				w.must(w.run("broker", "mfa", w.code()))
				w.document(helper.wait())
			} else {
				w.prime("dev")
			}
			w.codesLoggedOnce()
		})
	}
}

// TestCancelAnswersEveryWaiter: one cancellation ends the flight for all, and
// background callers fail fast for a while.
func TestCancelAnswersEveryWaiter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	var helpers []*background
	for range 10 {
		helpers = append(helpers, w.start("broker", "credential-process", "dev"))
	}
	w.awaitPending(len(helpers))
	w.must(w.run("broker", "mfa", "--cancel"))
	for _, h := range helpers {
		r := h.wait()
		if r.status != 4 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("a waiter got status %d, stdout %q, stderr %q; want 4, nothing, one line", r.status, r.stdout, r.stderr)
		}
	}
	prompts := w.status().Prompts
	if r := w.run("broker", "credential-process", "dev"); r.status != 4 {
		t.Errorf("a background caller after the cancellation: status %d, want 4", r.status)
	}
	if got := w.status().Prompts; got != prompts {
		t.Errorf("a background caller after the cancellation made a prompt")
	}
	if calls := w.log("GetSessionToken"); len(calls) != 0 {
		t.Errorf("%d GetSessionToken calls, want none", len(calls))
	}
}

// TestInterruptOfOneCallerHarmsNone: Ctrl-C in one terminal is no cancellation.
func TestInterruptOfOneCallerHarmsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	var helpers []*background
	for range 5 {
		helpers = append(helpers, w.start("broker", "credential-process", "dev"))
	}
	w.awaitPending(len(helpers))
	if err := helpers[0].Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if r := helpers[0].wait(); r.stdout != "" {
		t.Errorf("the interrupted caller printed %q", r.stdout)
	}
	w.awaitPending(len(helpers) - 1)
	w.must(w.run("broker", "mfa", w.code()))
	for _, h := range helpers[1:] {
		w.document(h.wait())
	}
}
