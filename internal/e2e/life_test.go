// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"testing"
	"time"
)

// TestLifeLeft: a session with less than 20 minutes left is renewed where that
// costs no prompt, served as long as it is valid where it would cost one or
// where AWS is away, and never served expired.
func TestLifeLeft(t *testing.T) {
	t.Parallel()
	t.Run("renewed where no prompt is needed", func(t *testing.T) {
		w := newWorld(t)
		w.initialise()
		w.set("session_life=15m") // always under 20 minutes
		w.add("dev", "ann", "--no-mfa")
		first, second := w.credentials("dev"), w.credentials("dev")
		if first.AccessKeyID == second.AccessKeyID {
			t.Error("a session with 15 minutes left was served again although renewing costs nothing")
		}
	})
	t.Run("served where AWS is away", func(t *testing.T) {
		w := newWorld(t)
		w.initialise()
		w.set("session_life=15m")
		w.add("dev", "ann", "--no-mfa")
		first := w.credentials("dev")
		w.set("fail.GetSessionToken=ServiceUnavailable")
		if got := w.credentials("dev"); got != first {
			t.Error("another session was served")
		}
	})
	t.Run("served where renewing costs a prompt", func(t *testing.T) {
		w := newWorld(t)
		w.ready()
		w.set("session_life=15m")
		w.prime("dev")
		w.credentials("dev")
		if s := w.status(); s.Prompts != 1 {
			t.Errorf("%d prompts, want 1", s.Prompts)
		}
	})
	t.Run("never expired", func(t *testing.T) {
		w := newWorld(t)
		w.initialise()
		w.set("session_life=5s")
		w.add("dev", "ann", "--no-mfa")
		first := w.credentials("dev")
		w.set("fail.GetSessionToken=ServiceUnavailable")
		var last result
		deadline := time.Now().Add(patience)
		for time.Now().Before(deadline) {
			begin := time.Now()
			last = w.run("broker", "credential-process", "dev")
			if last.status != 0 {
				break
			}
			if begin.After(first.Expiration) {
				t.Fatalf("credentials that expired at %v were served after %v", first.Expiration, begin)
			}
		}
		if last.status != 8 || last.stdout != "" {
			t.Errorf("after expiry with AWS away: status %d, stdout %q; want 8 and nothing", last.status, last.stdout)
		}
	})
}
