// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

var errOffline = &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "reach STS: no route to host", Hint: "check the network"}

// allCalls is how often AWS was asked for anything.
func (f *fakeAWS) allCalls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.log)
}

// foreground asks as somebody at a terminal does.
func (r *rig) foreground(profile string) *client {
	return r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: profile}, ipc.AskTerminal)
}

// failing asks in the background and returns the failure.
func (r *rig) failing(profile string) *ipc.Error {
	r.t.Helper()
	h := r.helper(profile)
	if <-h.done; h.err == nil {
		r.t.Fatalf("%s was served", profile)
	}
	return coded(h.err)
}

// TestF28BreakerOpensAndCloses: after some failures background callers fail at
// once and in the words of the cause, one of them tries after each pause, and
// everything is as before when AWS is back.
func TestF28BreakerOpensAndCloses(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.failAlways("Reach", errOffline)
		for range tripAfter {
			if e := r.failing("dev"); e.Code != ipc.CodeAWSUnreachable || strings.Contains(e.Message, "before the next try") {
				t.Fatalf("while it is closed: %v", e)
			}
		}
		for _, pause := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second} {
			before, begin := r.aws.allCalls(), r.clock.Boot()
			for range 20 {
				e := r.failing("dev")
				if e.Code != errOffline.Code || e.Hint != errOffline.Hint || !strings.Contains(e.Message, "no route to host") ||
					!strings.Contains(e.Message, "before the next try") {
					t.Fatalf("while it is open: %+v", e)
				}
			}
			if n, took := r.aws.allCalls()-before, r.clock.Boot()-begin; n != 0 || took != 0 {
				t.Errorf("open, it made %d calls and took %v", n, took)
			}
			time.Sleep(pause - time.Nanosecond)
			if r.failing("dev"); r.aws.allCalls() != before {
				t.Errorf("a call before %v were over", pause)
			}
			time.Sleep(time.Nanosecond)
			r.aws.takes(time.Second)
			try := r.helper("dev")
			synctest.Wait()
			for range 5 {
				if e := r.failing("dev"); !strings.Contains(e.Message, "another try is under way") {
					t.Errorf("half-open: %v", e)
				}
			}
			<-try.done
			r.aws.takes(0)
			if n := r.aws.allCalls() - before; n != 1 {
				t.Errorf("half-open, %d calls, want 1", n)
			}
		}
		r.aws.failNext("Reach")
		time.Sleep(longestPause)
		r.helper("dev").document(t)
		if s := r.status(); len(s.Outages) != 0 {
			t.Errorf("status shows %+v after AWS is back", s.Outages)
		}
		for _, word := range []string{"AWS is out of reach", "AWS is back"} {
			if n := strings.Count(r.log.String(), word); n != 1 {
				t.Errorf("the log says %q %d times, want once", word, n)
			}
		}
	})
}

// TestF28ForegroundIsNeverHeldUp: who sits at a terminal tries, whatever the
// breaker says, and success helps everybody.
func TestF28ForegroundIsNeverHeldUp(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.failAlways("Reach", errOffline)
		for range tripAfter {
			r.failing("dev")
		}
		before := r.aws.allCalls()
		f := r.foreground("dev")
		if <-f.done; r.aws.allCalls() != before+1 {
			t.Error("the foreground did not try")
		}
		r.aws.failNext("Reach")
		r.foreground("dev").document(t)
		r.helper("dev").document(t)
	})
}

// TestF28CacheIsServedWhileAWSIsDown: what is valid is served to its last
// second, at once; what has expired never is.
func TestF28CacheIsServedWhileAWSIsDown(t *testing.T) {
	for _, action := range []string{"AssumeRole", "GetSessionToken"} {
		t.Run(action, func(t *testing.T) {
			bubble(t, free, func(t *testing.T, r *rig) {
				r.write("aws/config", chainConfig(""))
				profile := map[string]string{"AssumeRole": "one", "GetSessionToken": "dev"}[action]
				got := r.helper(profile).document(t)
				r.aws.failAlways("Reach", errOffline)
				r.aws.failAlways(action, errOffline)
				time.Sleep(time.Until(got.Expiration) - 10*time.Minute)
				for range 600 {
					begin := r.clock.Boot()
					if again := r.helper(profile).document(t); again.AccessKeyID != got.AccessKeyID {
						t.Fatalf("with %v left another session came", time.Until(got.Expiration))
					}
					if took := r.clock.Boot() - begin; took > 0 {
						t.Fatalf("a valid session took %v", took)
					}
					if time.Until(got.Expiration) <= time.Second {
						break
					}
					time.Sleep(time.Second)
				}
				time.Sleep(2 * time.Second)
				if e := r.failing(profile); e.Code != ipc.CodeAWSUnreachable {
					t.Errorf("after the end: %v", e)
				}
				r.aws.failNext("Reach")
				r.aws.failNext(action)
				time.Sleep(longestPause)
				if again := r.helper(profile).document(t); again.AccessKeyID == got.AccessKeyID {
					t.Error("the expired session came back")
				}
			})
		})
	}
}

// TestF28BreakerIsOfOneKeyAndRegion: trouble in one Region, or with one key, is
// no reason to fail in another.
func TestF28BreakerIsOfOneKeyAndRegion(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.add("ops", bobKey, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::" + account + ":user/bob", UserName: "bob", NoMFA: true})
		r.write("aws/config", "[profile dev]\nregion = eu-west-1\n[profile ops]\nregion = eu-west-1\n"+
			"[profile far]\nregion = us-west-2\nsource_profile = dev\nrole_arn = arn:aws:iam::"+account+":role/far\n")
		r.aws.failAlways("Reach", errOffline)
		for range tripAfter {
			r.failing("dev")
		}
		for _, profile := range []string{"ops", "far"} {
			before := r.aws.allCalls()
			if r.failing(profile); r.aws.allCalls() == before {
				t.Errorf("%s was not tried", profile)
			}
		}
		s := r.status()
		if len(s.Outages) != 3 {
			t.Fatalf("outages: %+v", s.Outages)
		}
		o := s.Outages[0]
		if o.AccessKeyID != annKey || o.Region != "eu-west-1" || o.Failures != tripAfter || o.Code != ipc.CodeAWSUnreachable ||
			o.RetryAt == nil || !strings.Contains(o.Message, "no route to host") {
			t.Errorf("outage: %+v", o)
		}
		if s.Outages[1].RetryAt != nil {
			t.Errorf("one failure opened it: %+v", s.Outages[1])
		}
		// A changed config is another way.
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n[aws]\nhttps_proxy = http://proxy:3128\n")
		before := r.aws.allCalls()
		if r.failing("dev"); r.aws.allCalls() == before {
			t.Error("with a proxy dev was not tried")
		}
		time.Sleep(outageMemory + time.Second)
		if s := r.status(); len(s.Outages) != 0 {
			t.Errorf("status remembers %+v", s.Outages)
		}
	})
}

// TestF28RefusalsAreNoOutage: AWS that says no has answered.
func TestF28RefusalsAreNoOutage(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.failAlways("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSDenied, Message: "no"})
		for range 2 * tripAfter {
			before := r.aws.calls("GetSessionToken")
			if e := r.failing("dev"); e.Code != ipc.CodeAWSDenied || r.aws.calls("GetSessionToken") != before+1 {
				t.Fatalf("%v after %d calls", e, r.aws.calls("GetSessionToken"))
			}
		}
		if s := r.status(); len(s.Outages) != 0 {
			t.Errorf("outages: %+v", s.Outages)
		}
	})
}

// TestF31NoPromptWhileAWSIsOutOfReach: nobody is asked for a code while AWS is out of reach.
func TestF31NoPromptWhileAWSIsOutOfReach(t *testing.T) {
	for _, code := range []ipc.Code{
		ipc.CodeAWSUnreachable, ipc.CodeAWSSlow, ipc.CodeAWSCertificate, ipc.CodeAWSProxy,
		ipc.CodeAWSThrottled, ipc.CodeAWSUnavailable, ipc.CodeAWSGarbage,
	} {
		t.Run(string(code), func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				r.aws.failAlways("Reach", &ipc.Error{Code: code, Message: "out of reach"})
				for range 2 * tripAfter {
					if e := r.failing("dev"); e.Code != code {
						t.Errorf("background: %v", e)
					}
					f := r.foreground("dev")
					<-f.done
					wantCode(t, "foreground", f.err, code)
				}
				if s := r.status(); s.Prompts != 0 || len(s.Pending) != 0 || r.aws.calls("GetSessionToken") != 0 {
					t.Errorf("%d prompts, %d calls", s.Prompts, r.aws.calls("GetSessionToken"))
				}
				r.aws.failNext("Reach")
				time.Sleep(longestPause)
				r.prime("dev")
			})
		})
	}
}

// TestF33OutageAndSuspend: a pause is over when the lid was closed for longer.
func TestF33OutageAndSuspend(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.failAlways("Reach", errOffline)
		for range tripAfter {
			r.failing("dev")
		}
		r.aws.failNext("Reach")
		r.clock.move(0, time.Hour)
		r.helper("dev").document(t)
	})
}

// TestF28ManyAtOnceAreOneFailure: what was under way when the breaker opened
// does not make the pause longer.
func TestF28ManyAtOnceAreOneFailure(t *testing.T) {
	var o breaker
	for i := range 20 {
		if opened := o.fail(errOffline, time.Minute, false); opened != (i == tripAfter-1) {
			t.Errorf("failure %d: opened %t", i+1, opened)
		}
	}
	if o.pause != firstPause || o.until != time.Minute+firstPause {
		t.Errorf("pause %v until %v, want %v from now", o.pause, o.until, firstPause)
	}
}

// TestF28GivenUpIsNoOutage: a call that we ended ourselves says nothing about
// the way to AWS.
func TestF28GivenUpIsNoOutage(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.aws.takes(5 * time.Second)
		for range tripAfter {
			h := r.foreground("dev")
			synctest.Wait()
			do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Cancel: true})
			<-h.done
			wantCode(t, "the caller", h.err, ipc.CodeMFACancelled)
		}
		if s := r.status(); len(s.Outages) != 0 {
			t.Errorf("outages: %+v", s.Outages)
		}
	})
}

// TestF28TheOneTryIsNotWasted: a caller that is told to come back, because the
// house is full, has not tried.
func TestF28TheOneTryIsNotWasted(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.failAlways("Reach", errOffline)
		for range tripAfter {
			r.failing("dev")
		}
		r.aws.failNext("Reach")
		time.Sleep(firstPause)
		run, _ := r.operation(ipc.OpCredentials)
		_, err := r.serve(t.Context(), run, ipc.Request{Op: ipc.OpCredentials},
			&talk{params: []byte(`{"profile":"dev"}`), full: &ipc.Error{Code: ipc.CodeBusy, Message: "full"}})
		wantCode(t, "without a seat", err, ipc.CodeBusy)
		r.helper("dev").document(t)
	})
}

// slowLog is a log on a disk that does not answer. It finds out who waits.
type slowLog struct {
	b    *Broker
	held bool
}

func (l *slowLog) Write(p []byte) (int, error) {
	if l.b.mu.TryLock() {
		l.b.mu.Unlock()
	} else {
		l.held = true
	}
	return len(p), nil
}

// TestF28LogHoldsUpNobody: an outage is written down when nobody waits for that.
func TestF28LogHoldsUpNobody(t *testing.T) {
	r := free(t)
	defer func() { r.tasks.close() }()
	l := &slowLog{b: r.Broker}
	r.Broker.opts.Log = slog.New(slog.NewTextHandler(l, nil))
	r.aws.failAlways("Reach", errOffline)
	for range tripAfter {
		r.failing("dev")
	}
	r.aws.failNext("Reach")
	r.foreground("dev").document(t)
	if l.held {
		t.Error("everybody waited while the log was written")
	}
}

// TestF16BlockedAccount: what AWS says of an account that it does not serve is
// said once. Background callers then fail at once for a quarter of an hour, and
// cost no code; that AWS can be reached changes nothing, and a user at a terminal
// gets through.
func TestF16BlockedAccount(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		blocked := &ipc.Error{Code: ipc.CodeAWSBlocked, Message: "OptInRequired: not signed up", Spent: true}
		r.aws.failAlways("GetSessionToken", blocked)
		h := r.helper("dev")
		synctest.Wait()
		<-r.mfa(r.aws.code(annMFA, 0)).done
		wantCode(t, "the first", waitErr(h), ipc.CodeAWSBlocked)
		before := r.aws.allCalls()
		for range 20 {
			if e := r.failing("dev"); e.Code != ipc.CodeAWSBlocked || !strings.Contains(e.Message, "before the next try") {
				t.Fatalf("%v", e)
			}
			time.Sleep(44 * time.Second) // 14:40 in all
		}
		if n := r.aws.allCalls() - before; n != 0 || r.status().Prompts != 1 {
			t.Errorf("%d calls, %d prompts", n, r.status().Prompts)
		}
		if out := r.status().Outages; len(out) != 1 || out[0].Code != ipc.CodeAWSBlocked || out[0].RetryAt == nil {
			t.Errorf("status: %+v", out)
		}
		pl, err := r.planner()
		if err != nil {
			t.Fatal(err)
		}
		p, err := pl.plan("dev")
		if err == nil {
			err = r.reach(t.Context(), p)
		}
		if err != nil {
			t.Fatal(err)
		}
		if e := r.failing("dev"); e.Code != ipc.CodeAWSBlocked {
			t.Errorf("AWS was reached, and now it is %v", e)
		}
		r.aws.failAlways("GetSessionToken", nil)
		f := r.foreground("dev")
		q := <-f.prompts
		f.answers <- r.aws.code(q.SerialNumber, 0)
		f.document(t)
		if len(r.status().Outages) != 0 {
			t.Errorf("status: %+v", r.status().Outages)
		}
	})
}

// TestF16DisabledUser: so it is with a user whom AWS has put in quarantine, or
// whose key it does not take any more: one code is wasted, and not one for each
// program. A key that is new is another matter, and so is one that costs no code.
func TestF16DisabledUser(t *testing.T) {
	for _, code := range []ipc.Code{ipc.CodeAWSQuarantined, ipc.CodeAWSKeyUnknown} {
		bubble(t, ready, func(t *testing.T, r *rig) {
			r.aws.failAlways("GetSessionToken", &ipc.Error{Code: code, Message: "refused", Spent: true})
			time.Sleep(2 * lagLimit)
			h := r.helper("dev")
			synctest.Wait()
			<-r.mfa(r.aws.code(annMFA, 0)).done
			wantCode(t, "the first", waitErr(h), code)
			before := r.aws.allCalls()
			for range 20 {
				e := r.failing("dev")
				if e.Code != code || !strings.Contains(e.Message, "before the next try") {
					t.Fatalf("%v", e)
				}
				if code == ipc.CodeAWSKeyUnknown && !strings.HasSuffix(e.Hint, "in a terminal: broker exec dev") {
					t.Fatalf("the hint is %q", e.Hint)
				}
				time.Sleep(44 * time.Second) // 14:40 in all
			}
			if n := r.aws.allCalls() - before; n != 0 || r.status().Prompts != 1 {
				t.Errorf("%s: %d calls, %d prompts", code, n, r.status().Prompts)
			}
			r.aws.failAlways("GetSessionToken", nil)
			f := r.foreground("dev")
			q := <-f.prompts
			f.answers <- r.aws.code(q.SerialNumber, 0)
			f.document(t)
			r.helper("dev").document(t)
		})
	}
	bubble(t, ready, func(t *testing.T, r *rig) { // a minute old: AWS is late
		if err := r.index.update(func(s *state) error {
			now := r.trueNow()
			s.setFacts(annKey, facts{KeyState: ipc.KeyState{AccessKeyID: annKey, CreateDate: now}, LearntAt: now, TriedAt: now}, now)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		r.aws.failNext("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "refused", Spent: true})
		h := r.helper("dev")
		synctest.Wait()
		<-r.mfa(r.aws.code(annMFA, 0)).done
		wantCode(t, "the first", waitErr(h), ipc.CodeAWSKeyUnknown)
		time.Sleep(time.Minute)
		r.prime("dev")
	})
	bubble(t, free, func(t *testing.T, r *rig) { // active again, and no code is wasted
		time.Sleep(2 * lagLimit)
		r.aws.failNext("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "refused"})
		wantCode(t, "the first", waitErr(r.helper("dev")), ipc.CodeAWSKeyUnknown)
		r.helper("dev").document(t)
	})
}

// TestF16ActiveAgain: a key that broker itself makes active again is tried at once.
func TestF16ActiveAgain(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		pl, err := r.planner()
		if err != nil {
			t.Fatal(err)
		}
		p, err := pl.ofKey("dev")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.noteKey(t.Context(), p, &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "refused"})
		if len(r.status().Outages) != 1 {
			t.Fatal("it does not count")
		}
		if _, err := r.revoke(ipc.RevokeParams{Profile: "dev", Undo: true}); err != nil {
			t.Fatal(err)
		}
		if out := r.status().Outages; len(out) != 0 {
			t.Errorf("status: %+v", out)
		}
	})
}
