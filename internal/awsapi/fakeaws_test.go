// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"credbroker/internal/fakeaws"
	"credbroker/internal/secret"
)

// pretend is an account, and a client of it.
type pretend struct {
	*fakeaws.Server
	t      *testing.T
	client *Client
	user   fakeaws.User
}

func newPretend(t *testing.T) pretend {
	t.Helper()
	server, err := fakeaws.New(fakeaws.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	return pretend{server, t, mustNew(t, testOptions(front.URL)), server.Users()[0]}
}

func (p pretend) keys() Keys {
	return Keys{AccessKeyID: p.user.AccessKeys[0].AccessKeyID, Secret: p.user.AccessKeys[0].SecretAccessKey}
}

func (p pretend) set(knobs ...string) {
	p.t.Helper()
	if err := p.Set(knobs...); err != nil {
		p.t.Fatal(err)
	}
}

// role returns the role of that name.
func (p pretend) role(name string) fakeaws.Role {
	p.t.Helper()
	for _, r := range p.Roles() {
		if r.RoleName == name {
			return r
		}
	}
	p.t.Fatalf("there is no role %s", name)
	return fakeaws.Role{}
}

// count returns how often an action was logged.
func (p pretend) count(action string) int {
	n := 0
	for _, e := range p.Log() {
		if e.Action == action {
			n++
		}
	}
	return n
}

func TestAgainstThePretendAccount(t *testing.T) {
	p := newPretend(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.set("totp_step=2s")
	serial := p.user.Devices[0].SerialNumber
	caller := p.client.LongLived(p.keys())

	began := time.Now()
	offset, err := p.client.Reach(ctx)
	if err != nil || offset.Abs() > 2*time.Second+time.Since(began) {
		t.Errorf("Reach: %v, %v", offset, err)
	}
	id, err := caller.GetCallerIdentity(ctx)
	if err != nil || id.ARN != p.user.ARN || id.AccountID != p.AccountID() || id.UserName != p.user.UserName {
		t.Errorf("GetCallerIdentity: %+v, %v", id, err)
	}
	devices, err := caller.ListMFADevices(ctx, "")
	if err != nil || len(devices) != len(p.user.Devices) || devices[0].SerialNumber != serial || devices[0].EnableDate.IsZero() {
		t.Errorf("ListMFADevices: %+v, %v", devices, err)
	}
	user, err := caller.GetUser(ctx, "")
	if err != nil || user.ARN != p.user.ARN || user.UserID != p.user.UserID || user.CreateDate.IsZero() {
		t.Errorf("GetUser: %+v, %v", user, err)
	}

	code, err := p.Code(ctx, serial)
	if err != nil {
		t.Fatal(err)
	}
	session, err := caller.GetSessionToken(ctx, SessionTokenInput{SerialNumber: serial, TokenCode: code, DurationSeconds: 43200})
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(session.Expiration); life < 11*time.Hour || life > 12*time.Hour {
		t.Errorf("the session lasts %v, want 12h", life)
	}
	_, err = caller.GetSessionToken(ctx, SessionTokenInput{SerialNumber: serial, TokenCode: code, DurationSeconds: 900})
	wantError(t, err, codeMFAWrong) // each code works once
	_, err = caller.GetSessionToken(ctx, SessionTokenInput{SerialNumber: serial + "x", TokenCode: code, DurationSeconds: 900})
	wantError(t, err, codeMFASerial)

	// One code, three hops.
	hop := session
	for i, name := range []string{"dev-hop1", "dev-hop2", "dev-hop3"} {
		in := AssumeRoleInput{RoleARN: p.role(name).ARN, RoleSessionName: "ann", DurationSeconds: 3600}
		if i == 0 { // what is transitive cannot be set again
			in.Tags, in.TransitiveTagKeys = []Tag{{"team", "a b"}, {"cost", "=+/"}}, []string{"team"}
		}
		if hop, err = p.client.Temporary(hop).AssumeRole(ctx, in); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if hop.AccountID != p.AccountID() {
			t.Errorf("%s: account %q", name, hop.AccountID)
		}
	}
	other, err := p.client.Temporary(session).AssumeRole(ctx, AssumeRoleInput{RoleARN: p.role("audit").ARN, RoleSessionName: "ann", DurationSeconds: 900})
	if err != nil || other.AccountID != p.role("audit").AccountID {
		t.Errorf("a role of another account, with a path: %+v, %v", other, err)
	}
	id, err = p.client.Temporary(other).GetCallerIdentity(ctx)
	if err != nil || id.UserName != "" || id.AccountID != other.AccountID {
		t.Errorf("identity of a role: %+v, %v", id, err)
	}

	// The limits.
	first, err := p.client.Temporary(session).AssumeRole(ctx, AssumeRoleInput{RoleARN: p.role("dev-hop1").ARN, RoleSessionName: "ann", DurationSeconds: 3600})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.client.Temporary(first).AssumeRole(ctx, AssumeRoleInput{RoleARN: p.role("dev-hop2").ARN, RoleSessionName: "ann", DurationSeconds: 7200})
	wantError(t, err, codeDuration)
	_, err = p.client.Temporary(session).AssumeRole(ctx, AssumeRoleInput{RoleARN: p.role("dev").ARN, RoleSessionName: "ann", DurationSeconds: 43200})
	wantError(t, err, codeDuration)
	_, err = p.client.Temporary(session).AssumeRole(ctx, AssumeRoleInput{RoleARN: p.role("dev-external").ARN, RoleSessionName: "ann", DurationSeconds: 900})
	wantError(t, err, codeRoleDenied)
	_, err = p.client.Temporary(session).GetSessionToken(ctx, SessionTokenInput{DurationSeconds: 900})
	wantError(t, err, codeDenied)
}

func TestRefusalsOfThePretendAccount(t *testing.T) {
	p := newPretend(t)
	key := p.keys().AccessKeyID
	serial := p.user.Devices[0].SerialNumber
	ask := func(c *Caller) error {
		_, err := c.GetSessionToken(t.Context(), SessionTokenInput{SerialNumber: serial, TokenCode: "000000", DurationSeconds: 900})
		return err
	}
	wrong := p.keys()
	wrong.Secret = secret.New(testSecret)
	tests := []struct {
		knob string
		call func() error
		want string
	}{
		{"key." + key + "=Inactive", func() error { return ask(p.client.LongLived(p.keys())) }, codeKeyUnknown},
		{"key." + key + "=deleted", func() error { return ask(p.client.LongLived(p.keys())) }, codeKeyUnknown},
		{"policy=none", func() error { return ask(p.client.LongLived(wrong)) }, codeSecret},
		{"policy=none", func() error { return ask(p.client.Temporary(testSession)) }, codeExpired},
		{"now=+1h", func() error { return ask(p.client.LongLived(p.keys())) }, codeClock},
		{"now=-1h", func() error { return ask(p.client.LongLived(p.keys())) }, codeClock},
		{"throttle=0/s", func() error { return ask(p.client.LongLived(p.keys())) }, codeThrottled},
		{"fail.GetSessionToken=ServiceUnavailable", func() error { return ask(p.client.LongLived(p.keys())) }, codeUnavailable},
		{"fail.GetSessionToken=RegionDisabledException", func() error { return ask(p.client.LongLived(p.keys())) }, codeRegion},
		{"fail.GetSessionToken=ExpiredToken", func() error { return ask(p.client.LongLived(p.keys())) }, codeExpired},
		{"drop.GetSessionToken=before", func() error { return ask(p.client.LongLived(p.keys())) }, codeUnreachable},
		{"drop.GetSessionToken=after", func() error { return ask(p.client.LongLived(p.keys())) }, codeUnreachable},
		{"policy=quarantine", func() error { return ask(p.client.LongLived(p.keys())) }, codeQuarantined},
		{"policy=deny:GetSessionToken", func() error { return ask(p.client.LongLived(p.keys())) }, codeExplicit},
		{"body.GetSessionToken=garbage", func() error { return ask(p.client.LongLived(p.keys())) }, codeGarbage},
		{"body.GetSessionToken=html", func() error { return ask(p.client.LongLived(p.keys())) }, codeGarbage},
		{"body.GetSessionToken=huge", func() error { return ask(p.client.LongLived(p.keys())) }, codeGarbage},
	}
	for _, test := range tests {
		t.Run(test.knob+" "+test.want, func(t *testing.T) {
			p.Reset()
			p.set(test.knob)
			if e := wantError(t, test.call(), test.want); !e.Sent || strings.Contains(e.Error(), "000000") {
				t.Errorf("Sent is %t, text %q", e.Sent, e.Error())
			}
			if n := p.count("GetSessionToken"); n != 1 {
				t.Errorf("the code was sent %d times", n)
			}
		})
	}
}

func TestF28ThrottledCallsAreRepeated(t *testing.T) {
	p := newPretend(t)
	p.set("fail.GetCallerIdentity=Throttling:2")
	if _, err := p.client.LongLived(p.keys()).GetCallerIdentity(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := p.count("GetCallerIdentity"); n != 3 {
		t.Errorf("sent %d times, want 3", n)
	}
}
