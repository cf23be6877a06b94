// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The SHA-1 vectors of RFC 6238, appendix B, cut to the 6 digits of AWS.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	seed := []byte("12345678901234567890")
	for _, tt := range []struct {
		at   int64
		want string
	}{
		{59, "287082"},
		{1111111109, "081804"},
		{1111111111, "050471"},
		{1234567890, "005924"},
		{2000000000, "279037"},
	} {
		at := time.Unix(tt.at, 0)
		if got := totpCode(seed, stepOf(at, defaultStep)); got != tt.want {
			t.Errorf("code at %d = %s, want %s", tt.at, got, tt.want)
		}
		if end := stepEnd(stepOf(at, defaultStep), defaultStep); !end.After(at) || end.Sub(at) > defaultStep {
			t.Errorf("the step of %d ends at %d", tt.at, end.Unix())
		}
	}
	// 20000000000, the last vector, is beyond what a count of nanoseconds holds.
	if got := totpCode(seed, 20000000000/30); got != "353130" {
		t.Errorf("code of the last vector = %s, want 353130", got)
	}
}

func TestTOTPAgreesWithOathtool(t *testing.T) {
	t.Parallel()
	oathtool, err := exec.LookPath("oathtool")
	if err != nil {
		t.Fatal("oathtool is not installed: run make test, which installs it or says how")
	}
	r := newRig(t)
	for _, name := range []string{"ann", "bob", rootUserName} {
		device := mustUser(t, r, name).Devices[0]
		out, err := exec.CommandContext(t.Context(), oathtool, "--totp", "--base32", "--now", epoch.Format("2006-01-02 15:04:05 UTC"), device.TOTPSecret.Reveal()).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.CodeNow(device.SerialNumber)
		if want := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("code of %s = %s, %v; oathtool says %s", name, got, err, want)
		}
	}
}

func TestMFAAcceptsOneStepEitherWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		move time.Duration
		ok   bool
	}{
		{"now", 0, true},
		{"one step late", defaultStep, true},
		{"one step early", -defaultStep, true},
		{"two steps late", 2 * defaultStep, false},
		{"two steps early", -2 * defaultStep, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			code, err := r.CodeNow(r.serial("ann"))
			if err != nil {
				t.Fatal(err)
			}
			r.clock.advance(tt.move)
			a := r.do(ask{who: r.key("ann"), params: params("GetSessionToken", "SerialNumber", r.serial("ann"), "TokenCode", code)})
			if (a.code == "") != tt.ok {
				t.Errorf("%d %s: %s", a.status, a.code, a.message)
			}
		})
	}
}

func TestCodeIsShownOnce(t *testing.T) {
	t.Parallel()
	clock := &testClock{now: time.Now()}
	s, err := New(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set("totp_step=50ms"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 4 {
		code, err := s.Code(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		seen[code] = true
	}
	if len(seen) < 3 { // two of four may be equal by chance, once in 10^5 runs
		t.Errorf("4 calls showed %d codes", len(seen))
	}
	if waited := time.Since(clock.now); waited < 100*time.Millisecond {
		t.Errorf("4 codes of 50 ms in %s", waited)
	}
}

func TestCodeErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Code(ctx, r.serial("ann")); err != nil {
		t.Errorf("the first code: %v", err)
	}
	if _, err := r.Code(ctx, r.serial("ann")); err == nil {
		t.Error("the same time step gave two codes")
	}
	for _, serial := range []string{r.serial("cleo"), "arn:aws:iam::111122223333:mfa/nobody"} {
		if _, err := r.Code(t.Context(), serial); err == nil {
			t.Errorf("%s showed a code", serial)
		}
		if _, err := r.CodeNow(serial); err == nil {
			t.Errorf("%s showed a code", serial)
		}
	}
}

// A code that came in a request is not shown again, even if a knob kept the
// request from being carried out.
func TestArrivedCodeIsNotShownAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	code, err := r.CodeNow(r.serial("ann"))
	if err != nil {
		t.Fatal(err)
	}
	r.set("fail.GetSessionToken=InternalFailure:1")
	r.refused(r.key("ann"), "GetSessionToken", "SerialNumber", r.serial("ann"), "TokenCode", code).want(t, codeInternal, 500, known[codeInternal].message)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if again, err := r.Code(ctx, r.serial("ann")); err == nil {
		t.Errorf("the phone shows %s again", again)
	}
}

func TestOldCodesAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range int64(5000) {
		r.spent[codeStep{"x", defaultStep, i}] = true
	}
	r.session("ann")
	if n := len(r.spent); n != 1 {
		t.Errorf("%d codes are remembered, want 1", n)
	}
}
