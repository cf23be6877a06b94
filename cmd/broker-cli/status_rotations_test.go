// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// printed is what a function writes to standard output.
func printed(f func(a *app)) string {
	var out bytes.Buffer
	f(&app{App: &client.App{Stdout: &out, Now: time.Now}})
	return out.String()
}

// wantWords fails the test unless a text has each of the words.
func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in: %s", w, text)
		}
	}
}

// TestStatusShowsRotations: each rotation has a line that says how far it is, and
// one that says what to do about it.
func TestStatusShowsRotations(t *testing.T) {
	t.Parallel()
	at := time.Now()
	r := ipc.Rotation{Profiles: []string{"dev", "ops"}, Old: "AKIAOLD", New: "AKIANEW", State: "switched"}
	for _, tt := range []struct {
		change func(r *ipc.Rotation)
		want   []string
	}{
		{
			func(r *ipc.Rotation) { r.Hold, r.Waiting = true, "held" },
			[]string{"rotation of dev, ops: key AKIANEW serves; AKIAOLD stays active until --resume", "broker rotate dev --resume", "broker rotate dev --undo"},
		},
		{
			func(r *ipc.Rotation) { r.State, r.Waiting, r.Until = "disabled", "kept", &at },
			[]string{"AKIAOLD, which is Inactive, and will be deleted at " + at.Format(minute), "broker rotate dev --undo"},
		},
		{func(r *ipc.Rotation) {
			r.Waiting, r.Problem = "stuck", &ipc.Error{Code: ipc.CodeOnRotate, Message: "tell-github ended with 1"}
		}, []string{"key AKIANEW serves", "tell-github ended with 1", "--resume", "broker rotate dev --undo"}},
		{
			func(r *ipc.Rotation) { r.Old, r.State = "", "stored" },
			[]string{"a key for dev, ops: key AKIANEW is stored", "broker add dev --create"},
		},
	} {
		one := r
		tt.change(&one)
		s := ipc.Status{Rotations: []ipc.Rotation{one}}
		wantWords(t, printed(func(a *app) { a.printStatus(s, at) }), tt.want...)
	}
}

// TestRotationTexts: nothing is said to be done that was not.
func TestRotationTexts(t *testing.T) {
	t.Parallel()
	r := ipc.Rotation{Old: "AKIAOLD", New: "AKIANEW", State: "switched", Hold: true}
	if text := rotationText(r); strings.Contains(text, "Inactive") {
		t.Errorf("held: %s", text)
	}
	for _, waiting := range []string{"kept", "held"} {
		r.Waiting, r.Earlier = waiting, true
		text := printed(func(a *app) { a.printRotation(r, "dev") })
		wantWords(t, text, "not rotated again", "broker rotate dev --undo")
		r.Earlier = false
		if text = printed(func(a *app) { a.printRotation(r, "dev") }); strings.Contains(text, "again") {
			t.Error(text)
		}
	}
}

// TestSessionTextsNameTheirMaker: CloudTrail has a session under the key that it
// was made with, not under the one that a rotation put in its place.
func TestSessionTextsNameTheirMaker(t *testing.T) {
	t.Parallel()
	s := ipc.Session{AccessKeyID: "ASIAX", SourceKeyID: "AKIANEW", MadeWith: "AKIAOLD", Expiration: time.Now().Add(time.Hour)}
	wantWords(t, printed(func(a *app) { a.printStatus(ipc.Status{Sessions: []ipc.Session{s}}, time.Now()) }), "session of AKIAOLD")
	wantWords(t, aliveText(s, ipc.RevokedKey{}, time.Now()), "ASIAX, made with AKIAOLD, works on")
	s.MadeWith = ""
	wantWords(t, printed(func(a *app) { a.printStatus(ipc.Status{Sessions: []ipc.Session{s}}, time.Now()) }), "session of AKIANEW")
}

// TestExplainARevokedKey: nobody is asked for a code, everybody is refused.
func TestExplainARevokedKey(t *testing.T) {
	t.Parallel()
	now := time.Now()
	x := explained{Explanation: ipc.Explanation{
		Profile: "dev", Code: ipc.PlannedCode{When: ipc.CodeNow},
		Key: ipc.Key{Profile: "dev", Revoked: &ipc.RevokedKey{RevokedAt: &now}},
	}}
	text := printed(func(a *app) { a.printExplanation(x, now) })
	wantWords(t, text, "the next caller is refused", "broker revoke dev --undo")
	if strings.Contains(text, "needs one") || strings.Contains(text, "broker exec") {
		t.Error(text)
	}
}
