// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// keyList is what ListAccessKeys answers.
type keyList struct {
	Keys []struct {
		UserName   string
		ID         string `xml:"AccessKeyId"`
		Status     string
		CreateDate time.Time
	} `xml:"ListAccessKeysResult>AccessKeyMetadata>member"`
	Truncated bool   `xml:"ListAccessKeysResult>IsTruncated"`
	Marker    string `xml:"ListAccessKeysResult>Marker"`
}

// statuses are the keys of a list as "ID STATUS".
func (l keyList) statuses() []string {
	var list []string
	for _, k := range l.Keys {
		list = append(list, k.ID+" "+k.Status)
	}
	return list
}

// keysOf lists the keys of a user.
func (r *rig) keysOf(who identity, user string) []string {
	r.t.Helper()
	var got keyList
	r.call(who, &got, "ListAccessKeys", "UserName", user)
	return got.statuses()
}

// The whole life of a second key, by the session of its own user.
func TestKeyLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, old := r.session("bob"), r.key("bob")
	fresh := r.newKey(who, "bob")
	made := r.Now()
	if got := r.arnOf(fresh); got != "arn:aws:iam::111122223333:user/dev/team/bob" {
		t.Errorf("the new key is %s", got)
	}
	var got keyList
	r.call(who, &got, "ListAccessKeys", "UserName", "bob")
	if k := got.Keys; len(k) != 2 || k[0].ID != old.AccessKeyID || k[1].ID != fresh.AccessKeyID || k[1].UserName != "bob" ||
		!k[1].CreateDate.Equal(made.Truncate(time.Second)) || !k[0].CreateDate.Equal(epoch.AddDate(0, 0, -30)) {
		t.Errorf("the list is %+v", got)
	}
	r.call(who, nil, "UpdateAccessKey", "UserName", "bob", "AccessKeyId", old.AccessKeyID, "Status", "Inactive")
	r.refused(old, "GetCallerIdentity").want(t, codeInvalidToken, 403, known[codeInvalidToken].message)
	r.call(who, nil, "UpdateAccessKey", "UserName", "bob", "AccessKeyId", old.AccessKeyID, "Status", "Active")
	r.arnOf(old)
	r.call(who, &got, "ListAccessKeys", "UserName", "bob")
	if !got.Keys[0].CreateDate.Equal(epoch.AddDate(0, 0, -30)) {
		t.Errorf("activation has made the key one of %s", got.Keys[0].CreateDate)
	}
	r.call(who, nil, "DeleteAccessKey", "UserName", "bob", "AccessKeyId", old.AccessKeyID)
	r.refused(old, "GetCallerIdentity").want(t, codeInvalidToken, 403, known[codeInvalidToken].message)
	if got, want := r.keysOf(who, "bob"), []string{fresh.AccessKeyID + " Active"}; !slices.Equal(got, want) {
		t.Errorf("the list is %v, want %v", got, want)
	}
	r.arnOf(who) // a session outlives the key that it was made with
}

// The quota counts keys whatever their status, and deleting one makes room.
func TestKeyQuota(t *testing.T) {
	t.Parallel()
	for _, status := range []string{StatusActive, StatusInactive} {
		r := newRig(t)
		who := r.key("ann")
		second := r.newKey(who, "ann")
		r.call(who, nil, "UpdateAccessKey", "AccessKeyId", second.AccessKeyID, "Status", status)
		r.refused(who, "CreateAccessKey").want(t, "LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: 2")
		if got := r.keysOf(who, "ann"); len(got) != 2 {
			t.Errorf("a refused request has left %v", got)
		}
		r.newKey(who, "eve") // the quota is each user's own
		r.call(who, nil, "DeleteAccessKey", "AccessKeyId", second.AccessKeyID)
		r.newKey(who, "ann")
	}
}

func TestListAccessKeysInPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.key("ann")
	second := r.newKey(who, "ann")
	var first, rest keyList
	r.call(who, &first, "ListAccessKeys", "MaxItems", "1")
	if len(first.Keys) != 1 || !first.Truncated || first.Marker == "" {
		t.Fatalf("the first page is %+v", first)
	}
	r.call(who, &rest, "ListAccessKeys", "MaxItems", "1", "Marker", first.Marker)
	if !slices.Equal(rest.statuses(), []string{second.AccessKeyID + " Active"}) || rest.Truncated || rest.Marker != "" {
		t.Errorf("the second page is %+v", rest)
	}
	r.refused(who, "ListAccessKeys", "Marker", "elsewhere").want(t, codeValidation, 400, "Invalid Marker.")
	r.refused(who, "ListAccessKeys", "MaxItems", "0").want(t, codeValidation, 400,
		"1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1")
}

func TestKeyRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, bobs := r.key("ann"), r.key("bob").AccessKeyID
	session, plain := r.session("ann"), r.plainSession("ann")
	foreign := r.assume(ann, "audit").Assumed.identity()
	const unknown = "AKIAQAAAAAAAAAAAAAAA"
	for _, tt := range []struct {
		name, action string
		who          identity
		params       []string
		code         string
		status       int
		text         string
	}{
		{"session without a name", "ListAccessKeys", session, nil, codeValidation, 400, textNeedsUserName},
		{"session without a name", "CreateAccessKey", session, nil, codeValidation, 400, textNeedsUserName},
		{"session without a name", "UpdateAccessKey", session, []string{"AccessKeyId", ann.AccessKeyID, "Status", "Inactive"}, codeValidation, 400, textNeedsUserName},
		{"session without a name", "DeleteAccessKey", session, []string{"AccessKeyId", ann.AccessKeyID}, codeValidation, 400, textNeedsUserName},
		{"session without MFA", "CreateAccessKey", plain, []string{"UserName", "ann"}, codeInvalidToken, 403, known[codeInvalidToken].message},
		{"session without MFA", "GetAccessKeyLastUsed", plain, []string{"AccessKeyId", ann.AccessKeyID}, codeInvalidToken, 403, known[codeInvalidToken].message},
		{"nobody", "CreateAccessKey", ann, []string{"UserName", "nobody"}, codeNoSuchEntity, 404, "The user with name nobody cannot be found."},
		{"another account", "CreateAccessKey", foreign, []string{"UserName", "ann"}, codeNoSuchEntity, 404, "The user with name ann cannot be found."},
		{"key of somebody else", "DeleteAccessKey", ann, []string{"AccessKeyId", bobs}, codeNoSuchEntity, 404, "The Access Key with id " + bobs + " cannot be found."},
		{"unknown key", "UpdateAccessKey", ann, []string{"AccessKeyId", unknown, "Status", "Active"}, codeNoSuchEntity, 404, "The Access Key with id " + unknown + " cannot be found."},
		{"no key", "DeleteAccessKey", ann, nil, codeValidation, 400, "1 validation error detected: Value null at 'accessKeyId' failed to satisfy constraint: Member must not be null"},
		{"no status", "UpdateAccessKey", ann, []string{"AccessKeyId", ann.AccessKeyID}, codeValidation, 400, "1 validation error detected: Value null at 'status' failed to satisfy constraint: Member must not be null"},
		{"another status", "UpdateAccessKey", ann, []string{"AccessKeyId", ann.AccessKeyID, "Status", "inactive"}, codeValidation, 400, "1 validation error detected: Value 'inactive' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]"},
		{"last use of an unknown key", "GetAccessKeyLastUsed", ann, []string{"AccessKeyId", unknown}, codeAccessDenied, 403, "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key " + unknown},
		{"last use from another account", "GetAccessKeyLastUsed", foreign, []string{"AccessKeyId", ann.AccessKeyID}, codeAccessDenied, 403, "User: arn:aws:sts::444455556666:assumed-role/audit/work is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key " + ann.AccessKeyID},
	} {
		t.Run(tt.action+" "+tt.name, func(t *testing.T) {
			r.refused(tt.who, tt.action, tt.params...).want(t, tt.code, tt.status, tt.text)
		})
	}
	if got := r.keysOf(ann, "ann"); !slices.Equal(got, []string{ann.AccessKeyID + " Active"}) {
		t.Errorf("refused requests have left %v", got)
	}
}

// lastUse is a last use as "SERVICE REGION SECONDS", the seconds since epoch.
func (r *rig) lastUse(who identity, accessKeyID string) string {
	r.t.Helper()
	var got struct {
		UserName string `xml:"GetAccessKeyLastUsedResult>UserName"`
		Last     struct {
			LastUsedDate *time.Time
			ServiceName  string
			Region       string
		} `xml:"GetAccessKeyLastUsedResult>AccessKeyLastUsed"`
	}
	r.call(who, &got, "GetAccessKeyLastUsed", "AccessKeyId", accessKeyID)
	if got.UserName != "ann" {
		r.t.Errorf("the key is %q's", got.UserName)
	}
	if got.Last.LastUsedDate == nil {
		return got.Last.ServiceName + " " + got.Last.Region + " never"
	}
	return fmt.Sprintf("%s %s %.0f", got.Last.ServiceName, got.Last.Region, got.Last.LastUsedDate.Sub(epoch).Seconds())
}

func TestLastUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bob, ann := r.key("bob"), r.key("ann")
	want := func(want string) {
		t.Helper()
		if got := r.lastUse(bob, ann.AccessKeyID); got != want {
			t.Errorf("last used %s, want %s", got, want)
		}
	}
	want("N/A N/A never")
	r.do(ask{who: ann, params: params("GetCallerIdentity"), region: "eu-west-1"})
	want("sts eu-west-1 0")
	r.clock.advance(time.Minute)
	r.call(ann, nil, "GetUser")
	want("iam us-east-1 60")
	session := r.session("ann")
	minted := fmt.Sprintf("sts us-east-1 %.0f", r.Now().Sub(epoch).Seconds())
	r.clock.advance(time.Minute)
	r.call(session, nil, "GetUser", "UserName", "ann")
	want(minted) // what a session does is not use of its key
	ann.SecretAccessKey += "x"
	r.refused(ann, "GetCallerIdentity")
	want(minted) // nor is a wrong signature
}

func TestKnobLastUsedLag(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bob, ann := r.key("bob"), r.key("ann")
	r.set("last_used_lag=1h")
	r.call(ann, nil, "GetUser")
	if got := r.lastUse(bob, ann.AccessKeyID); got != "N/A N/A never" {
		t.Errorf("at once: %s", got)
	}
	r.clock.advance(30 * time.Minute)
	r.call(ann, nil, "GetCallerIdentity")
	r.clock.advance(30 * time.Minute)
	if got := r.lastUse(bob, ann.AccessKeyID); got != "iam us-east-1 0" {
		t.Errorf("after an hour: %s", got)
	}
	r.set("last_used_lag=none")
	if got := r.lastUse(bob, ann.AccessKeyID); got != "sts us-east-1 1800" {
		t.Errorf("without a lag: %s", got)
	}
}

// A reply that is lost after the work leaves a key that nobody knows; one that
// is lost before it leaves nothing.
func TestDroppedCreateAccessKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		keys  int
	}{{"before:1", 1}, {"after:1", 2}} {
		r := newRig(t)
		who := r.key("ann")
		r.set("drop.CreateAccessKey=" + tt.value)
		r.dropped(who, "CreateAccessKey")
		if got := r.keysOf(who, "ann"); len(got) != tt.keys {
			t.Errorf("drop %s leaves %v", tt.value, got)
		}
		if e := r.Log()[0]; e.Action != "CreateAccessKey" || (e.Issued != "") != (tt.keys == 2) {
			t.Errorf("drop %s is logged as %+v", tt.value, e)
		}
	}
}

// Every knob that fails, drops or bends one action takes the new ones too.
func TestKnobsOfEveryAction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for action, act := range actions {
		request := ask{who: r.key("ann"), params: params(action)}
		if act.service.isJSON() {
			request.json = "{}"
		}
		r.set("fail."+action+"=Throttling:1", "delay."+action+"=1ms")
		want := codeThrottling
		if act.service.isJSON() {
			want = "ThrottlingException"
		}
		r.do(request).want(t, want, 400, "Rate exceeded")
		r.set("body." + action + "=html")
		if a := r.do(request); !strings.HasPrefix(string(a.body), "<!DOCTYPE html>") {
			t.Errorf("%s: %s", action, a.body)
		}
		r.set("body."+action+"=none", "drop."+action+"=after:1")
		before := len(r.Log())
		r.droppedAsk(request)
		if log := r.Log(); len(log) != before+1 || log[before].Action != action || log[before].Reply != "dropped" || log[before].Result == "dropped" {
			t.Errorf("%s, dropped after the work, is logged as %+v", action, log[before:])
		}
		r.set("throttle=0/s")
		r.do(request).want(t, want, 400, "Rate exceeded")
		r.set("throttle=none")
	}
}

// The log tells what was done to which key, and no secret.
func TestKeysInTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.key("ann")
	fresh := r.newKey(who, "ann")
	r.call(who, nil, "UpdateAccessKey", "AccessKeyId", fresh.AccessKeyID, "Status", "Inactive")
	r.call(who, nil, "PutUserPolicy", "UserName", "bob", "PolicyName", "Stop", "PolicyDocument", denyAll)
	log := r.Log()
	for i, e := range log {
		log[i] = Entry{Action: e.Action, TargetUserName: e.TargetUserName, TargetAccessKeyID: e.TargetAccessKeyID, KeyStatus: e.KeyStatus, PolicyName: e.PolicyName, Issued: e.Issued}
	}
	want := []Entry{
		{Action: "CreateAccessKey", TargetUserName: "ann", Issued: fresh.AccessKeyID},
		{Action: "UpdateAccessKey", TargetAccessKeyID: fresh.AccessKeyID, KeyStatus: "Inactive"},
		{Action: "PutUserPolicy", TargetUserName: "bob", PolicyName: "Stop"},
	}
	if got, want := fmt.Sprintf("%+v", log), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("the log is\n%s, want\n%s", got, want)
	}
	if text := fmt.Sprintf("%+v", r.Log()); strings.Contains(text, fresh.SecretAccessKey) || strings.Contains(text, who.SecretAccessKey) {
		t.Errorf("the log tells a secret: %s", text)
	}
}
