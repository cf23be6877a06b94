// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"slices"
	"testing"

	"credbroker/internal/ipc"
)

// TestSessionsNameTheirMaker: a session of before the switch goes to the new key,
// and says which it was made with, which is what CloudTrail has.
func TestSessionsNameTheirMaker(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil {
			t.Fatal(err)
		}
		check := func(where string, sessions []ipc.Session, owner, maker string) {
			t.Helper()
			if len(sessions) == 0 || slices.ContainsFunc(sessions, func(s ipc.Session) bool { return s.SourceKeyID != owner || s.MadeWith != maker }) {
				t.Errorf("%s: %+v", where, sessions)
			}
		}
		check("status", r.status().Sessions, rot.New, annKey)
		check("for a revocation", r.sessionsMade(nil, rot.New, r.clock.Now()), rot.New, annKey)
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Undo: true}); err != nil {
			t.Fatal(err)
		}
		check("after --undo", r.status().Sessions, annKey, "")
	})
}
