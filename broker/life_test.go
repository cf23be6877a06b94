// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// free is a rig whose key needs no code.
func free(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
	return r
}

func chainConfig(extra string) string {
	return "[profile dev]\nregion = eu-west-1\n" +
		"[profile one]\nrole_arn = arn:aws:iam::222233334444:role/one\nsource_profile = dev\n" + extra +
		"[profile two]\nrole_arn = arn:aws:iam::333344445555:role/two\nsource_profile = one\n" +
		"[profile three]\nrole_arn = arn:aws:iam::444455556666:role/three\nsource_profile = two\n"
}

func TestThreeHopsOneCode(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		got := r.prime("three")
		if got.AccountID != "444455556666" {
			t.Errorf("account %s", got.AccountID)
		}
		if s, a := r.aws.calls("GetSessionToken"), r.aws.calls("AssumeRole"); s != 1 || a != 3 {
			t.Errorf("%d sessions, %d roles; want 1, 3", s, a)
		}
		for _, p := range []string{"dev", "one", "two", "three"} {
			r.helper(p).document(t)
		}
		if a := r.aws.calls("AssumeRole"); a != 3 {
			t.Errorf("%d AssumeRole calls after everything is cached", a)
		}
		for _, in := range r.aws.inputs {
			if in.RoleSessionName != "ann" || in.DurationSeconds != 3600 {
				t.Errorf("input: %+v", in)
			}
		}
		if n := len(r.status().Sessions); n != 4 {
			t.Errorf("%d sessions in status, want 4", n)
		}
	})
}

// TestManyCallersOneRole: the callers of a flight share the role call, too.
func TestManyCallersOneRole(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		r.aws.takes(time.Second)
		var callers []*client
		for range 100 {
			callers = append(callers, r.helper("one"))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		<-r.mfa(r.aws.code(annMFA, 0)).done
		for _, c := range callers {
			c.document(t)
		}
		if n := r.aws.calls("AssumeRole"); n != 1 {
			t.Errorf("%d AssumeRole calls, want 1", n)
		}
	})
}

// TestEveryInputIsPartOfTheKey: whatever AWS would see differently is a miss.
func TestEveryInputIsPartOfTheKey(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		base := "[profile dev]\n[profile one]\nsource_profile = dev\n"
		arn := "role_arn = arn:aws:iam::222233334444:role/one\n"
		seen := map[string]string{}
		for _, c := range []string{
			arn, "role_arn = arn:aws:iam::222233334444:role/other\n", arn + "external_id = x1\n", arn + "external_id = x2\n",
			arn + "role_session_name = me\n", arn + "duration_seconds = 1800\n", arn + "session_tags = a=b\n",
			arn + "session_tags = a=b,c=d\n", arn + "session_tags = a=b\ntransitive_session_tags = a\n", arn + "source_identity = ann\n",
		} {
			r.write("aws/config", base+c)
			got := r.helper("one").document(t)
			if was, ok := seen[got.AccessKeyID]; ok {
				t.Errorf("%q served what belongs to %q", c, was)
			}
			seen[got.AccessKeyID] = c
			if again := r.helper("one").document(t); again.AccessKeyID != got.AccessKeyID {
				t.Errorf("%q is no hit", c)
			}
		}
		r.write("aws/config", base+arn+"region = ap-northeast-1\n")
		if got := r.helper("one").document(t); seen[got.AccessKeyID] != arn {
			t.Error("a Region is no input of a role session")
		}
		r.add("dev", bobKey, ipc.KeyDetails{AccountID: account, NoMFA: true})
		if got := r.helper("one").document(t); seen[got.AccessKeyID] != "" {
			t.Error("another key served the sessions of the one before")
		}
	})
}

// TestLifeLeft: renewed early where that is free, served to the end where it
// is not, never served after the end.
func TestLifeLeft(t *testing.T) {
	const hour = time.Hour
	for _, tc := range []struct {
		name   string
		setup  func(*testing.T) *rig
		config string
		life   time.Duration // of every session
		age    time.Duration // when the second caller comes
		fail   string        // action that fails by then
		same   bool          // the second caller gets the first one's session
		want   ipc.Code      // or this error
	}{
		{"free, 12 h, 66 min left", free, "", 12 * hour, 12*hour - 66*time.Minute, "", true, ""},
		{"free, 12 h, 64 min left", free, "", 12 * hour, 12*hour - 64*time.Minute, "", false, ""},
		{"free, 1 h, 21 min left", free, "", hour, 39 * time.Minute, "", true, ""},
		{"free, 1 h, 19 min left", free, "", hour, 41 * time.Minute, "", false, ""},
		{"free, 90 min, 64 min left", free, "", 90 * time.Minute, 26 * time.Minute, "", false, ""},
		{"free, 89 min, 26 min left", free, "", 89 * time.Minute, 63 * time.Minute, "", true, ""},
		{"free, 15 min of 12 h", free, "", 15 * time.Minute, time.Minute, "", false, ""},
		{"free, renewal fails", free, "", hour, 50 * time.Minute, "GetSessionToken", true, ""},
		{"free, AWS away", free, "", hour, 59 * time.Minute, "Reach", true, ""},
		{"free, expired, AWS away", free, "", hour, hour, "Reach", false, ipc.CodeAWSUnreachable},
		{"free, last second", free, "", hour, hour - time.Second/2, "GetSessionToken", false, ipc.CodeAWSUnreachable},
		{"mfa, 1 min left", ready, "", 12 * hour, 12*hour - time.Minute, "", true, ""},
		{"mfa, expired", ready, "", 12 * hour, 12 * hour, "", false, ipc.CodeMFARequired},
		{"role, 1 h, 19 min left", ready, "role", 0, 41 * time.Minute, "", false, ""},
		{"role, renewal fails", ready, "role", 0, 41 * time.Minute, "AssumeRole", true, ""},
		{"role, expired, renewal fails", ready, "role", 0, hour, "AssumeRole", false, ipc.CodeAWSUnreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, tc.setup, func(t *testing.T, r *rig) {
				profile := "dev"
				if tc.config == "role" {
					profile = "one"
					r.write("aws/config", chainConfig(""))
				}
				r.aws.life = tc.life
				var first credproc.Credentials
				if keys := r.status().Keys; keys[0].NoMFA {
					first = r.helper(profile).document(t)
				} else {
					first = r.prime(profile)
				}
				time.Sleep(tc.age)
				if tc.fail != "" {
					r.aws.failAlways(tc.fail, &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "away"})
				}
				c := r.helper(profile)
				if tc.want != "" {
					wantCode(t, "second", waitErr(c), tc.want)
					return
				}
				if got := c.document(t); (got.AccessKeyID == first.AccessKeyID) != tc.same {
					t.Errorf("same session: %t, want %t", !tc.same, tc.same)
				}
			})
		})
	}
}

// TestShortOnPurpose: a role that is asked for 15 minutes never has 20 left.
// It is renewed in time, not at each call.
func TestShortOnPurpose(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig("duration_seconds = 900\n"))
		first := r.helper("one").document(t)
		time.Sleep(4 * time.Minute)
		if got := r.helper("one").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("renewed with 11 of 15 minutes left")
		}
		time.Sleep(2 * time.Minute)
		if got := r.helper("one").document(t); got.AccessKeyID == first.AccessKeyID {
			t.Error("not renewed with 9 of 15 minutes left")
		}
	})
}

// TestRenewalThatHangs: who has something valid does not wait for AWS longer
// than an SDK waits for its helper, and what AWS answers late is not lost.
func TestRenewalThatHangs(t *testing.T) {
	for name, setup := range map[string]func(*testing.T) *rig{"free": free, "mfa": ready} {
		t.Run(name, func(t *testing.T) {
			bubble(t, setup, func(t *testing.T, r *rig) {
				r.write("aws/config", chainConfig(""))
				if name == "mfa" {
					r.prime("dev")
				}
				first := r.helper("one").document(t)
				time.Sleep(50 * time.Minute)
				r.aws.takes(18 * time.Second)
				begin := time.Now()
				if got := r.helper("one").document(t); got.AccessKeyID != first.AccessKeyID {
					t.Error("another session")
				}
				if waited := time.Since(begin); waited > renewPatience {
					t.Errorf("waited %v", waited)
				}
				time.Sleep(time.Minute)
				r.aws.failAlways("AssumeRole", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "away"})
				if got := r.helper("one").document(t); got.AccessKeyID == first.AccessKeyID {
					t.Error("the late answer is lost")
				}
			})
		})
	}
}

// TestRoleOutlivesItsSource: the session of the key has run out, and a new one
// would cost a prompt: the role session serves to its end.
func TestRoleOutlivesItsSource(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig("duration_seconds = 7200\n"))
		r.aws.life = 30 * time.Minute
		r.prime("dev")
		r.aws.life = 0
		first := r.helper("one").document(t)
		time.Sleep(31 * time.Minute)
		if got := r.helper("one").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("another session")
		}
		r.sweep()
		time.Sleep(88 * time.Minute)
		if got := r.helper("one").document(t); got.AccessKeyID != first.AccessKeyID || r.status().Prompts != 1 {
			t.Error("another session, or a prompt")
		}
		time.Sleep(time.Minute)
		wantCode(t, "at its end", waitErr(r.helper("one")), ipc.CodeMFARequired)
	})
}

// TestF48RefusedSessionIsMadeAgainOnce: what AWS refuses as expired or unknown
// is dropped and primed again, once and not for ever.
func TestF48RefusedSessionIsMadeAgainOnce(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		first := r.helper("dev").document(t)
		r.aws.revoked[first.AccessKeyID] = true
		r.helper("one").document(t)
		if s, a := r.aws.calls("GetSessionToken"), r.aws.calls("AssumeRole"); s != 2 || a != 2 {
			t.Errorf("%d sessions, %d roles; want 2, 2", s, a)
		}
		r.aws.failAlways("AssumeRole", &ipc.Error{Code: ipc.CodeAWSExpired, Message: "ExpiredToken"})
		wantCode(t, "refused for ever", waitErr(r.helper("two")), ipc.CodeAWSExpired)
		if s := r.aws.calls("GetSessionToken"); s > 3 {
			t.Errorf("%d sessions: a loop", s)
		}
	})
	bubble(t, free, func(t *testing.T, r *rig) { // in the middle of a chain
		r.write("aws/config", chainConfig(""))
		hop := r.helper("one").document(t)
		r.aws.revoked[hop.AccessKeyID] = true
		r.helper("two").document(t)
		if s, a := r.aws.calls("GetSessionToken"), r.aws.calls("AssumeRole"); s != 1 || a != 4 {
			t.Errorf("%d sessions, %d roles; want 1, 4", s, a)
		}
	})
	bubble(t, ready, func(t *testing.T, r *rig) { // where it costs a prompt
		r.write("aws/config", chainConfig(""))
		root := r.prime("dev")
		first := r.helper("one").document(t)
		r.aws.revoked[root.AccessKeyID] = true
		time.Sleep(45 * time.Minute)
		if got := r.helper("one").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("the valid role session is not served")
		}
		if s := r.status(); s.Prompts != 1 || len(s.Pending) != 0 {
			t.Errorf("a prompt too early: %+v", s)
		}
		time.Sleep(15 * time.Minute)
		r.prime("one")
	})
	bubble(t, ready, func(t *testing.T, r *rig) { // a key that is gone is asked for once
		r.write("aws/config", chainConfig(""))
		r.aws.failAlways("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId", Spent: true})
		c := r.helper("one")
		synctest.Wait()
		<-r.mfa(r.aws.code(annMFA, 0)).done
		wantCode(t, "an unknown key", waitErr(c), ipc.CodeAWSKeyUnknown)
		if s := r.status(); s.Prompts != 1 || len(s.Pending) != 0 {
			t.Errorf("asked again: %+v", s)
		}
	})
}

// TestF48UserDeleted: AWS takes neither the session nor the key. One code finds
// that out, the error says what it means, and programs are not asked for more.
func TestF48UserDeleted(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		root := r.prime("dev")
		time.Sleep(time.Minute) // for a code that was not used
		r.aws.revoked[root.AccessKeyID] = true
		r.aws.failAlways("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId", Spent: true})
		c := r.helper("one")
		synctest.Wait()
		<-r.mfa(r.aws.code(annMFA, 0)).done
		err := waitErr(c)
		wantCode(t, "a deleted user", err, ipc.CodeAWSKeyUnknown)
		if e := coded(err); !strings.Contains(e.Message, "its IAM user may be deleted") || !strings.Contains(e.Hint, "user ann") || !strings.Contains(e.Hint, "broker remove dev") {
			t.Errorf("%v: %s", e, e.Hint)
		}
		mark := r.aws.mark()
		for _, profile := range []string{"one", "dev", "two"} {
			wantCode(t, profile, waitErr(r.helper(profile)), ipc.CodeAWSKeyUnknown)
		}
		if s, calls := r.status(), r.aws.since(mark); s.Prompts != 2 || len(s.Pending) != 0 || len(calls) != 0 {
			t.Errorf("%d prompts, %+v, %v", s.Prompts, s.Pending, calls)
		}
	})
}

// TestDeniedRoleNamesWhatItMayLack: AWS does not say why, so the hint names
// what can be the reason, and nothing that cannot.
func TestDeniedRoleNamesWhatItMayLack(t *testing.T) {
	denied := &ipc.Error{Code: ipc.CodeRoleDenied, Message: "AccessDenied"}
	hint := func(t *testing.T, r *rig, profile string) string {
		t.Helper()
		r.aws.failNext("AssumeRole", denied)
		err := waitErr(r.helper(profile))
		wantCode(t, "a role", err, ipc.CodeRoleDenied)
		return coded(err).Hint
	}
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		const want = "AWS does not say why: the role may want an external_id, MFA, not trust the caller, or not exist"
		if got := hint(t, r, "one"); got != want {
			t.Errorf("hint without MFA = %q, want %q", got, want)
		}
		r.helper("one").document(t)
		if got := hint(t, r, "two"); strings.Contains(got, "MFA") {
			t.Errorf("hint for a role of a role = %q: AWS has no MFA to look at there", got)
		}
	})
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig("external_id = tenant\n"))
		r.prime("dev")
		if got := hint(t, r, "one"); strings.Contains(got, "MFA") || !strings.Contains(got, "another external_id") {
			t.Errorf("hint right after the code = %q", got)
		}
		time.Sleep(150 * time.Minute)
		if got := hint(t, r, "one"); !strings.Contains(got, "an MFA code newer than 2 h") {
			t.Errorf("hint 150 minutes after the code = %q", got)
		}
	})
}

// TestChainedRoleIsShortened: a length that AWS refuses because of chaining is
// asked again for an hour, and remembered.
func TestChainedRoleIsShortened(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", strings.Replace(chainConfig(""), "role/two\n", "role/two\nduration_seconds = 14400\n", 1))
		r.helper("one").document(t)
		r.aws.maxRole = 3600
		r.helper("two").document(t)
		if n := r.aws.calls("AssumeRole"); n != 3 {
			t.Errorf("%d calls, want 3: refused and asked again", n)
		}
		time.Sleep(50 * time.Minute)
		r.helper("two").document(t)
		if n := r.aws.calls("AssumeRole"); n != 4 {
			t.Errorf("%d calls, want 4: the length is not remembered", n)
		}
		// A first role that asks for too much is told so.
		r.write("aws/config", chainConfig("duration_seconds = 14400\n"))
		wantCode(t, "a role's own limit", waitErr(r.helper("one")), ipc.CodeAWSDuration)
	})
}

// TestF32F33Clocks: no move of a clock makes a session live longer, and one
// that is over by either clock never leaves.
func TestF32F33Clocks(t *testing.T) {
	for _, tc := range []struct {
		name       string
		wall, boot time.Duration
		gone       bool
	}{
		{"suspended for 13 h", 13 * time.Hour, 13 * time.Hour, true},
		{"suspended, wall clock lost", 0, 13 * time.Hour, true},
		{"wall clock a year on", 365 * 24 * time.Hour, 0, true},
		{"wall clock a year back", -365 * 24 * time.Hour, 0, false},
		{"wall clock a year back, suspended", -365 * 24 * time.Hour, 13 * time.Hour, true},
		{"five minutes on", 5 * time.Minute, 0, false},
		{"five minutes back", -5 * time.Minute, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				first := r.prime("dev")
				r.clock.move(tc.wall, tc.boot)
				c := r.helper("dev")
				if tc.gone {
					wantCode(t, "after the move", waitErr(c), ipc.CodeMFARequired)
				} else if got := c.document(t); got.AccessKeyID != first.AccessKeyID {
					t.Error("another session")
				}
			})
		})
	}
}

// TestAWSClockDecides: our clock is ten minutes slow; lifetimes are by AWS's.
func TestAWSClockDecides(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		r.aws.skew.Store(int64(10 * time.Minute))
		r.helper("one").document(t)
		if got := r.aws.params[0].AWS.ClockOffset; got != 600 {
			t.Errorf("clock offset %d, want 600", got)
		}
		e := r.lastValid(mustPlan(t, r, "one"))
		if left := e.left(r.clock); left > time.Hour || left < time.Hour-2*time.Second {
			t.Errorf("left %v, want an hour", left)
		}
		// Somebody sets the wall clock right: the offset is learnt again.
		r.clock.move(10*time.Minute, 0)
		r.aws.skew.Store(int64(0))
		reached := r.aws.calls("Reach")
		r.helper("two").document(t)
		if r.aws.calls("Reach") != reached+1 || r.clockOffset() != 0 {
			t.Errorf("offset %v after the clock was set", r.clockOffset())
		}
		// AWS finds the clock wrong although nobody moved it.
		r.aws.failNext("AssumeRole", &ipc.Error{Code: ipc.CodeAWSClock, Message: "Signature expired"})
		r.helper("three").document(t)
	})
}

// TestClockIsSetWhileACodeIsWaitedFor: the offset is learnt again before the
// code is sent, which AWS would refuse with the signature.
func TestClockIsSetWhileACodeIsWaitedFor(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		h := r.helper("dev")
		synctest.Wait()
		r.clock.move(-time.Hour, 0)
		r.aws.skew.Store(int64(time.Hour))
		if m := r.mfa(r.aws.code(annMFA, 0)); m.code() != "" {
			t.Fatal(m.err)
		}
		h.document(t)
		if got := r.aws.params[0].AWS.ClockOffset; got != 3600 {
			t.Errorf("the code was sent with clock offset %d, want 3600", got)
		}
		e := r.lastValid(mustPlan(t, r, "dev"))
		if left := e.left(r.clock); left > 12*time.Hour || left < 12*time.Hour-time.Minute {
			t.Errorf("left %v, want 12 hours", left)
		}
	})
}

func mustPlan(t *testing.T, r *rig, profile string) *plan {
	t.Helper()
	pl, err := r.planner()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pl.plan(profile)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestP46AnswersAreChecked: what is not temporary credentials of the right
// account with a sane end never enters the cache.
func TestP46AnswersAreChecked(t *testing.T) {
	clock := newFakeClock()
	b := &Broker{opts: Options{Clock: clock}}
	good := credproc.Credentials{
		AccessKeyID: "ASIA1", SecretAccessKey: secret.New("s"), SessionToken: secret.New("t"),
		Expiration: clock.Now().Add(time.Hour), AccountID: account,
	}
	for name, change := range map[string]func(*credproc.Credentials){
		"":                  func(*credproc.Credentials) {},
		"no account":        func(c *credproc.Credentials) { c.AccountID = "" },
		"long-lived":        func(c *credproc.Credentials) { c.AccessKeyID = annKey },
		"no token":          func(c *credproc.Credentials) { c.SessionToken = secret.String{} },
		"no secret":         func(c *credproc.Credentials) { c.SecretAccessKey = secret.String{} },
		"no expiration":     func(c *credproc.Credentials) { c.Expiration = time.Time{} },
		"expired":           func(c *credproc.Credentials) { c.Expiration = clock.Now().Add(-time.Minute) },
		"in the year 9999":  func(c *credproc.Credentials) { c.Expiration = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
		"longer than asked": func(c *credproc.Credentials) { c.Expiration = clock.Now().Add(2 * time.Hour) },
		"another account":   func(c *credproc.Credentials) { c.AccountID = "999988887777" },
	} {
		c := good
		change(&c)
		e, err := b.accept(c, account, time.Hour)
		if name == "" || name == "no account" {
			if err != nil || e.creds.AccountID != account {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
			continue
		}
		wantCode(t, name, err, ipc.CodeAWSGarbage)
	}
}

func TestP46WrongAccountLeavesTheCacheAlone(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		r.aws.account = "999988887777"
		wantCode(t, "a role of another account", waitErr(r.helper("one")), ipc.CodeAWSGarbage)
		if s := r.status().Sessions; len(s) != 1 {
			t.Errorf("sessions: %+v", s)
		}
		r.aws.life = 365 * 24 * time.Hour
		r.sessions = map[sessionID]*entry{}
		wantCode(t, "a session of a year", waitErr(r.helper("dev")), ipc.CodeAWSGarbage)
	})
}

// TestCacheProperties drives the cache with random times and failures, and
// checks what is promised of every answer.
func TestCacheProperties(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, free, func(t *testing.T, r *rig) {
				r.write("aws/config", chainConfig(""))
				random := rand.New(rand.NewPCG(seed, 1))
				profiles := []string{"dev", "one", "two", "three"}
				lives := []time.Duration{0, 0, 15 * time.Minute, time.Hour} // 0: as long as asked for
				valid := map[string]time.Time{}                             // by profile: until when something can be served
				for range 60 {
					r.aws.mu.Lock()
					r.aws.life = lives[random.IntN(len(lives))]
					r.aws.mu.Unlock()
					away := random.IntN(3) == 0
					for _, action := range []string{"AssumeRole", "GetSessionToken", "Reach"} {
						var err error
						if away {
							err = &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "away"}
						}
						r.aws.failAlways(action, err)
					}
					profile := profiles[random.IntN(len(profiles))]
					c := r.helper(profile)
					now := time.Now()
					switch code := c.code(); {
					case code == "":
						got := c.document(t)
						left := got.Expiration.Sub(now)
						if left <= 0 {
							t.Fatalf("%s: expired credentials left", profile)
						}
						if !away && r.aws.life == 0 && left < 20*time.Minute {
							t.Fatalf("%s: %v left although more was free", profile, left)
						}
						valid[profile] = got.Expiration
					case !away:
						t.Fatalf("%s: refused while AWS answers: %v", profile, c.err)
					case now.Add(2 * time.Second).Before(valid[profile]):
						t.Fatalf("%s: refused while something is valid until %v: %v", profile, valid[profile], c.err)
					}
					time.Sleep(time.Duration(random.Int64N(int64(40 * time.Minute))))
				}
			})
		})
	}
}

// TestSlowRenewalAtTheEnd: a session that expires while its renewal is waited
// for is not served any more, and so the caller waits on.
func TestSlowRenewalAtTheEnd(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		old := r.helper("dev").document(t)
		time.Sleep(time.Until(old.Expiration) - 3*time.Second)
		r.aws.takes(renewPatience)
		if now := r.helper("dev").document(t); now.AccessKeyID == old.AccessKeyID {
			t.Error("an expired session was served")
		}
	})
}
