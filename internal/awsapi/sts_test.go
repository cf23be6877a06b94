// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestGetSessionToken(t *testing.T) {
	var form url.Values
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form = r.PostForm
		answer(200, session(expiration(end)))(w, r)
	})
	got, err := mint(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessKeyID != "ASIAQWERTYUIOPASDFGH" || got.SecretAccessKey.Reveal() != testSecret || got.SessionToken.Reveal() != testToken || !got.Expiration.Equal(end) {
		t.Errorf("credentials are %+v", got)
	}
	want := url.Values{
		"Action": {"GetSessionToken"}, "Version": {"2011-06-15"},
		"SerialNumber": {testSerial}, "TokenCode": {testCode}, "DurationSeconds": {"3600"},
	}
	if form.Encode() != want.Encode() {
		t.Errorf("sent %s, want %s", form.Encode(), want.Encode())
	}
	if _, err := c.LongLived(testKeys).GetSessionToken(t.Context(), SessionTokenInput{DurationSeconds: 3600}); err != nil {
		t.Fatal(err)
	}
	if form.Has("SerialNumber") || form.Has("TokenCode") {
		t.Errorf("a session without MFA sent %s", form.Encode())
	}
}

func TestHalfAPairIsNotSent(t *testing.T) {
	c, requests := serve(t, answer(200, session(hour())))
	k := c.LongLived(testKeys)
	for _, in := range []SessionTokenInput{
		{SerialNumber: testSerial}, {TokenCode: testCode}, {SerialNumber: testSerial, TokenCode: "12345"}, {SerialNumber: testSerial, TokenCode: "12345x"},
	} {
		in.DurationSeconds = 900
		_, err := k.GetSessionToken(t.Context(), in)
		if e := wantError(t, err, codeMFAUnknown); e.Sent {
			t.Errorf("Sent is true for %+v", in)
		}
		_, err = k.AssumeRole(t.Context(), AssumeRoleInput{SerialNumber: in.SerialNumber, TokenCode: in.TokenCode, DurationSeconds: 900})
		wantError(t, err, codeMFAUnknown)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestClockIsCorrectedOnce shows that a wrong clock costs a call without a code
// one repeat, and that a call with a code is not repeated for it.
func TestClockIsCorrectedOnce(t *testing.T) {
	const wrong = 3 * time.Hour
	c, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // Reach
			refuse(403, "MissingAuthenticationToken", "")(w, r)
			return
		}
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil {
			t.Error(err)
		}
		if time.Since(signed).Abs() > 15*time.Minute {
			refuse(403, "SignatureDoesNotMatch", "Signature not yet current: x")(w, r)
			return
		}
		answer(200, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/team/ann</Arn>"+
			"<UserId>AIDA1</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")(w, r)
	})
	c.now = func() time.Time { return time.Now().Add(wrong) }

	_, err := mint(t.Context(), c)
	wantError(t, err, codeClock)
	if n := requests.Load(); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	requests.Store(0)
	id, err := c.LongLived(testKeys).GetCallerIdentity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identity{AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:user/team/ann", UserID: "AIDA1", UserName: "ann"}); id != want {
		t.Errorf("identity is %+v, want %+v", id, want)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("sent %d times, want twice", n)
	}
	began := time.Now()
	offset, err := c.Reach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if (offset + wrong).Abs() > 2*time.Second+time.Since(began) {
		t.Errorf("Reach says %v, want about %v", offset, -wrong)
	}
}

func TestReach(t *testing.T) {
	c, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" {
			t.Errorf("%s with authorization %q, want an unsigned GET", r.Method, r.Header.Get("Authorization"))
		}
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		refuse(403, "MissingAuthenticationToken", "Request is missing Authentication Token")(w, r)
	})
	began := time.Now()
	offset, err := c.Reach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if (offset + time.Hour).Abs() > 2*time.Second+time.Since(began) {
		t.Errorf("offset is %v, want about -1h", offset)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestUserNames(t *testing.T) {
	tests := []struct{ arn, want string }{
		{"arn:aws:iam::111122223333:user/ann", "ann"},
		{"arn:aws-cn:iam::111122223333:user/team/a/ann", "ann"},
		{"arn:aws:iam::111122223333:root", ""},
		{"arn:aws:sts::111122223333:assumed-role/deploy/ann", ""},
	}
	for _, test := range tests {
		a, ok := parseARN(test.arn)
		if !ok || a.userName() != test.want {
			t.Errorf("user name of %s is %q (%t), want %q", test.arn, a.userName(), ok, test.want)
		}
	}
	for _, bad := range []string{"", "arn", "arn:aws:s3:::bucket", "arn:aws:iam::1234:user/ann", "arn::iam::111122223333:user/ann"} {
		if _, ok := parseARN(bad); ok {
			t.Errorf("%q was taken for an ARN", bad)
		}
	}
}

func FuzzGetSessionTokenAnswer(f *testing.F) {
	f.Add(200, []byte(session(hour())))
	f.Add(403, []byte("<ErrorResponse><Error><Code>AccessDenied</Code><Message>x</Message></Error></ErrorResponse>"))
	f.Add(200, []byte("<a><b>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := mustNew(t, testOptions(""))
		c.http.client.Transport = canned{status, body}
		got, err := mint(t.Context(), c)
		if err == nil {
			if _, err := got.Encode(); err != nil {
				t.Errorf("accepted credentials that no SDK would: %v", err)
			}
		}
	})
}
