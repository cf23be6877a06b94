// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// TestServesSaysWhatIsReady: exec asks for credentials only where serves does
// not say that they are there, so it must say so only if the next caller is
// served without a code and without a call.
func TestServesSaysWhatIsReady(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		readiness := func(profile string) bool {
			return do[ipc.Serves](r, ipc.OpServes, ipc.CredentialsParams{Profile: profile}).Ready
		}
		check := func(profile string, want bool) {
			t.Helper()
			calls := len(r.aws.seenCalls())
			if got := readiness(profile); got != want {
				t.Errorf("%s: ready %v, want %v", profile, got, want)
			}
			if len(r.aws.seenCalls()) != calls || r.status().Prompts > 1 {
				t.Errorf("%s: asking made a call or a prompt: %q", profile, r.aws.seenCalls())
			}
		}
		check("dev", false)
		check("nobody", false)
		r.prime("dev")
		check("dev", true)
		check("one", false)
		r.helper("one").document(t)
		check("one", true)
		r.clock.move(50*time.Minute, 50*time.Minute) // the role is to be renewed, which costs no code
		check("one", false)
		check("dev", true)
		r.clock.move(12*time.Hour, 12*time.Hour)
		check("dev", false)
		if do[ipc.Serves](r, ipc.OpServes, struct{}{}).Ready {
			t.Error("nothing was asked about")
		}
	})
}
