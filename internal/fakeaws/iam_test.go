// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"slices"
	"testing"
)

func TestListMFADevices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	role := r.assume(r.session("ann"), "dev").Assumed.identity()
	for _, tt := range []struct {
		name string
		who  identity
		user string
		want []string
	}{
		{"own", r.key("ann"), "", []string{"arn:aws:iam::111122223333:mfa/ann"}},
		{"two", r.key("bob"), "", []string{"arn:aws:iam::111122223333:mfa/bob-phone", "arn:aws:iam::111122223333:mfa/bob-tablet"}},
		{"passkey", r.key("cleo"), "cleo", []string{"arn:aws:iam::111122223333:u2f/user/cleo/yubikey-R5TQ2YZXVBPMA"}},
		{"none", r.key("eve"), "", nil},
		{"root", r.key("root"), "", []string{"arn:aws:iam::111122223333:mfa/root-account-mfa-device"}},
		{"session with MFA", r.session("ann"), "ann", []string{"arn:aws:iam::111122223333:mfa/ann"}},
		{"role", role, "dan", []string{"arn:aws:iam::111122223333:mfa/dan"}},
	} {
		var got struct {
			Serials []string `xml:"ListMFADevicesResult>MFADevices>member>SerialNumber"`
		}
		var more []string
		if tt.user != "" {
			more = []string{"UserName", tt.user}
		}
		r.call(tt.who, &got, "ListMFADevices", more...)
		if !slices.Equal(got.Serials, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got.Serials, tt.want)
		}
	}
}

func TestGetUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct {
		who        identity
		user       string
		arn, named string
	}{
		{r.key("bob"), "", "arn:aws:iam::111122223333:user/dev/team/bob", "bob"},
		{r.key("ann"), "bob", "arn:aws:iam::111122223333:user/dev/team/bob", "bob"},
		{r.key("root"), "", "arn:aws:iam::111122223333:root", ""},
	} {
		var got struct {
			ARN  string `xml:"GetUserResult>User>Arn"`
			Name string `xml:"GetUserResult>User>UserName"`
		}
		var more []string
		if tt.user != "" {
			more = []string{"UserName", tt.user}
		}
		r.call(tt.who, &got, "GetUser", more...)
		if got.ARN != tt.arn || got.Name != tt.named {
			t.Errorf("got %+v, want %s %s", got, tt.arn, tt.named)
		}
	}
}

func TestIAMRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mfa, role := r.session("ann"), r.assume(r.key("ann"), "dev").Assumed.identity()
	foreign := r.assume(r.key("ann"), "audit").Assumed.identity()
	const needsName = "Must specify userName when calling with non-User credentials"
	for _, action := range []string{"ListMFADevices", "GetUser"} {
		for _, tt := range []struct {
			name, user string
			who        identity
			code       string
			status     int
			text       string
		}{
			{"session without MFA", "ann", r.plainSession("ann"), codeInvalidToken, 403, "The security token included in the request is invalid."},
			{"session without a name", "", mfa, codeValidation, 400, needsName},
			{"role without a name", "", role, codeValidation, 400, needsName},
			{"nobody", "nobody", mfa, codeNoSuchEntity, 404, "The user with name nobody cannot be found."},
			{"the root user has no name", "root", mfa, codeNoSuchEntity, 404, "The user with name root cannot be found."},
			{"role of another account", "ann", foreign, codeNoSuchEntity, 404, "The user with name ann cannot be found."},
			{"path in the name", "dev/team/bob", mfa, codeValidation, 400, `1 validation error detected: Value 'dev/team/bob' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		} {
			t.Run(action+" "+tt.name, func(t *testing.T) {
				var more []string
				if tt.user != "" {
					more = []string{"UserName", tt.user}
				}
				r.refused(tt.who, action, more...).want(t, tt.code, tt.status, tt.text)
			})
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	const user, deny = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: ", " with an explicit deny in an identity-based policy"
	role := []string{"RoleArn", roleARN("dev"), "RoleSessionName", "work"}
	onRole, onUser := " on resource: "+roleARN("dev"), " on resource: user ann"
	for _, tt := range []struct {
		policy, who, action string
		params              []string
		text                string // of the refusal; empty if it is allowed
	}{
		{"none", "key", "AssumeRole", role, ""},
		{"force-mfa", "key", "GetSessionToken", nil, ""},
		{"force-mfa", "key", "ListMFADevices", nil, ""},
		{"force-mfa", "key", "GetUser", nil, ""},
		{"force-mfa", "key", "GetCallerIdentity", nil, ""},
		{"force-mfa", "key", "AssumeRole", role, user + "sts:AssumeRole" + onRole + deny},
		{"force-mfa", "plain", "AssumeRole", role, user + "sts:AssumeRole" + onRole + deny},
		{"force-mfa", "mfa", "AssumeRole", role, ""},
		{"quarantine", "key", "GetSessionToken", nil, user + "sts:GetSessionToken" + deny + ": arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"},
		{"quarantine", "mfa", "AssumeRole", role, ""},
		{"deny:AssumeRole", "mfa", "AssumeRole", role, user + "sts:AssumeRole" + onRole + deny},
		{"deny:AssumeRole", "role", "AssumeRole", role, ""},
		{"deny:sts:GetSessionToken", "key", "GetSessionToken", nil, user + "sts:GetSessionToken" + deny},
		{"deny:iam:GetUser", "key", "GetUser", nil, user + "iam:GetUser" + onUser + deny},
		{"deny:GetUser", "key", "ListMFADevices", nil, ""},
		{"deny:GetUser", "key", "GetCallerIdentity", nil, ""},
	} {
		t.Run(tt.policy+" "+tt.who+" "+tt.action, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			who := map[string]identity{
				"key": r.key("ann"), "plain": r.plainSession("ann"), "mfa": r.session("ann"),
				"role": r.assume(r.key("ann"), "dev-hop1").Assumed.identity(),
			}[tt.who]
			r.set("policy=" + tt.policy)
			if tt.text == "" {
				r.call(who, nil, tt.action, tt.params...)
				return
			}
			r.refused(who, tt.action, tt.params...).want(t, codeAccessDenied, 403, tt.text)
		})
	}
}

// The identity policy sees the code of the very request.
func TestForceMFAIsMetByACode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("policy=force-mfa")
	r.assume(r.key("ann"), "dev", "SerialNumber", r.serial("ann"), "TokenCode", r.freshCode("ann"))
}
