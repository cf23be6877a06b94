// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"testing"
	"time"

	"credbroker/broker"
	"credbroker/broker/nag"
	"credbroker/internal/desktop"
)

// TestNoticesOfTheDesktop: each has the buttons that do what its text says.
func TestNoticesOfTheDesktop(t *testing.T) {
	t.Parallel()
	rotate := desktop.Action{ID: "rotate", Label: "Rotate now"}
	snooze := desktop.Action{ID: "snooze", Label: "Snooze for a week"}
	for name, tc := range map[string]struct {
		level         nag.Level
		next          string
		body, instead string
		urgency       desktop.Urgency
		actions       []desktop.Action
	}{
		"soon":   {nag.Info, "broker rotate dev", "Key A is old.", "broker rotate dev\nbroker snooze dev", desktop.UrgencyLow, []desktop.Action{rotate, snooze}},
		"due":    {nag.Warn, "broker rotate dev", "Key A is old.", "broker rotate dev\nbroker snooze dev", desktop.UrgencyNormal, []desktop.Action{rotate, snooze}},
		"late":   {nag.Urgent, "broker rotate dev", "Key A is old.", "broker rotate dev\nbroker snooze dev", desktop.UrgencyCritical, []desktop.Action{rotate, snooze}},
		"unused": {nag.Unused, "broker remove dev", "Key A is old.\nbroker remove dev", "broker snooze dev", desktop.UrgencyNormal, []desktop.Action{snooze}},
		"stuck":  {nag.Warn, "broker rotate dev --resume", "Key A is old.\nbroker rotate dev --resume", "broker snooze dev", desktop.UrgencyNormal, []desktop.Action{snooze}},
		"over":   {nag.None, "", "Key A is old.", "", desktop.UrgencyNormal, nil},
		"failed": {nag.None, "broker unlock", "Key A is old.\nbroker unlock", "", desktop.UrgencyNormal, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := asShown(broker.Notice{AccessKeyID: "A", Profile: "dev", Level: tc.level, Title: "T", Text: "key A is old", Next: tc.next})
			want := desktop.Notice{ID: "A", Title: "T", Body: tc.body, Instead: tc.instead, Urgency: tc.urgency, Actions: tc.actions}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	if got := sentence(""); got != "" {
		t.Errorf("no text: %q", got)
	}
}

// TestActivation: the token of a button brings the next window to the front, and
// no later one.
func TestActivation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	a := &activation{now: func() time.Time { return now }}
	if got := a.environ(); got != nil {
		t.Errorf("nobody pressed anything: %q", got)
	}
	a.keep("a\x00b")
	if got := a.environ(); got != nil {
		t.Errorf("no program could be started: %q", got)
	}
	a.keep("t1")
	if got, want := a.environ(), []string{"XDG_ACTIVATION_TOKEN=t1", "DESKTOP_STARTUP_ID=t1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	now = now.Add(activationLife)
	if got := a.environ(); got != nil {
		t.Errorf("long ago: %q", got)
	}
}
