// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
)

// lasting starts a caller that says how long its credentials are to live, and
// how much of that must be left.
func (r *rig) lasting(profile string, life, left time.Duration, ask ipc.Ask) *client {
	return r.start(ipc.OpCredentials, ipc.CredentialsParams{
		Profile: profile, DurationSeconds: int(life / time.Second), RemainingSeconds: int(left / time.Second),
	}, ask)
}

// wantLife holds a document to the life it has left, to the minute.
func wantLife(t *testing.T, r *rig, what string, c credproc.Credentials, want time.Duration) {
	t.Helper()
	if got := c.Expiration.Sub(r.clock.Now()).Round(time.Minute); got != want {
		t.Errorf("%s: %v left, want %v", what, got, want)
	}
}

// TestP21AsksAreHeldToTheLimitsOfAWS: what AWS would refuse is refused before
// any call and before any code.
func TestP21AsksAreHeldToTheLimitsOfAWS(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		for _, tc := range []struct {
			profile    string
			life, left time.Duration
			want       string
		}{
			{"dev", 899 * time.Second, 0, "a session of a key lasts from 15m to 36h"},
			{"dev", 36*time.Hour + time.Second, 0, "a session of a key lasts from 15m to 36h"},
			{"dev", -time.Hour, 0, "a session of a key"},
			{"dev", 0, time.Hour, "a session of a key"},
			{"dev", time.Hour, time.Hour + time.Second, "remainingSeconds"},
			{"dev", time.Hour, -time.Second, "remainingSeconds"},
			{"one", 12*time.Hour + time.Second, 0, "a role lasts from 15m to 12h"},
			{"two", time.Hour + time.Second, 0, "a role that is reached from a role lasts from 15m to 1h"},
		} {
			c := r.lasting(tc.profile, tc.life, tc.left, ipc.AskNowhere)
			if c.code() != ipc.CodeUsage || !strings.Contains(c.err.Error(), tc.want) {
				t.Errorf("%s for %v: %v, want %s", tc.profile, tc.life, c.err, tc.want)
			}
		}
		if len(r.aws.seenCalls()) != 0 || r.status().Prompts != 0 {
			t.Errorf("AWS was asked: %q", r.aws.seenCalls())
		}
	})
}

// TestDurationOfALastRole: the length is that of the last role alone, and the
// lengths do not mix in the cache.
func TestDurationOfALastRole(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig("duration_seconds = 7200\n"))
		for range 2 {
			wantLife(t, r, "one", r.helper("one").document(t), 2*time.Hour)
			wantLife(t, r, "one, 15m", r.lasting("one", 15*time.Minute, 0, "").document(t), 15*time.Minute)
			wantLife(t, r, "one, 12h", r.lasting("one", 12*time.Hour, 0, "").document(t), 12*time.Hour)
			wantLife(t, r, "two, 30m", r.lasting("two", 30*time.Minute, 0, "").document(t), 30*time.Minute)
		}
		if got := r.aws.calls("AssumeRole"); got != 4 {
			t.Errorf("%d AssumeRole calls, want 4: %q", got, r.aws.seenCalls())
		}
		if got := r.aws.params[0].DurationSeconds; got != 43200 || len(r.aws.params) != 1 {
			t.Errorf("GetSessionToken for %d s, %d times; want 43200 once", got, len(r.aws.params))
		}
	})
}

// TestDurationOfASession: a longer session serves a shorter ask, and a longer
// ask takes a new one, which serves everybody from then on.
func TestDurationOfASession(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		wantLife(t, r, "30m", r.lasting("dev", 30*time.Minute, 0, "").document(t), 30*time.Minute)
		long := r.helper("dev") // the profile says nothing; what is there is fresh
		wantLife(t, r, "what is there", long.document(t), 30*time.Minute)
		day := r.lasting("dev", 24*time.Hour, 0, "").document(t)
		wantLife(t, r, "24h", day, 24*time.Hour)
		for _, c := range []*client{r.helper("dev"), r.lasting("dev", 15*time.Minute, 0, ""), r.lasting("dev", 24*time.Hour, 24*time.Hour-time.Second, "")} {
			if got := c.document(t); got.AccessKeyID != day.AccessKeyID {
				t.Errorf("session %s, want %s", got.AccessKeyID, day.AccessKeyID)
			}
		}
		time.Sleep(3 * time.Hour)
		if got := r.lasting("dev", 24*time.Hour, 0, "").document(t); got.AccessKeyID != day.AccessKeyID {
			t.Error("a session that was made long enough does not serve a caller that comes again")
		}
		wantLife(t, r, "22h to be left", r.lasting("dev", 24*time.Hour, 22*time.Hour, "").document(t), 24*time.Hour)
		if got := len(r.aws.params); got != 3 {
			t.Errorf("%d sessions, want 3", got)
		}
	})
}

// TestLongerAskCostsACodeOnlyInATerminal: a helper gets what is valid; a user
// who says how long is asked, and told when there is no code.
func TestLongerAskCostsACodeOnlyInATerminal(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		first := r.prime("dev")
		for _, ask := range []ipc.Ask{ipc.AskNowhere, ipc.AskTTY} {
			if got := r.lasting("dev", 24*time.Hour, 22*time.Hour, ask).document(t); got.AccessKeyID != first.AccessKeyID {
				t.Errorf("ask %q: a new session", ask)
			}
		}
		if got := r.lasting("dev", 24*time.Hour, 0, ipc.AskTerminal).document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("a caller that can come again is asked for a code")
		}
		cancel := r.lasting("dev", 24*time.Hour, 22*time.Hour, ipc.AskTerminal)
		<-cancel.prompts
		cancel.answers <- ""
		if got := cancel.code(); got != ipc.CodeMFACancelled {
			t.Errorf("a cancelled ask ends with %q", got)
		}
		time.Sleep(time.Minute)
		user := r.lasting("dev", 24*time.Hour, 22*time.Hour, ipc.AskTerminal)
		p := <-user.prompts
		time.Sleep(time.Minute) // nobody hurries a user who was asked
		user.answers <- r.aws.code(p.SerialNumber, 0)
		wantLife(t, r, "24h", user.document(t), 24*time.Hour)
		wantLife(t, r, "everybody else", r.helper("dev").document(t), 24*time.Hour)
		r.aws.codesSentOnce(t)
	})
}

// TestFlightLastsAsLongAsAnybodyAsks: one code, one session, and it is the
// longest of those that are waited for.
func TestFlightLastsAsLongAsAnybodyAsks(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		callers := []*client{
			r.lasting("dev", time.Hour, 0, ""), r.lasting("dev", 20*time.Hour, 0, ""), r.helper("dev"),
		}
		synctest.Wait()
		<-r.mfa(r.aws.code(annMFA, 0)).done
		for _, c := range callers {
			wantLife(t, r, "a waiter", c.document(t), 20*time.Hour)
		}
		if got := r.aws.calls("GetSessionToken"); got != 1 {
			t.Errorf("%d sessions, want 1", got)
		}
	})
}

// TestLongerOfTwoSessionsStays: two lengths at once, without a code.
func TestLongerOfTwoSessionsStays(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.takes(time.Second)
		long := r.lasting("dev", 20*time.Hour, 0, "")
		time.Sleep(100 * time.Millisecond) // the short one ends last
		short := r.lasting("dev", time.Hour, 0, "")
		<-long.done
		<-short.done
		wantLife(t, r, "long", long.document(t), 20*time.Hour)
		wantLife(t, r, "afterwards", r.helper("dev").document(t), 20*time.Hour)
	})
}

// TestRenewalOfAnAskThatFails: what was made long enough, and is valid, is
// served rather than nothing.
func TestRenewalOfAnAskThatFails(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		first := r.lasting("dev", 2*time.Hour, 0, "").document(t)
		time.Sleep(time.Hour)
		r.aws.failAlways("Reach", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "no route"})
		if got := r.lasting("dev", 2*time.Hour, 110*time.Minute, ipc.AskTerminal).document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("a new session without AWS")
		}
		if got := r.lasting("dev", 3*time.Hour, 0, "").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("a helper is refused while something is valid")
		}
		if got := r.lasting("dev", 3*time.Hour, 2*time.Hour, ipc.AskTerminal).code(); got != ipc.CodeAWSUnreachable {
			t.Errorf("a user who asked for 3h and would get 1h is told %q", got)
		}
	})
}

// TestRoleRefusesALength: the hint names the flag, not a config file.
func TestRoleRefusesALength(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		r.aws.maxRole = 3600
		c := r.lasting("one", 2*time.Hour, 0, "")
		if c.code() != ipc.CodeAWSDuration || !strings.Contains(coded(c.err).Hint, "-d") {
			t.Errorf("%v, hint %q", c.err, coded(c.err).Hint)
		}
	})
}

// TestLongerAskThatCameTooLate: who joins while a code is on its way for a
// shorter session is asked for one more.
func TestLongerAskThatCameTooLate(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.foreground("dev")
		<-c.prompts
		r.aws.takes(5 * time.Second)
		c.answers <- r.aws.code(annMFA, 0)
		synctest.Wait()
		long := r.lasting("dev", 24*time.Hour, 22*time.Hour, ipc.AskTerminal)
		wantLife(t, r, "the first", c.document(t), 12*time.Hour)
		select {
		case <-long.prompts:
			long.answers <- r.aws.code(annMFA, 1)
		case <-long.done:
		}
		wantLife(t, r, "who wants a day", long.document(t), 24*time.Hour)
	})
}
