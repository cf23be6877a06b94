// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestKnobErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const actionList = "AssumeRole, CreateAccessKey, DeleteAccessKey, DeleteUserPolicy, GenerateServiceLastAccessedDetails, " +
		"GetAccessKeyLastUsed, GetCallerIdentity, GetServiceLastAccessedDetails, GetSessionToken, GetUser, GetUserPolicy, " +
		"ListAccessKeys, ListAttachedUserPolicies, ListMFADevices, LookupEvents, PutUserPolicy, UpdateAccessKey"
	for _, tt := range []struct{ setting, want string }{
		{"now", `set "now": write KNOB=VALUE`},
		{"clock=+1h", "set clock=+1h: no such knob; the knobs are " + knobNames},
		{"lag.GetUser=1s", "set lag.GetUser=1s: no such knob; the knobs are " + knobNames},
		{"now=tomorrow", `set now=tomorrow: "tomorrow" is not a duration such as 90s`},
		{"totp_step=0s", "set totp_step=0s: the duration is under 10ms"},
		{"session_life=-1s", "set session_life=-1s: the duration is under 0s"},
		{"throttle=5", `set throttle=5: "5" is not a rate such as 5/s`},
		{"throttle=-1/s", `set throttle=-1/s: "-1/s" is not a rate such as 5/s`},
		{"delay.GetThing=1s", "set delay.GetThing=1s: no such action; the actions are " + actionList},
		{"fail.GetUser=broken", `set fail.GetUser=broken: "broken" is not an error code of AWS`},
		{"fail.GetUser=Throttling:0", `set fail.GetUser=Throttling:0: the count "0" is not a number from 1`},
		{"drop.GetUser=later", `set drop.GetUser=later: "later" is not before or after`},
		{"body.GetUser=empty", "set body.GetUser=empty: a body is garbage, huge or html"},
		{"key.AKIAX=Inactive", "set key.AKIAX=Inactive: the account has no key AKIAX"},
		{"key." + r.key("ann").AccessKeyID + "=active", "set key." + r.key("ann").AccessKeyID + "=active: a key is Active, Inactive or deleted"},
		{"propagation=soon", `set propagation=soon: "soon" is not a duration such as 90s`},
		{"propagation=15s:jump", `set propagation=15s:jump: "15s:jump" is not a duration such as 90s`},
		{"last_used_lag=-1s", "set last_used_lag=-1s: the duration is under 0s"},
		{"policy=strict", "set policy=strict: a policy is none, force-mfa, quarantine or deny:ACTION"},
		{"policy=deny:Fly", "set policy=deny:Fly: no such action; the actions are " + actionList},
		{"policy=deny:iam:AssumeRole", "set policy=deny:iam:AssumeRole: no such action; the actions are " + actionList},
		{"policy=deny:GetCallerIdentity", "set policy=deny:GetCallerIdentity: AWS allows GetCallerIdentity even under a deny"},
	} {
		// A good knob before a bad one must not stick.
		if err := r.Set("now=+24h", tt.setting); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.setting, err, tt.want)
		}
	}
	if !r.Now().Equal(epoch) {
		t.Errorf("the clock shows %s after refused settings", r.Now())
	}
}

func TestKnobNow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("now=+20m")
	r.set("now=+20m") // from the machine's clock, not from the last setting
	if want := epoch.Add(20 * time.Minute); !r.Now().Equal(want) {
		t.Errorf("the clock shows %s, want %s", r.Now(), want)
	}
	if a := r.do(ask{who: r.key("ann"), params: params("GetCallerIdentity"), at: epoch}); a.code != codeSignature || a.header.Get("Date") != "Wed, 04 Mar 2026 05:26:07 GMT" {
		t.Errorf("%s with Date %q", a.code, a.header.Get("Date"))
	}
	r.set("now=-20m")
	if a := r.do(ask{who: r.key("ann"), params: params("GetCallerIdentity"), at: epoch}); !strings.HasPrefix(a.message, "Signature not yet current") {
		t.Errorf("%s: %s", a.code, a.message)
	}
}

func TestKnobTOTPStepAndSessionLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("totp_step=2s", "session_life=3s")
	code, err := r.Code(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	r.clock.advance(4 * time.Second)
	if a := r.refused(r.key("ann"), "GetSessionToken", "SerialNumber", r.serial("ann"), "TokenCode", code); a.message != textMFACode {
		t.Errorf("a code two steps old: %s", a.message)
	}
	who := r.session("ann")
	r.clock.advance(3 * time.Second)
	if a := r.refused(who, "GetCallerIdentity"); a.code != codeExpiredToken {
		t.Errorf("after its life: %s", a.code)
	}
}

func TestKnobFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value, code, kind, text string
		status                  int
	}{
		{"InternalFailure", "InternalFailure", "Receiver", "We encountered an internal error. Please try again.", 500},
		{"500", "InternalFailure", "Receiver", "We encountered an internal error. Please try again.", 500},
		{"503", "ServiceUnavailable", "Receiver", "Service Unavailable", 503},
		{"Throttling", "Throttling", "Sender", "Rate exceeded", 400},
		{"AccessDenied", "AccessDenied", "Sender", "Access denied", 403},
		{"RegionDisabledException", "RegionDisabledException", "Sender", known[codeRegionDisabled].message, 403},
		{"SomethingNew", "SomethingNew", "Sender", "SomethingNew", 400},
	} {
		r := newRig(t)
		r.set("fail.GetUser=" + tt.value + ":2")
		for range 2 {
			a := r.refused(r.key("ann"), "GetUser")
			a.want(t, tt.code, tt.status, tt.text)
			if !strings.Contains(string(a.body), "<Type>"+tt.kind+"</Type>") {
				t.Errorf("%s: not of type %s: %s", tt.value, tt.kind, a.body)
			}
		}
		r.call(r.key("ann"), nil, "GetUser")
		r.set("fail.GetUser=" + tt.value)
		for range 3 {
			r.refused(r.key("ann"), "GetUser")
		}
		r.call(r.key("ann"), nil, "ListMFADevices")
		r.set("fail.GetUser=none")
		r.call(r.key("ann"), nil, "GetUser")
	}
}

func TestKnobThrottle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("throttle=2/s")
	for range 2 {
		r.call(r.key("ann"), nil, "GetCallerIdentity")
	}
	r.refused(r.key("ann"), "GetCallerIdentity").want(t, codeThrottling, 400, "Rate exceeded")
	r.clock.advance(time.Second)
	r.call(r.key("ann"), nil, "GetCallerIdentity")
	r.set("throttle=0/s")
	r.refused(r.key("ann"), "GetCallerIdentity")
	r.set("throttle=none")
	r.call(r.key("ann"), nil, "GetCallerIdentity")
}

// dropped sends a request whose reply must never come.
func (r *rig) dropped(who identity, action string, more ...string) {
	r.t.Helper()
	r.droppedAsk(ask{who: who, params: params(action, more...)})
}

func (r *rig) droppedAsk(a ask) {
	r.t.Helper()
	raw := r.wire(a)
	defer func() {
		if v := recover(); v != any(http.ErrAbortHandler) {
			r.t.Errorf("%s: the handler ended with %v, want http.ErrAbortHandler", a.params.Get("Action"), v)
		}
	}()
	r.send(raw)
}

func TestKnobDrop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value  string
		result string
		spent  bool
	}{
		{"before:1", "dropped", false},
		{"after:1", ResultOK, true},
	} {
		r := newRig(t)
		r.set("drop.GetSessionToken=" + tt.value)
		mfa := []string{"SerialNumber", r.serial("ann"), "TokenCode", r.freshCode("ann")}
		r.dropped(r.key("ann"), "GetSessionToken", mfa...)
		e := r.Log()[0]
		if e.Result != tt.result || e.Reply != "dropped" || (e.Issued != "") != tt.spent {
			t.Errorf("drop %s is logged as %+v", tt.value, e)
		}
		// The count is used up; whether the code is depends on when it was dropped.
		a := r.do(ask{who: r.key("ann"), params: params("GetSessionToken", mfa...)})
		if (a.code == codeAccessDenied) != tt.spent {
			t.Errorf("after drop %s the code gives %d %s", tt.value, a.status, a.code)
		}
	}
}

func TestDroppedReplyClosesTheConnection(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	if err := s.Set("drop.GetCallerIdentity=after"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.PostForm(server.URL, params("GetCallerIdentity"))
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
}

func TestKnobBody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct {
		value, kind, prefix string
		least               int
	}{
		{"html", "text/html; charset=utf-8", "<!DOCTYPE html>", 50},
		{"garbage", "text/xml", "\x00\xff", 10},
		{"huge", "text/xml", "<Response>", 100 << 20},
	} {
		r.set("body.GetCallerIdentity=" + tt.value)
		a := r.do(ask{who: r.key("ann"), params: params("GetCallerIdentity")})
		if a.status != http.StatusOK || a.header.Get("Content-Type") != tt.kind || !strings.HasPrefix(string(a.body), tt.prefix) || len(a.body) < tt.least {
			t.Errorf("%s: %d %s, %d bytes: %.40q", tt.value, a.status, a.header.Get("Content-Type"), len(a.body), a.body)
		}
		if e := r.Log()[len(r.Log())-1]; e.Reply != tt.value || e.Result != ResultOK {
			t.Errorf("%s is logged as %+v", tt.value, e)
		}
	}
	r.set("body.GetCallerIdentity=none")
	r.call(r.key("ann"), nil, "GetCallerIdentity")
}

// refusingWriter is a client that has gone.
type refusingWriter struct{ httptest.ResponseRecorder }

func (w *refusingWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestHugeBodyStopsWhenTheClientGoes(t *testing.T) {
	t.Parallel()
	w := &refusingWriter{*httptest.NewRecorder()}
	writeMangled(w, bodyHuge)
	if w.Body.Len() != 0 {
		t.Errorf("%d bytes", w.Body.Len())
	}
}

func TestKnobDelay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("delay.GetUser=50ms")
	start := time.Now()
	r.call(r.key("ann"), nil, "ListMFADevices")
	r.call(r.key("ann"), nil, "GetUser")
	if d := time.Since(start); d < 50*time.Millisecond {
		t.Errorf("answered after %s", d)
	}
	r.set("delay.GetUser=1h")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		r.delay(t.Context(), "GetUser")
	}()
	looks := 0
	eventually(t, func() bool {
		if looks++; looks == 4 { // by now it is held; it would not be if it came later
			r.set("delay.GetUser=0s")
		}
		select {
		case <-answered:
			return looks >= 4
		default:
			return false
		}
	})
	r.call(r.key("ann"), nil, "GetUser")
}

// A request whose client has gone is carried out all the same.
func TestDelayedRequestIsCarriedOutWithoutItsClient(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leave() // the client has sent it, and goes
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	if err := s.Set("delay.GetCallerIdentity=1h"); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/?"+params("GetCallerIdentity").Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Fatalf("answered %s", resp.Status)
	}
	eventually(t, func() bool { return len(s.Log()) == 1 })
}

func TestReset(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session("ann")
	used := []string{"SerialNumber", r.serial("ann"), "TokenCode", r.freshCode("ann")}
	r.call(r.key("ann"), nil, "GetSessionToken", used...)
	r.set("now=+1m", "policy=quarantine", "fail.GetUser=500", "throttle=0/s", "key."+r.key("ann").AccessKeyID+"=Inactive")
	r.Reset()
	if got := r.Log(); len(got) != 0 {
		t.Errorf("the log holds %d entries", len(got))
	}
	if !r.Now().Equal(r.clock.Now()) {
		t.Errorf("the clock is still off")
	}
	r.call(r.key("ann"), nil, "GetUser")
	r.call(session, nil, "GetCallerIdentity")
	r.refused(r.key("ann"), "GetSessionToken", used...).want(t, codeAccessDenied, 403, textMFACode)
}

// eventually waits for a condition, a minute at most.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("waited in vain")
		}
	}
}
