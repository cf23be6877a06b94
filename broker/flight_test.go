// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// TestP20OnePromptForManyCallers: 200 callers on a cold cache cost one prompt
// and one call, and get the same document.
func TestP20OnePromptForManyCallers(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		var callers []*client
		for range 200 {
			callers = append(callers, r.helper("dev"))
		}
		synctest.Wait()
		if p := r.status().Pending; len(p) != 1 || p[0].Waiters != 200 || p[0].Surface != "wait" {
			t.Fatalf("pending: %+v", p)
		}
		m := r.mfa(r.aws.code(annMFA, 0))
		if got := m.code(); got != "" {
			t.Fatalf("mfa: %s", got)
		}
		callers[0].document(t)
		want := string(callers[0].result)
		for _, c := range callers {
			if c.document(t); string(c.result) != want {
				t.Fatalf("two documents: %s and %s", want, c.result)
			}
		}
		if n := r.aws.calls("GetSessionToken"); n != 1 {
			t.Errorf("%d GetSessionToken calls, want 1", n)
		}
		if n := r.status().Prompts; n != 1 {
			t.Errorf("%d prompts, want 1", n)
		}
	})
}

func TestFlightOutlivesItsCaller(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		c.hangUp()
		<-c.done
		synctest.Wait()
		if p := r.status().Pending; len(p) != 1 || p[0].Waiters != 0 || p[0].Profiles[0] != "dev" {
			t.Fatalf("pending: %+v", p)
		}
		time.Sleep(20 * time.Second)
		if m := r.mfa(r.aws.code(annMFA, 0)); m.code() != "" {
			t.Fatal(m.err)
		}
		r.helper("dev").document(t)
		if s := r.status(); s.Prompts != 1 || len(s.Sessions) != 1 {
			t.Errorf("prompts %d, sessions %+v", s.Prompts, s.Sessions)
		}
	})
}

// TestF46WrongCodeIsAskedAgainTwiceAtMost also sees each attempt in status.
func TestF46WrongCodeIsAskedAgainTwiceAtMost(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		h := r.helper("dev")
		synctest.Wait()
		for attempt := 1; attempt <= 3; attempt++ {
			p := r.status().Pending
			if len(p) != 1 || p[0].Attempt != attempt || (attempt > 1) != (p[0].Reason == ipc.ReasonWrongCode) {
				t.Fatalf("attempt %d: pending %+v", attempt, p)
			}
			m := r.mfa(r.aws.code("somebody else's", attempt))
			wantCode(t, "mfa", waitErr(m), ipc.CodeMFAWrong)
			synctest.Wait()
		}
		wantCode(t, "the waiter", waitErr(h), ipc.CodeMFAWrong)
		if n := r.aws.calls("GetSessionToken"); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
		r.aws.codesSentOnce(t)
	})
}

func waitErr(c *client) error { <-c.done; return c.err }

// TestUsedCodeIsNotSent: a code that was lost with a 500 is not sent again,
// and the next one works.
func TestF46UsedCodeIsNotSent(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.aws.failNext("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSFailed, Message: "InternalFailure", Spent: true})
		h := r.helper("dev")
		synctest.Wait()
		code := r.aws.code(annMFA, 0)
		wantCode(t, "the lost code", waitErr(r.mfa(code)), ipc.CodeAWSFailed)
		wantCode(t, "the same again", waitErr(r.mfa(code)), ipc.CodeMFAUsed)
		synctest.Wait()
		if p := r.status().Pending; len(p) != 1 || p[0].Reason != ipc.ReasonUsedCode || p[0].Attempt != 3 {
			t.Errorf("pending: %+v", p)
		}
		if n := r.aws.calls("GetSessionToken"); n != 1 {
			t.Errorf("the used code was sent: %d calls", n)
		}
		time.Sleep(timeStep)
		if err := waitErr(r.mfa(r.aws.code(annMFA, 0))); err != nil {
			t.Fatal(err)
		}
		h.document(t)
		r.aws.codesSentOnce(t)
	})
}

// TestUsedCodesAreForgotten: the same digits come up again one day.
func TestUsedCodesAreForgotten(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		d := r.device(annMFA)
		if !r.claim(d, "123456") || r.claim(d, "123456") {
			t.Fatal("a code was taken twice, or not at all")
		}
		if !r.claim(r.device(bobMFA), "123456") {
			t.Error("devices share codes")
		}
		time.Sleep(codeMemory - time.Second)
		if r.claim(d, "123456") {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		if !r.claim(d, "123456") {
			t.Error("never forgotten")
		}
		if len(d.used) != 1 {
			t.Errorf("%d codes kept", len(d.used))
		}
	})
}

// TestF28CodesAreSentOnce: whatever becomes of the call, the code stays behind.
func TestF28CodesAreSentOnce(t *testing.T) {
	for _, code := range []ipc.Code{
		ipc.CodeAWSThrottled, ipc.CodeAWSUnreachable, ipc.CodeAWSSlow, ipc.CodeAWSUnavailable, ipc.CodeAWSGarbage,
		ipc.CodeAWSFailed, ipc.CodeInternal, ipc.CodeDeadline,
	} {
		t.Run(string(code), func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				lost := &ipc.Error{Code: code, Message: "lost", Spent: true}
				r.aws.failNext("GetSessionToken", lost, lost, lost)
				r.helper("dev") // its wait is over before the third code
				for range 3 {
					synctest.Wait()
					wantCode(t, "mfa", waitErr(r.mfa(r.aws.code(annMFA, 0))), code)
					time.Sleep(timeStep)
				}
				r.aws.codesSentOnce(t)
				if n := r.aws.calls("GetSessionToken"); n != 3 {
					t.Errorf("%d calls, want 3: the flight must give up", n)
				}
				r.prime("dev")
			})
		})
	}
}

// TestUnsentCodeMayBeTypedAgain: a locked keychain burns no code.
func TestUnsentCodeMayBeTypedAgain(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.aws.failNext("GetSessionToken", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "locked"})
		h := r.helper("dev")
		synctest.Wait()
		code := r.aws.code(annMFA, 0)
		wantCode(t, "mfa", waitErr(r.mfa(code)), ipc.CodeKeychainLocked)
		wantCode(t, "the waiter", waitErr(h), ipc.CodeKeychainLocked)
		if !r.claim(r.device(annMFA), code) {
			t.Error("the code counts as used although it never left")
		}
	})
}

// TestF31NoPromptIsBurnt: AWS is reached before anybody is asked.
func TestF31NoPromptIsBurnt(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.aws.failNext("Reach", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "no such host"})
		wantCode(t, "offline", waitErr(r.helper("dev")), ipc.CodeAWSUnreachable)
		if s := r.status(); s.Prompts != 0 {
			t.Errorf("%d prompts", s.Prompts)
		}
		r.prime("dev")
	})
}

func TestCancelAnswersEveryWaiter(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		var callers []*client
		for range 10 {
			callers = append(callers, r.helper("dev"))
		}
		synctest.Wait()
		got := do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Cancel: true})
		if len(got.Cancelled) != 1 || got.Cancelled[0].Waiters != 10 {
			t.Errorf("cancelled: %+v", got)
		}
		for _, c := range callers {
			wantCode(t, "a waiter", waitErr(c), ipc.CodeMFACancelled)
		}
		begin := time.Now()
		wantCode(t, "a background caller", waitErr(r.helper("dev")), ipc.CodeMFACancelled)
		wantCode(t, "a helper with a terminal", waitErr(r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY)), ipc.CodeMFACancelled)
		if time.Since(begin) != 0 || r.status().Prompts != 1 || r.aws.calls("GetSessionToken") != 0 {
			t.Errorf("it did not fail fast: %v, %+v", time.Since(begin), r.status())
		}
		// A user in the foreground may change their mind.
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts
		fg.answers <- r.aws.code(annMFA, 0)
		fg.document(t)
		r.helper("dev").document(t)
	})
}

// TestCancelOfTwoOnOneDevice: the second does not ask because the first ended.
func TestCancelOfTwoOnOneDevice(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("dev2", "AKIAANNANNANNANNANN2", ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		one := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-one.prompts
		two := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev2"}, ipc.AskTerminal)
		synctest.Wait()
		reached := r.aws.calls("Reach")
		if got := do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Cancel: true}); len(got.Cancelled) != 2 {
			t.Errorf("cancelled: %+v", got)
		}
		wantCode(t, "one", waitErr(one), ipc.CodeMFACancelled)
		wantCode(t, "two", waitErr(two), ipc.CodeMFACancelled)
		if s := r.status(); s.Prompts != 1 || len(two.prompts) != 0 || r.aws.calls("Reach") != reached {
			t.Errorf("the second began to ask: %d prompts", s.Prompts)
		}
	})
}

// TestWaiterIsToldOfItsProfile: it knows nothing of the one that began the
// flight.
func TestWaiterIsToldOfItsProfile(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("tokyo", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		r.helper("dev")
		synctest.Wait()
		if err := waitErr(r.helper("tokyo")); !strings.Contains(err.Error(), "profile tokyo needs") {
			t.Errorf("%v", err)
		}
	})
}

// TestCancelDuringACall: what AWS says to a code after the cancellation asks
// for no other one.
func TestCancelDuringACall(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts
		r.aws.takes(5 * time.Second)
		fg.answers <- "000000"
		synctest.Wait()
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Cancel: true})
		wantCode(t, "the waiter", waitErr(fg), ipc.CodeMFACancelled)
		if s := r.status(); s.Prompts != 1 || len(fg.prompts) != 0 {
			t.Errorf("asked again: %d prompts", s.Prompts)
		}
	})
}

// TestCancelThatCameTooLate: a code that AWS takes after the cancellation is
// not said to be cancelled.
func TestCancelThatCameTooLate(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		r.aws.takes(5 * time.Second)
		m := r.mfa(r.aws.code(annMFA, 0))
		synctest.Wait()
		if got := do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Cancel: true}); len(got.Cancelled) != 0 {
			t.Errorf("said to be cancelled: %+v", got.Cancelled)
		}
		c.document(t)
		if <-m.done; m.err != nil {
			t.Errorf("mfa: %v", m.err)
		}
	})
}

func TestCoolDownEnds(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Cancel: true, Profile: "dev"})
		wantCode(t, "the waiter", waitErr(c), ipc.CodeMFACancelled)
		time.Sleep(coolDown)
		r.prime("dev")
	})
}

func TestEmptyLineCancels(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		bg := r.helper("dev")
		p := <-fg.prompts
		if p.Kind != ipc.PromptMFA || p.SerialNumber != annMFA || p.Attempt != 1 || p.Profile != "dev" || p.AccessKeyID != annKey || p.Deadline.IsZero() {
			t.Errorf("prompt: %+v", p)
		}
		fg.answers <- " "
		wantCode(t, "the asked", waitErr(fg), ipc.CodeMFACancelled)
		wantCode(t, "the waiter", waitErr(bg), ipc.CodeMFACancelled)
	})
}

// TestVanishedAskerHandsOver: Ctrl-C in one of two terminals moves the prompt
// to the other, and nobody else is harmed.
func TestVanishedAskerHandsOver(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		first := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		bg := r.helper("dev")
		<-first.prompts
		second := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		synctest.Wait()
		if len(second.prompts) != 0 {
			t.Fatal("two terminals are asked at once")
		}
		first.hangUp()
		<-first.done
		<-second.prompts
		if p := r.status().Pending[0]; p.Waiters != 2 || p.Surface != "terminal" || p.Attempt != 1 {
			t.Errorf("pending: %+v", p)
		}
		second.answers <- "123 45"
		if p := <-second.prompts; p.Attempt != 2 || p.Reason != ipc.ReasonWrongCode {
			t.Errorf("after five digits: %+v", p)
		}
		if n := r.aws.calls("GetSessionToken"); n != 0 {
			t.Errorf("five digits were sent")
		}
		code := r.aws.code(annMFA, 0)
		second.answers <- code[:3] + " " + code[3:] + "\n"
		second.document(t)
		bg.document(t)
		if n := r.status().Prompts; n != 2 {
			t.Errorf("%d prompts, want 2", n)
		}
	})
}

// TestLateForegroundCallerIsAsked: nobody could be asked when the flight began.
func TestLateForegroundCallerIsAsked(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		bg := r.helper("dev")
		synctest.Wait()
		tty := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY)
		<-tty.prompts
		if p := r.status().Pending[0]; p.Surface != "tty" {
			t.Errorf("pending: %+v", p)
		}
		tty.answers <- r.aws.code(annMFA, 0)
		tty.document(t)
		bg.document(t)
	})
}

// TestForegroundComesBeforeAHelper: the user sits where the command was run,
// not at the terminal that a helper found.
func TestForegroundComesBeforeAHelper(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		tty := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY)
		<-tty.prompts
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts
		late := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY)
		synctest.Wait()
		if len(late.prompts) != 0 {
			t.Error("a helper took the prompt away")
		}
		fg.hangUp()
		if p := <-tty.prompts; p.Attempt != 1 {
			t.Errorf("prompt: %+v", p)
		}
		tty.answers <- r.aws.code(annMFA, 0)
		tty.document(t)
		late.document(t)
		if n := r.status().Prompts; n != 1 {
			t.Errorf("%d prompts, want the one that wandered", n)
		}
	})
}

// TestMFATakesThePromptOver: the user came to answer, so the prompt moves
// there; when they leave it moves back.
func TestMFATakesThePromptOver(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts
		m := r.start(ipc.OpMFA, ipc.MFAParams{}, ipc.AskTerminal)
		<-m.prompts
		m.hangUp()
		<-m.done
		<-fg.prompts
		m = r.start(ipc.OpMFA, ipc.MFAParams{Profile: "dev"}, ipc.AskTerminal)
		<-m.prompts
		m.answers <- "000000"
		if p := <-m.prompts; p.Attempt != 2 || p.Reason != ipc.ReasonWrongCode {
			t.Errorf("second prompt: %+v", p)
		}
		m.answers <- r.aws.code(annMFA, 0)
		if m.code() != "" {
			t.Fatal(m.err)
		}
		if !strings.Contains(string(m.result), annMFA) {
			t.Errorf("result: %s", m.result)
		}
		fg.document(t)
	})
}

// TestCodeBesideAnOpenPrompt: broker mfa CODE answers what a terminal asks.
func TestCodeBesideAnOpenPrompt(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts
		if err := waitErr(r.mfa(r.aws.code(annMFA, 0))); err != nil {
			t.Fatal(err)
		}
		fg.document(t)
		if n := r.status().Prompts; n != 1 {
			t.Errorf("%d prompts, want 1", n)
		}
	})
}

// TestHelperWaits: a helper gives up in time to say why, the flight goes on.
func TestHelperWaits(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		begin := time.Now()
		c := r.helper("dev")
		err := coded(waitErr(c))
		if err.Code != ipc.CodeMFARequired || !strings.Contains(err.Hint, "broker mfa") || strings.Contains(err.Message+err.Hint, "\n") {
			t.Errorf("error: %+v", err)
		}
		if waited := time.Since(begin); waited != 50*time.Second {
			t.Errorf("waited %v, want 50s", waited)
		}
		begin = time.Now()
		c = r.startWithin(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY, 20*time.Second)
		<-c.prompts
		wantCode(t, "a caller with a deadline", waitErr(c), ipc.CodeMFARequired)
		if waited := time.Since(begin); waited != 19*time.Second {
			t.Errorf("waited %v, want 19s", waited)
		}
		if len(r.status().Pending) != 1 {
			t.Error("the flight ended with its callers")
		}
	})
}

func TestFlightEnds(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		c.hangUp()
		<-c.done
		time.Sleep(5*time.Minute - time.Second)
		if len(r.status().Pending) != 1 {
			t.Error("it ended too early")
		}
		time.Sleep(2 * time.Second)
		if p := r.status().Pending; len(p) != 0 {
			t.Errorf("it never ends: %+v", p)
		}
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		wantCode(t, "a terminal that nobody sits at", waitErr(fg), ipc.CodeMFATimeout)
	})
}

// TestOneDeviceTwoKeys: the keys of one device wait for each other, and the
// code of one is not sent for the other.
func TestOneDeviceTwoKeys(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("dev2", "AKIAANNANNANNANNANN2", ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		one, two := r.helper("dev"), r.helper("dev2")
		synctest.Wait()
		if p := r.status().Pending; len(p) != 2 {
			t.Fatalf("pending: %+v", p)
		}
		if n := r.status().Prompts; n != 1 {
			t.Errorf("%d prompts at once", n)
		}
		m := r.start(ipc.OpMFA, ipc.MFAParams{}, ipc.AskTerminal)
		code := r.aws.code(annMFA, 0)
		<-m.prompts
		m.answers <- code
		<-m.prompts
		m.answers <- code
		if p := <-m.prompts; p.Reason != ipc.ReasonUsedCode {
			t.Errorf("prompt: %+v", p)
		}
		time.Sleep(timeStep)
		m.answers <- r.aws.code(annMFA, 0)
		if m.code() != "" {
			t.Fatal(m.err)
		}
		one.document(t)
		two.document(t)
		r.aws.codesSentOnce(t)
	})
}

// TestMFAForAFlightThatWaits: the flight that has the device is answered first,
// although another profile was named.
func TestMFAForAFlightThatWaits(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("dev2", "AKIAANNANNANNANNANN2", ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		one := r.helper("dev")
		synctest.Wait()
		two := r.helper("dev2")
		synctest.Wait()
		m := r.start(ipc.OpMFA, ipc.MFAParams{Profile: "dev2"}, ipc.AskTerminal)
		if p := <-m.prompts; p.Profile != "dev" {
			t.Errorf("first prompt: %+v", p)
		}
		m.answers <- r.aws.code(annMFA, 0)
		one.document(t)
		if p := <-m.prompts; p.Profile != "dev2" {
			t.Errorf("second prompt: %+v", p)
		}
		time.Sleep(timeStep)
		m.answers <- r.aws.code(annMFA, 0)
		two.document(t)
		if m.code() != "" {
			t.Error(m.err)
		}
	})
}

// TestMFACodeForOneOfTwoDevices: a code that does not say whose it is would be
// burnt on the wrong device, so it goes nowhere.
func TestMFACodeForOneOfTwoDevices(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("ops", bobKey, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::111122223333:user/bob", UserName: "bob", SerialNumber: bobMFA})
		r.add("dev2", "AKIAANNANNANNANNANN2", ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		ann, bob := r.helper("dev"), r.helper("ops")
		synctest.Wait()
		err := coded(waitErr(r.mfa(r.aws.code(bobMFA, 0))))
		if err.Code != ipc.CodeUsage || !strings.Contains(err.Hint, "broker mfa CODE -p PROFILE") {
			t.Errorf("error: %+v", err)
		}
		for _, want := range []string{annMFA + " (dev)", bobMFA + " (ops)"} {
			if !strings.Contains(err.Message, want) {
				t.Errorf("the message does not name %s: %s", want, err.Message)
			}
		}
		if n := r.aws.calls("GetSessionToken"); n != 0 || r.status().Pending[0].Attempt != 1 {
			t.Errorf("the code was used: %d calls", n)
		}
		m := r.start(ipc.OpMFA, ipc.MFAParams{Profile: "ops", Code: r.aws.code(bobMFA, 0)}, "")
		if m.code() != "" {
			t.Fatal(m.err)
		}
		bob.document(t)
		// Two flights of one device are no question.
		two := r.helper("dev2")
		synctest.Wait()
		if m := r.mfa(r.aws.code(annMFA, 0)); m.code() != "" {
			t.Fatal(m.err)
		}
		ann.document(t)
		if p := r.status().Pending; len(p) != 1 {
			t.Errorf("pending: %+v", p)
		}
		two.hangUp()
		r.aws.codesSentOnce(t)
	})
}

func TestMFAWithNothingPending(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		for _, p := range []ipc.MFAParams{{}, {Code: "123456"}, {Cancel: true}, {Cancel: true, Profile: "dev"}} {
			if err := refused(r, ipc.OpMFA, p); err.Code != ipc.CodeMFANotPending || err.Hint == "" {
				t.Errorf("%+v: %+v", p, err)
			}
		}
		wantCode(t, "five digits", refused(r, ipc.OpMFA, ipc.MFAParams{Code: "12345"}), ipc.CodeUsage)
		wantCode(t, "unknown profile", refused(r, ipc.OpMFA, ipc.MFAParams{Profile: "nobody"}), ipc.CodeNoProfile)
		// A profile is primed now, by code or by prompt.
		if err := waitErr(r.start(ipc.OpMFA, ipc.MFAParams{Profile: "dev", Code: r.aws.code(annMFA, 0)}, "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(timeStep)
		m := r.start(ipc.OpMFA, ipc.MFAParams{Profile: "dev"}, ipc.AskTerminal)
		<-m.prompts
		m.answers <- r.aws.code(annMFA, 0)
		if m.code() != "" {
			t.Fatal(m.err)
		}
		if n := r.aws.calls("GetSessionToken"); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		// Without a code and without a way to ask there is nothing to wait for.
		c := r.start(ipc.OpMFA, ipc.MFAParams{Profile: "dev"}, "")
		wantCode(t, "no way to ask", waitErr(c), ipc.CodeUsage)
		if p := r.status().Pending; len(p) != 0 {
			t.Errorf("it waits for a code that nobody can give: %+v", p)
		}
	})
}

// TestSerialIsCheckedBeforeTheCode: a device of somebody else is refused
// before anybody is asked; a user who may not list devices is not held up.
func TestF47SerialIsCheckedBeforeTheCode(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", "[profile dev]\nmfa_serial = "+bobMFA+"\n")
		wantCode(t, "somebody else's device", waitErr(r.helper("dev")), ipc.CodeMFASerial)
		r.write("aws/config", "[profile dev]\nmfa_serial = "+annMFA2+"\n")
		r.aws.failNext("ListMFADevices", &ipc.Error{Code: ipc.CodeAWSDenied, Message: "AccessDenied"})
		r.prime("dev")
		if n := r.status().Prompts; n != 1 {
			t.Errorf("%d prompts, want 1", n)
		}
	})
}

// TestUnverifiedKeyIsIdentified: a key stored with --no-verify learns whose it
// is before it asks for a code.
func TestUnverifiedKeyIsIdentified(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		r.add("dev", annKey, ipc.KeyDetails{SerialNumber: annMFA})
		got := r.prime("dev")
		if got.AccountID != account {
			t.Errorf("account %q", got.AccountID)
		}
		if k := r.status().Keys[0]; k.UserName != "ann" || k.ARN != annARN {
			t.Errorf("key: %+v", k)
		}
	})
}

// TestShutDownEndsFlights: everybody gets an answer.
func TestShutDownEndsFlights(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		r.tasks.close()
		if c.code() == "" {
			t.Error("it got credentials")
		}
		if r.helper("dev").code() == "" {
			t.Error("a late caller got credentials")
		}
	})
}

// TestNoCodeOrSecretInLogs: P34 for this package.
func TestP34NoCodeOrSecretInLogs(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		code := r.aws.code(annMFA, 0)
		r.aws.failNext("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSFailed, Message: "InternalFailure", Spent: true})
		h := r.helper("dev")
		synctest.Wait()
		m := r.mfa(code)
		<-m.done
		time.Sleep(timeStep)
		next := r.aws.code(annMFA, 0)
		<-r.mfa(next).done
		h.document(t)
		for _, no := range []string{code, next, "temporary-secret", "session-token"} {
			if strings.Contains(r.log.String(), no) {
				t.Errorf("the log shows %q", no)
			}
		}
		if !strings.Contains(r.log.String(), annKey) {
			t.Error("the log names no key: it is not looked at")
		}
	})
}
