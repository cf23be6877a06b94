// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// minute is how a moment looks to people, in their own zone.
const minute = "2006-01-02 15:04"

// printRotations says of each rotation how far it is, why it waits, and what
// sends it on or takes it back.
func (a *app) printRotations(rotations []ipc.Rotation) {
	for _, r := range rotations {
		text, next := standingText(r)
		a.printf("\n%s\n%s\n", client.Printable(text), client.Printable(next))
	}
}

// standingText is a sentence on a rotation, or the making of a key, and a line
// on what can be done about it.
func standingText(r ipc.Rotation) (text, next string) {
	profile := strings.Join(r.Profiles, ", ")
	what, resume, undo := "rotation of "+profile+": ", "broker rotate PROFILE --resume", "broker rotate PROFILE --undo"
	if r.Old == "" {
		what, resume, undo = "a key for "+profile+": ", "broker add PROFILE --create", ""
	}
	if len(r.Profiles) > 0 {
		resume, undo = strings.ReplaceAll(resume, "PROFILE", r.Profiles[0]), strings.ReplaceAll(undo, "PROFILE", r.Profiles[0])
	}
	next = "next: to go on with it: " + resume
	switch {
	case r.Problem != nil && r.Waiting != "retrying":
		text = rotationSays(r) + "; " + r.Problem.Message
		if _, hint := client.FailureText(*r.Problem); hint != "" {
			next = "next: " + hint
		}
	case r.Waiting == "kept":
		text = r.New + " has taken the place of " + r.Old + ", which is Inactive, and will be deleted" + untilText(r.Until)
		return what + text, "to take it back until then: " + undo
	default:
		text = rotationText(r)
	}
	if undo != "" && !r.Back && !strings.Contains(next, undo) {
		next += "; to take it back: " + undo
	}
	return what + text, next
}

// rotationSays is how far a rotation has come that stands still.
func rotationSays(r ipc.Rotation) string {
	r.Problem = nil
	return rotationText(r)
}

// untilText is when something will happen, if that is known.
func untilText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " at " + t.Local().Format(minute)
}
