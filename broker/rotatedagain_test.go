// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"testing"

	"credbroker/internal/ipc"
)

// TestRotateARevokedKey: who asks is told that the key is revoked, however far an
// earlier rotation of it has come.
func TestRotateARevokedKey(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		for _, p := range []ipc.RotateParams{{}, {Hold: true}, {DryRun: true}, {Resume: true}, {Undo: true}} {
			p.Profile = "dev"
			_, err := r.rotate(p)
			wantCode(t, "rotate a revoked key", err, ipc.CodeKeyInactive)
		}
	})
}

// TestRotateAgain: one that asks for a rotation within keep_disabled of the last
// learns that no other key was made, and a plan does not take broker's own old
// key for a stranger's.
func TestRotateAgain(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		for _, hold := range []bool{true, false} {
			first, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: hold, Resume: !hold})
			if err != nil || first.Earlier {
				t.Fatalf("%+v, %v", first, err)
			}
			again, err := r.rotate(ipc.RotateParams{Profile: "dev"})
			if err != nil || !again.Earlier || again.New != first.New || r.aws.calls("CreateKey") != 1 {
				t.Errorf("again: %+v, %v", again, err)
			}
			err = refused(r, ipc.OpRotate, ipc.RotateParams{Profile: "dev", DryRun: true})
			wantCode(t, "plan", err, ipc.CodeRefused)
			if e := coded(err); !strings.Contains(e.Hint, "broker rotate dev --undo") || strings.Contains(e.Hint, "delete") {
				t.Errorf("hint: %s", e.Hint)
			}
		}
		if back, err := r.rotate(ipc.RotateParams{Profile: "dev", Undo: true}); err != nil || back.Earlier {
			t.Errorf("%+v, %v", back, err)
		}
	})
}

// TestExplainKnowsOfARevocation: there is no next caller who needs a code.
func TestExplainKnowsOfARevocation(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		x := do[ipc.Explanation](r, ipc.OpExplain, ipc.ExplainParams{Profile: "dev"})
		if x.Key.Revoked == nil || x.Key.Revoked.RevokedAt == nil || x.Code.When != ipc.CodeNever {
			t.Errorf("%+v, %+v", x.Key, x.Code)
		}
	})
}
