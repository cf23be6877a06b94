// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// session returns a caller with a session of the user, made with MFA.
func (p pretend) session() *Caller {
	p.t.Helper()
	code, err := p.Code(p.t.Context(), "")
	if err != nil {
		p.t.Fatal(err)
	}
	session, err := p.client.LongLived(p.keys()).GetSessionToken(p.t.Context(), SessionTokenInput{
		SerialNumber: p.user.Devices[0].SerialNumber, TokenCode: code, DurationSeconds: 3600,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.client.Temporary(session)
}

// A rotation, call by call, under the policy that forces MFA.
func TestAccessKeys(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	p.set("policy=force-mfa")
	name, old := p.user.UserName, p.keys()
	_, err := p.client.LongLived(old).ListAccessKeys(ctx, "")
	if e := wantError(t, err, codeExplicit); e.Permission != "iam:ListAccessKeys" || !e.Refused() {
		t.Errorf("without MFA: %#v", e)
	}
	c := p.session()
	keys, err := c.ListAccessKeys(ctx, name)
	if err != nil || len(keys) != 1 || keys[0].AccessKeyID != old.AccessKeyID || !keys[0].Active || time.Since(keys[0].CreateDate) < 29*24*time.Hour {
		t.Fatalf("ListAccessKeys: %+v, %v", keys, err)
	}
	use, err := c.GetAccessKeyLastUsed(ctx, old.AccessKeyID)
	if err != nil || use.ServiceName != "sts" || use.Region != "eu-west-1" || time.Since(use.Date) > time.Minute {
		t.Errorf("GetAccessKeyLastUsed: %+v, %v", use, err)
	}
	fresh, err := c.CreateAccessKey(ctx, name)
	if err != nil || time.Since(fresh.CreateDate) > time.Minute {
		t.Fatalf("CreateAccessKey: %+v, %v", fresh, err)
	}
	if text := fmt.Sprintf("%v %+v", fresh, fresh); strings.Contains(text, fresh.SecretAccessKey.Reveal()) {
		t.Errorf("the new key prints as %s", text)
	}
	_, err = c.CreateAccessKey(ctx, name)
	wantError(t, err, codeKeyQuota)
	if n := p.count("CreateAccessKey"); n != 2 {
		t.Errorf("CreateAccessKey was sent %d times, want 2", n)
	}
	if use, err := c.GetAccessKeyLastUsed(ctx, fresh.AccessKeyID); err != nil || use != (LastUse{}) {
		t.Errorf("last use of a new key: %+v, %v", use, err)
	}
	id, err := p.client.LongLived(Keys{fresh.AccessKeyID, fresh.SecretAccessKey}).GetCallerIdentity(ctx)
	if err != nil || id.ARN != p.user.ARN {
		t.Errorf("the new key is %+v, %v", id, err)
	}
	for _, active := range []bool{false, true, false} {
		if err := c.UpdateAccessKey(ctx, name, old.AccessKeyID, active); err != nil {
			t.Errorf("UpdateAccessKey: %v", err)
		}
		keys, err := c.ListAccessKeys(ctx, name)
		if err != nil || len(keys) != 2 || keys[0].Active != active || !keys[1].Active {
			t.Errorf("after UpdateAccessKey %t: %+v, %v", active, keys, err)
		}
	}
	_, err = p.client.LongLived(old).GetCallerIdentity(ctx)
	wantError(t, err, codeKeyUnknown)
	if err := c.DeleteAccessKey(ctx, name, old.AccessKeyID); err != nil {
		t.Errorf("DeleteAccessKey: %v", err)
	}
	for _, err := range []error{c.DeleteAccessKey(ctx, name, old.AccessKeyID), c.UpdateAccessKey(ctx, name, old.AccessKeyID, true)} {
		if e := wantError(t, err, codeKeyGone); !e.NotFound() {
			t.Errorf("of a key that is gone: %v", e)
		}
	}
	_, err = c.GetAccessKeyLastUsed(ctx, old.AccessKeyID)
	wantError(t, err, codeDenied)
	_, err = c.ListAccessKeys(ctx, "nobody")
	if e := wantError(t, err, codeFailed); !e.NotFound() {
		t.Errorf("of nobody: %v", e)
	}
}

// A request to make a key is sent once, whatever becomes of it.
func TestCreateAccessKeyIsSentOnce(t *testing.T) {
	t.Parallel()
	p := newPretend(t)
	for _, tt := range []struct {
		knob, want string
		keys       int // after it
		refused    bool
	}{
		{"drop.CreateAccessKey=before", codeUnreachable, 1, false},
		{"drop.CreateAccessKey=after", codeUnreachable, 2, false},
		{"body.CreateAccessKey=html", codeGarbage, 2, false},
		{"fail.CreateAccessKey=500", codeUnavailable, 1, false},
		{"fail.CreateAccessKey=Throttling", codeThrottled, 1, true},
		{"throttle=0/s", codeThrottled, 1, true},
	} {
		p.Reset()
		p.set(tt.knob)
		key, err := p.client.LongLived(p.keys()).CreateAccessKey(t.Context(), "")
		e := wantError(t, err, tt.want)
		if !e.Sent || e.Refused() != tt.refused || key.AccessKeyID != "" || p.count("CreateAccessKey") != 1 {
			t.Errorf("%s: sent %t, refused %t, %d times", tt.knob, e.Sent, e.Refused(), p.count("CreateAccessKey"))
		}
		if u, _ := p.User("ann"); len(u.AccessKeys) != tt.keys {
			t.Errorf("%s leaves %d keys, want %d", tt.knob, len(u.AccessKeys), tt.keys)
		}
	}
}

// What may be repeated is, and finds its own work done.
func TestLostRepliesOfIAM(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	c, id := p.client.LongLived(p.keys()), p.keys().AccessKeyID
	p.set("drop.UpdateAccessKey=after:1", "drop.DeleteAccessKey=after:1", "fail.ListAccessKeys=Throttling:2", "drop.PutUserPolicy=after:1", "drop.DeleteUserPolicy=after:1")
	fresh, err := c.CreateAccessKey(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := c.ListAccessKeys(ctx, ""); err != nil || len(keys) != 2 {
		t.Errorf("ListAccessKeys: %+v, %v", keys, err)
	}
	if err := c.UpdateAccessKey(ctx, "", id, true); err != nil {
		t.Errorf("UpdateAccessKey: %v", err)
	}
	wantError(t, c.DeleteAccessKey(ctx, "", fresh.AccessKeyID), codeKeyGone)
	if err := c.PutUserPolicy(ctx, "bob", "Stop", revocation); err != nil {
		t.Errorf("PutUserPolicy: %v", err)
	}
	if e := wantError(t, c.DeleteUserPolicy(ctx, "bob", "Stop"), codeFailed); !e.NotFound() {
		t.Errorf("DeleteUserPolicy: %v", e)
	}
}

const revocation = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2099-01-01T00:00:00Z"}}}]}`

func TestUserPolicies(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	c, admin, name := p.session(), p.client.LongLived(p.keys()), p.user.UserName
	if policies, err := c.ListAttachedUserPolicies(ctx, name); err != nil || len(policies) != 0 {
		t.Errorf("ListAttachedUserPolicies: %+v, %v", policies, err)
	}
	if err := c.PutUserPolicy(ctx, name, "Revoke", revocation); err != nil {
		t.Fatal(err)
	}
	_, err := c.GetUser(ctx, name)
	if e := wantError(t, err, codeExplicit); e.Permission != "iam:GetUser" {
		t.Errorf("a revoked session: %#v", e)
	}
	if _, err := admin.GetUser(ctx, name); err != nil { // a key has no issue time
		t.Errorf("the key itself: %v", err)
	}
	if err := admin.DeleteUserPolicy(ctx, name, "Revoke"); err != nil {
		t.Errorf("DeleteUserPolicy: %v", err)
	}
	if _, err := c.GetUser(ctx, name); err != nil {
		t.Errorf("after it was lifted: %v", err)
	}
	wantError(t, c.PutUserPolicy(ctx, name, "Revoke", "{}"), codeFailed)

	p.set("policy=quarantine")
	policies, err := c.ListAttachedUserPolicies(ctx, name)
	if err != nil || len(policies) != 2 || !policies[0].Quarantine() || !policies[1].Quarantine() {
		t.Errorf("in quarantine: %+v, %v", policies, err)
	}
	p.set("policy=force-mfa")
	if policies, err = c.ListAttachedUserPolicies(ctx, name); err != nil || len(policies) != 1 || policies[0].PolicyName != "ForceMFA" || policies[0].Quarantine() {
		t.Errorf("with MFA forced: %+v, %v", policies, err)
	}
	for arn, want := range map[string]bool{
		"arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantine":         true,
		"arn:aws:iam::111122223333:policy/AWSCompromisedKeyQuarantineV9": false, // not AWS's own
		"arn:aws:iam::aws:policy/AdministratorAccess":                    false,
	} {
		if got := (AttachedPolicy{PolicyARN: arn}).Quarantine(); got != want {
			t.Errorf("%s: %t", arn, got)
		}
	}
}

// Each refusal of IAM names the permission that the caller would need.
func TestRefusalsOfIAMNameThePermission(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	c, id := p.session(), p.keys().AccessKeyID
	for action, do := range map[string]func() error{
		"ListMFADevices":           func() error { _, err := c.ListMFADevices(ctx, "ann"); return err },
		"GetUser":                  func() error { _, err := c.GetUser(ctx, "ann"); return err },
		"ListAccessKeys":           func() error { _, err := c.ListAccessKeys(ctx, "ann"); return err },
		"CreateAccessKey":          func() error { _, err := c.CreateAccessKey(ctx, "ann"); return err },
		"UpdateAccessKey":          func() error { return c.UpdateAccessKey(ctx, "ann", id, true) },
		"DeleteAccessKey":          func() error { return c.DeleteAccessKey(ctx, "ann", id) },
		"GetAccessKeyLastUsed":     func() error { _, err := c.GetAccessKeyLastUsed(ctx, id); return err },
		"ListAttachedUserPolicies": func() error { _, err := c.ListAttachedUserPolicies(ctx, "ann"); return err },
		"PutUserPolicy":            func() error { return c.PutUserPolicy(ctx, "ann", "Revoke", revocation) },
		"DeleteUserPolicy":         func() error { return c.DeleteUserPolicy(ctx, "ann", "Revoke") },
	} {
		for knob, want := range map[string]string{"policy=deny:" + action: codeExplicit, "fail." + action + "=AccessDenied": codeDenied} {
			p.Reset()
			p.set(knob)
			if e := wantError(t, do(), want); e.Permission != "iam:"+action || strings.Count(e.Error(), "iam:"+action) != 1 || e.Action != action {
				t.Errorf("%s: permission %q in %q", knob, e.Permission, e.Error())
			}
		}
	}
	p.Reset()
	p.set("fail.GetUser=Throttling", "fail.CreateAccessKey=500")
	_, err := c.GetUser(ctx, "ann")
	if e := wantError(t, err, codeThrottled); e.Permission != "" {
		t.Errorf("throttling wants %s", e.Permission)
	}
}

// A list is followed to its end, and only there is a page asked for again.
func TestListAccessKeysInPages(t *testing.T) {
	t.Parallel()
	member := func(id, date string) string {
		return `<member><UserName>ann</UserName><AccessKeyId>` + id + `</AccessKeyId><Status>Expired</Status>` + date + `</member>`
	}
	list := func(members, next string) string {
		return `<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata>` + members + `</AccessKeyMetadata>` + next + `</ListAccessKeysResult></ListAccessKeysResponse>`
	}
	const first, second, date = "AKIAQWERTYUIOPASDFGH", "AKIAQWERTYUIOPASDFGI", "<CreateDate>2026-01-02T03:04:05Z</CreateDate>"
	more := "<IsTruncated>true</IsTruncated><Marker>next</Marker>"
	failed := false
	c, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch marker := r.FormValue("Marker"); {
		case marker == "":
			answer(200, list(member(first, date), more))(w, r)
		case marker == "next" && !failed:
			failed = true
			refuse(400, "Throttling", "Rate exceeded")(w, r)
		default:
			answer(200, list(member(second, date), "<IsTruncated>false</IsTruncated>"))(w, r)
		}
	})
	keys, err := c.LongLived(testKeys).ListAccessKeys(t.Context(), "")
	if err != nil || len(keys) != 2 || keys[0].AccessKeyID != first || keys[1].AccessKeyID != second || keys[0].Active || requests.Load() != 3 {
		t.Errorf("%+v, %v after %d requests", keys, err, requests.Load())
	}
	for name, body := range map[string]string{
		"a list without an end": list(member(first, date), more),
		"a key without a date":  list(member(first, ""), ""),
		"a key with a bad ID":   list(member("AKIA QWERTYUIOPASDFGH", date), ""),
	} {
		c, _ := serve(t, answer(200, body))
		keys, err := c.LongLived(testKeys).ListAccessKeys(t.Context(), "")
		if e := wantError(t, err, codeGarbage); !e.Sent || e.Action != "ListAccessKeys" || keys != nil {
			t.Errorf("%s: %v, %+v", name, e, keys)
		}
	}
}

// A new key that cannot be used, or be told of, is none.
func TestCreateAccessKeyChecksTheAnswer(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"no key":    "",
		"no secret": "<AccessKey><AccessKeyId>AKIAQWERTYUIOPASDFGH</AccessKeyId></AccessKey>",
		"no ID":     "<AccessKey><SecretAccessKey>" + testSecret + "</SecretAccessKey></AccessKey>",
		"a newline": "<AccessKey><AccessKeyId>AKIAQWERTYUIOPASDFGH</AccessKeyId><SecretAccessKey>" + testSecret + "\nx</SecretAccessKey></AccessKey>",
	} {
		c, requests := serve(t, answer(200, `<CreateAccessKeyResponse><CreateAccessKeyResult>`+key+`</CreateAccessKeyResult></CreateAccessKeyResponse>`))
		got, err := c.LongLived(testKeys).CreateAccessKey(t.Context(), "ann")
		if e := wantError(t, err, codeGarbage); !e.Sent || e.Refused() || got.AccessKeyID != "" || requests.Load() != 1 {
			t.Errorf("%s: %+v, %v", name, got, e)
		}
	}
}
