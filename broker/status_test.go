// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// TestIdle: a daemon has something to lose while a session lives, while
// somebody waits for one, while a rotation is on its way, and while a vault is open.
func TestIdle(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		check := func(when string, want bool) {
			t.Helper()
			if got := r.Idle(); got != want {
				t.Errorf("%s: idle %t, want %t", when, got, want)
			}
		}
		check("at first", true)
		h := r.helper("dev")
		synctest.Wait()
		check("while a helper waits", false)
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Code: r.aws.code(annMFA, 0)})
		h.document(t)
		check("with a session", false)
		time.Sleep(13 * time.Hour)
		check("when it has run out", true)
		r.vault.holder = &holder{}
		check("with an open vault", false)
		r.vault.holder = nil
		on := &rotator{next: rotation.Next{Why: rotation.Propagation}}
		r.rotations.all = map[string]*rotator{"": on}
		check("while a rotation waits for AWS", false)
		on.next.Why = rotation.Kept
		check("while the old key is kept", true)
		on.askers = []*caller{{}}
		check("while somebody watches that", false)
		r.rotations.all = nil
		r.Broker.opts.Replaced = func() bool { return true }
		if p := r.status().Problems; len(p) != 1 || p[0].Code != ipc.CodeOutdated {
			t.Errorf("an upgraded daemon tells of %+v", p)
		}
	})
}
