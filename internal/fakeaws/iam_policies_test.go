// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const denyAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

// denySessions is what is put into a user to end its sessions.
func denySessions(before time.Time) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"],`+
		`"Condition":{"DateLessThan":{"aws:TokenIssueTime":"%s"}}}]}`, before.Format(time.RFC3339))
}

func TestInlinePolicyLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.key("ann")
	named := []string{"UserName", "bob", "PolicyName", "Stop"}
	gone := func(action string) {
		t.Helper()
		r.refused(who, action, named...).want(t, codeNoSuchEntity, 404, "The user policy with name Stop cannot be found.")
	}
	gone("GetUserPolicy")
	gone("DeleteUserPolicy")
	r.call(who, nil, "PutUserPolicy", append(named, "PolicyDocument", denySessions(r.Now()))...)
	r.call(who, nil, "PutUserPolicy", append(named, "PolicyDocument", denyAll)...) // instead of the first
	var got struct {
		UserName, PolicyName, PolicyDocument string
	}
	r.call(who, &struct {
		Result any `xml:"GetUserPolicyResult"`
	}{&got}, "GetUserPolicy", named...)
	text, err := url.PathUnescape(got.PolicyDocument)
	if got.UserName != "bob" || got.PolicyName != "Stop" || err != nil || text != denyAll || strings.Contains(got.PolicyDocument, `"`) {
		t.Errorf("the policy is %+v", got)
	}
	r.refused(r.key("bob"), "GetUser")
	r.call(who, nil, "GetUser") // it is bob's alone
	r.call(who, nil, "DeleteUserPolicy", named...)
	r.call(r.key("bob"), nil, "GetUser")
	gone("GetUserPolicy")
}

// The deny of a revocation: sessions that are older are refused everywhere but
// in GetCallerIdentity; younger ones, the key itself and others are not.
func TestDenyByTokenIssueTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	admin, ann := r.key("bob"), r.key("ann")
	old, plain, other := r.session("ann"), r.plainSession("ann"), r.session("bob")
	role := r.assume(old, "dev").Assumed.identity()
	r.clock.advance(time.Second)
	r.call(admin, nil, "PutUserPolicy", "UserName", "ann", "PolicyName", "Revoke", "PolicyDocument", denySessions(r.Now()))
	young := r.session("ann")

	const denied = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: "
	const text = " with an explicit deny in an identity-based policy"
	assume := []string{"RoleArn", roleARN("dev"), "RoleSessionName", "work"}
	r.refused(old, "GetUser", "UserName", "ann").want(t, codeAccessDenied, 403, denied+"iam:GetUser on resource: user ann"+text)
	r.refused(old, "CreateAccessKey", "UserName", "bob").want(t, codeAccessDenied, 403, denied+"iam:CreateAccessKey on resource: user bob"+text)
	for _, who := range []identity{old, plain} {
		r.refused(who, "AssumeRole", assume...).want(t, codeAccessDenied, 403, denied+"sts:AssumeRole on resource: "+roleARN("dev")+text)
		r.do(ask{who: who, json: "{}"}).want(t, "AccessDeniedException", 400, denied+"cloudtrail:LookupEvents"+text)
		r.arnOf(who)
	}
	r.call(ann, nil, "GetUser")
	r.call(ann, nil, "AssumeRole", assume...)
	r.call(young, nil, "GetUser", "UserName", "ann")
	r.call(other, nil, "GetUser", "UserName", "ann")
	r.call(role, nil, "GetUser", "UserName", "ann") // the user's policies do not bind a role
	r.call(admin, nil, "DeleteUserPolicy", "UserName", "ann", "PolicyName", "Revoke")
	r.call(old, nil, "GetUser", "UserName", "ann")
}

// AWS counts the age of a session in whole seconds: one of the very second of
// the policy is not older.
func TestDenyByTokenIssueTimeInWholeSeconds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clock.advance(300 * time.Millisecond)
	session := r.session("ann")
	put := func(at time.Time) {
		r.call(r.key("bob"), nil, "PutUserPolicy", "UserName", "ann", "PolicyName", "Revoke", "PolicyDocument", denySessions(at))
	}
	put(r.Now().Truncate(time.Second))
	r.call(session, nil, "GetUser", "UserName", "ann")
	put(r.Now().Truncate(time.Second).Add(time.Second))
	r.refused(session, "GetUser", "UserName", "ann")
}

// A long-lived key says nothing of MFA, so that Bool does not catch it; a code in
// the request speaks for it.
func TestMFAConditions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	assume := []string{"RoleArn", roleARN("dev"), "RoleSessionName", "work"}
	code := func() []string {
		return append(assume, "SerialNumber", r.serial("ann"), "TokenCode", r.freshCode("ann"))
	}
	for _, tt := range []struct {
		operator, value       string
		key, code, plain, mfa bool // whether each is denied
	}{
		{"Bool", "false", false, false, true, false},
		{"BoolIfExists", "false", true, false, true, false},
		{"Bool", "true", false, true, false, true},
	} {
		ann, plain, session := r.key("ann"), r.plainSession("ann"), r.session("ann")
		r.call(r.key("bob"), nil, "PutUserPolicy", "UserName", "ann", "PolicyName", "MFA", "PolicyDocument",
			`{"Statement":{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*","Condition":{"`+tt.operator+`":{"aws:MultiFactorAuthPresent":"`+tt.value+`"}}}}`)
		for _, c := range []struct {
			name   string
			who    identity
			params []string
			denied bool
		}{
			{"key", ann, assume, tt.key}, {"key and code", ann, code(), tt.code}, {"session", plain, assume, tt.plain}, {"session with MFA", session, assume, tt.mfa},
		} {
			if a := r.do(ask{who: c.who, params: params("AssumeRole", c.params...)}); (a.code == codeAccessDenied) != c.denied {
				t.Errorf("%s %s, %s: %d %s", tt.operator, tt.value, c.name, a.status, a.message)
			}
		}
		r.call(r.key("bob"), nil, "DeleteUserPolicy", "UserName", "ann", "PolicyName", "MFA")
	}
}

func TestPutUserPolicyRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	statement := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Deny",` + rest + `}}`
	}
	const syntax = "Syntax errors in policy."
	for _, tt := range []struct{ name, policy, code, text string }{
		{"no JSON", "file://policy.json", codeMalformedPolicy, syntax},
		{"no statement", `{"Version":"2012-10-17"}`, codeMalformedPolicy, syntax},
		{"two documents", denyAll + denyAll, codeMalformedPolicy, syntax},
		{"unknown member", statement(`"Action":"*","Resource":"*","When":"now"`), codeMalformedPolicy, syntax},
		{"unknown effect", `{"Statement":[{"Effect":"Refuse","Action":"*","Resource":"*"}]}`, codeMalformedPolicy, syntax},
		{"no action", statement(`"Resource":"*"`), codeMalformedPolicy, "Policy statement must contain actions."},
		{"no resource", statement(`"Action":"*"`), codeMalformedPolicy, "Policy statement must contain resources."},
		{"no date", statement(`"Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"now"}}`), codeMalformedPolicy, syntax},
		{"date of a boolean", statement(`"Action":"*","Resource":"*","Condition":{"Bool":{"aws:TokenIssueTime":"true"}}`), codeMalformedPolicy, syntax},
		{"unknown operator", statement(`"Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), codeMalformedPolicy, "The pretend account does not know the condition operator IpAddress."},
		{"unknown key", statement(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":"x"}}`), codeMalformedPolicy, "The pretend account does not know the condition key aws:SourceVpc."},
		{"too long", statement(`"Action":"*","Resource":"` + strings.Repeat("x", 2048) + `"`), codeLimit, "Maximum policy size of 2048 bytes exceeded for user ann"},
	} {
		status := 400
		if tt.code == codeLimit {
			status = 409
		}
		t.Run(tt.name, func(t *testing.T) {
			r.refused(r.key("ann"), "PutUserPolicy", "UserName", "ann", "PolicyName", "P", "PolicyDocument", tt.policy).want(t, tt.code, status, tt.text)
		})
	}
	r.refused(r.key("ann"), "PutUserPolicy", "PolicyName", "P", "PolicyDocument", denyAll).want(t, codeValidation, 400,
		"1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null")
	// Blanks do not count, other policies of the user do.
	half := statement(`"Action":"s3:*","Resource":"` + strings.Repeat("x", 1000) + `"` + strings.Repeat(" ", 2000))
	r.call(r.key("ann"), nil, "PutUserPolicy", "UserName", "ann", "PolicyName", "P", "PolicyDocument", half)
	r.refused(r.key("ann"), "PutUserPolicy", "UserName", "ann", "PolicyName", "Q", "PolicyDocument", half)
	r.call(r.key("ann"), nil, "PutUserPolicy", "UserName", "ann", "PolicyName", "P", "PolicyDocument", half)
	r.call(r.key("ann"), nil, "PutUserPolicy", "UserName", "bob", "PolicyName", "Q", "PolicyDocument", half)
}

func TestListAttachedUserPolicies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.session("ann")
	for _, tt := range []struct {
		knob string
		want []string
	}{
		{"none", nil},
		{"force-mfa", []string{"ForceMFA arn:aws:iam::111122223333:policy/ForceMFA"}},
		{"quarantine", []string{
			"AWSCompromisedKeyQuarantineV3 arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
			"AWSCompromisedKeyQuarantineV2 arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2",
		}},
		{"deny:CreateAccessKey", []string{"DenyCreateAccessKey arn:aws:iam::111122223333:policy/DenyCreateAccessKey"}},
	} {
		r.set("policy=" + tt.knob)
		var got struct {
			Policies []struct{ PolicyName, PolicyArn string } `xml:"ListAttachedUserPoliciesResult>AttachedPolicies>member"`
		}
		r.call(who, &got, "ListAttachedUserPolicies", "UserName", "bob")
		var list []string
		for _, p := range got.Policies {
			list = append(list, p.PolicyName+" "+p.PolicyArn)
		}
		if !slices.Equal(list, tt.want) {
			t.Errorf("%s: %v, want %v", tt.knob, list, tt.want)
		}
	}
	r.set("policy=quarantine")
	var got struct {
		Marker string `xml:"ListAttachedUserPoliciesResult>Marker"`
	}
	r.call(who, &got, "ListAttachedUserPolicies", "UserName", "bob", "MaxItems", "1", "PathPrefix", "/")
	if got.Marker == "" {
		t.Error("the list is not cut")
	}
	r.refused(who, "ListAttachedUserPolicies").want(t, codeValidation, 400,
		"1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null")
}

// What each policy leaves of rotation and revocation.
func TestPoliciesOverKeys(t *testing.T) {
	t.Parallel()
	const mfaOnly, denied = "MFA only", "denied"
	var all []string
	for action, act := range actions {
		if action != "GetCallerIdentity" && action != "GetSessionToken" && action != "AssumeRole" {
			all = append(all, act.service.action(action))
		}
	}
	for knob, rule := range map[string]func(action string) string{
		"force-mfa": func(action string) string {
			if slices.Contains([]string{"iam:GetUser", "iam:ListMFADevices"}, action) {
				return ""
			}
			return mfaOnly
		},
		"quarantine": func(action string) string {
			if slices.Contains([]string{"iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:PutUserPolicy", "cloudtrail:LookupEvents"}, action) {
				return denied
			}
			return ""
		},
		"deny:DeleteUserPolicy": func(action string) string {
			if action == "iam:DeleteUserPolicy" {
				return denied
			}
			return ""
		},
	} {
		r := newRig(t)
		r.set("policy=" + knob)
		s := r.Server
		for _, action := range all {
			for _, c := range []*call{
				{who: &caller{user: s.users[0]}, now: epoch},
				{who: &caller{user: s.users[0], session: &session{mfa: true, issued: epoch}}, now: epoch},
			} {
				refused := s.permitLocked(c, action, userTarget(s.users[0]), c.who.mfa())
				want := rule(action) == denied || rule(action) == mfaOnly && !c.who.mfa()
				if (refused != nil) != want {
					t.Errorf("%s, MFA %t: %s: %+v", knob, c.who.mfa(), action, refused)
				}
				if refused != nil && !strings.Contains(refused.message, action+" on resource: user ann with an explicit deny in an identity-based policy") {
					t.Errorf("%s: %s", knob, refused.message)
				}
			}
		}
	}
}

// The example policy spares eight actions, no more and no fewer.
func TestForceMFASparesWhatItIsDocumentedTo(t *testing.T) {
	t.Parallel()
	spared := []string{
		"iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:GetUser", "iam:GetMFADevice",
		"iam:ListMFADevices", "iam:ListVirtualMFADevices", "iam:ResyncMFADevice", "sts:GetSessionToken",
	}
	statements := forceMFA()[0].statements
	for _, action := range append([]string{
		"iam:ListAccessKeys", "iam:ChangePassword", "iam:DeactivateMFADevice", "iam:ListUsers", "sts:AssumeRole", "sts:GetFederationToken", "s3:GetObject",
	}, spared...) {
		for _, context := range []map[string]string{{}, {keyMFA: "false"}, {keyMFA: "true"}} {
			want := context[keyMFA] != "true" && !slices.Contains(spared, action)
			if got := (policyRequest{action: action, context: context}).deniedBy(statements); got != want {
				t.Errorf("%s with %v: denied %t", action, context, got)
			}
		}
	}
	if n := len(statements[0].NotAction); n != len(spared) {
		t.Errorf("%d actions are spared", n)
	}
}

// AWS's own policies are of the partition.
func TestQuarantineOfAPartition(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Now: time.Now, Partition: "aws-cn"})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.policyARN(quarantine()[0]); got != "arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantineV3" {
		t.Errorf("the policy is %s", got)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	noMFA, mfa := map[string]string{}, map[string]string{keyMFA: "true", keyIssued: "2026-03-04T05:06:07Z"}
	without := map[string]string{keyMFA: "false", keyIssued: "2026-03-04T05:06:07Z"}
	const all = `"Action":"*","Resource":"*"`
	condition := func(operator, key, value string) string {
		return fmt.Sprintf(`%s,"Condition":{"%s":{"%s":%s}}`, all, operator, key, value)
	}
	for _, tt := range []struct {
		name, rest string
		context    map[string]string
		want       bool
	}{
		{"everything", all, noMFA, true},
		{"the action", `"Action":["sts:*","IAM:createACCESSkey"],"Resource":"*"`, noMFA, true},
		{"another action", `"Action":"iam:Create?ccess","Resource":"*"`, noMFA, false},
		{"not this action", `"NotAction":"iam:*","Resource":"*"`, noMFA, false},
		{"not other actions", `"NotAction":["sts:*"],"Resource":"*"`, noMFA, true},
		{"the resource", `"Action":"*","Resource":"arn:aws:iam::*:user/a?n"`, noMFA, true},
		{"another resource", `"Action":"*","Resource":"arn:aws:iam::*:user/ANN"`, noMFA, false},
		{"not this resource", `"Action":"*","NotResource":"*:user/ann"`, noMFA, false},
		{"not another resource", `"Action":"*","NotResource":"*:user/bob"`, noMFA, true},
		// Bool does not catch a long-lived key, which has no such key; BoolIfExists does.
		{"Bool of a key", condition("Bool", "aws:MultiFactorAuthPresent", `"false"`), noMFA, false},
		{"BoolIfExists of a key", condition("BoolIfExists", "aws:MultiFactorAuthPresent", `false`), noMFA, true},
		{"Bool of a session", condition("Bool", "aws:multiFactorAuthPresent", `"False"`), without, true},
		{"BoolIfExists with MFA", condition("BoolIfExists", "aws:MultiFactorAuthPresent", `"false"`), mfa, false},
		{"older", condition("DateLessThan", "aws:TokenIssueTime", `"2026-03-04T05:06:08Z"`), mfa, true},
		{"as old", condition("DateLessThan", "aws:TokenIssueTime", `"2026-03-04T05:06:07Z"`), mfa, false},
		{"as old at most", condition("DateLessThanEquals", "aws:TokenIssueTime", `["2026-03-04T05:06:07Z"]`), mfa, true},
		{"younger", condition("DateGreaterThan", "aws:TokenIssueTime", `"2026-03-04T05:06:06.5Z"`), mfa, true},
		{"as young", condition("DateGreaterThanEquals", "aws:TokenIssueTime", `"2026-03-04T06:06:08+01:00"`), mfa, false},
		{"a key has no issue time", condition("DateLessThan", "aws:TokenIssueTime", `"2036-03-04T05:06:07Z"`), noMFA, false},
		{"one of two", condition("StringEquals", "aws:username", `["bob","ann"]`), map[string]string{keyUserName: "ann"}, true},
		{"neither", condition("StringEquals", "aws:username", `["bob","cleo"]`), map[string]string{keyUserName: "ann"}, false},
	} {
		parsed, refused := parsePolicy(`{"Version":"2012-10-17","Id":"x","Statement":{"Sid":"S","Effect":"Deny",` + tt.rest + `}}`)
		if refused != nil {
			t.Errorf("%s: %s", tt.name, refused.message)
			continue
		}
		r := policyRequest{action: "iam:CreateAccessKey", arn: "arn:aws:iam::111122223333:user/ann", context: tt.context}
		if got := r.deniedBy(parsed); got != tt.want {
			t.Errorf("%s: denied %t", tt.name, got)
		}
	}
	if parsed, refused := parsePolicy(strings.Replace(denyAll, "Deny", "Allow", 1)); refused != nil || (policyRequest{action: "x"}).deniedBy(parsed) {
		t.Errorf("an Allow denies: %+v", refused)
	}
}
