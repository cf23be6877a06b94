// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestGetCallerIdentity(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	role := r.assume(r.session("ann"), "audit")
	for _, tt := range []struct {
		name string
		who  identity
		want string
	}{
		{"user", r.key("ann"), "arn:aws:iam::111122223333:user/ann"},
		{"user with a path", r.key("bob"), "arn:aws:iam::111122223333:user/dev/team/bob"},
		{"root", r.key("root"), "arn:aws:iam::111122223333:root"},
		{"session", r.session("bob"), "arn:aws:iam::111122223333:user/dev/team/bob"},
		{"role of another account, without its path", role.Assumed.identity(), "arn:aws:sts::444455556666:assumed-role/audit/work"},
	} {
		if got := r.arnOf(tt.who); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if role.ARN != "arn:aws:sts::444455556666:assumed-role/audit/work" {
		t.Errorf("AssumedRoleUser is %s", role.ARN)
	}
}

func TestGetSessionTokenLife(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		user, seconds string
		want          time.Duration
	}{
		{"ann", "", 12 * time.Hour},
		{"ann", "900", 15 * time.Minute},
		{"ann", "129600", 36 * time.Hour},
		{"root", "", time.Hour},
		{"root", "7200", time.Hour},
	} {
		r := newRig(t)
		var more []string
		if tt.seconds != "" {
			more = []string{"DurationSeconds", tt.seconds}
		}
		var got issued
		r.call(r.key(tt.user), &got, "GetSessionToken", more...)
		if life := got.Credentials.expires(t).Sub(epoch); life != tt.want {
			t.Errorf("%s for %q lives %s, want %s", tt.user, tt.seconds, life, tt.want)
		}
		who := got.Credentials.identity()
		r.clock.advance(tt.want - time.Second)
		r.call(who, nil, "GetCallerIdentity")
		r.clock.advance(time.Second)
		if a := r.refused(who, "GetCallerIdentity"); a.code != codeExpiredToken {
			t.Errorf("at its expiration: %s", a.code)
		}
	}
}

func TestCredentialsLookReal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, role := r.session("ann"), r.assume(r.session("ann"), "audit").Assumed
	for _, tt := range []struct{ id, prefix, account string }{
		{r.key("ann").AccessKeyID, "AKIA", "111122223333"},
		{s.AccessKeyID, "ASIA", "111122223333"},
		{role.AccessKeyID, "ASIA", "444455556666"},
	} {
		if len(tt.id) != 20 || !strings.HasPrefix(tt.id, tt.prefix) || !strings.ContainsAny(tt.id[4:5], "QRSTUVWXYZ234567") {
			t.Errorf("%s is no key ID of AWS", tt.id)
		}
		if got := accountInside(t, tt.id); got != tt.account {
			t.Errorf("%s holds account %s, want %s", tt.id, got, tt.account)
		}
	}
	if len(s.SecretAccessKey) != 40 || len(s.SessionToken) < 300 {
		t.Errorf("secret of %d characters, token of %d", len(s.SecretAccessKey), len(s.SessionToken))
	}
}

// accountInside reads a key ID the way aws-contracts describes.
func accountInside(t *testing.T, id string) string {
	t.Helper()
	raw, err := seedEncoding.DecodeString(id[4:])
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, b := range raw[:6] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("%012d", n&0x7fffffffff80>>7)
}

func TestMFARefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, serial := r.key("ann"), r.serial("ann")
	used := r.freshCode("ann")
	r.call(ann, nil, "GetSessionToken", "SerialNumber", serial, "TokenCode", used)
	role := []string{"RoleArn", roleARN("dev"), "RoleSessionName", "work"}
	const (
		wrongCode   = "MultiFactorAuthentication failed with invalid MFA one time pass code. "
		wrongSerial = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
		half        = "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. "
	)
	for _, tt := range []struct {
		name, serial, code, text string
		who                      identity
	}{
		{"wrong code", serial, wrong(used), wrongCode, ann},
		{"used code", serial, used, wrongCode, ann},
		{"unknown device", serial + "x", "123456", wrongSerial, ann},
		{"device of somebody else", r.serial("bob"), r.freshCode("bob"), wrongSerial, ann},
		{"device of another account", "arn:aws:iam::444455556666:mfa/ann", "123456", wrongSerial, ann},
		{"passkey", r.serial("cleo"), "123456", wrongSerial, r.key("cleo")},
		{"user without a device", serial, "123456", wrongSerial, r.key("eve")},
		{"no code", serial, "", half, ann},
		{"no serial number", "", "123456", half, ann},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var more []string
			if tt.serial != "" {
				more = append(more, "SerialNumber", tt.serial)
			}
			if tt.code != "" {
				more = append(more, "TokenCode", tt.code)
			}
			r.refused(tt.who, "GetSessionToken", more...).want(t, codeAccessDenied, 403, tt.text)
			r.refused(tt.who, "AssumeRole", append(more, role...)...).want(t, codeAccessDenied, 403, tt.text)
		})
	}
	t.Run("role session", func(t *testing.T) {
		who := r.assume(ann, "dev-hop1").Assumed.identity()
		r.refused(who, "AssumeRole", "RoleArn", roleARN("dev-hop2"), "RoleSessionName", "work", "SerialNumber", serial, "TokenCode", r.freshCode("ann")).
			want(t, codeAccessDenied, 403, wrongSerial)
	})
}

// wrong returns a code that no time step near gives.
func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func TestGetSessionTokenRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, who := range []identity{r.session("ann"), r.plainSession("ann"), r.assume(r.key("ann"), "dev").Assumed.identity()} {
		r.refused(who, "GetSessionToken").want(t, codeAccessDenied, 403, "Cannot call GetSessionToken with session credentials")
	}
	ann := r.key("ann")
	for _, tt := range []struct {
		params []string
		text   string
	}{
		{[]string{"DurationSeconds", "899"}, "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{[]string{"DurationSeconds", "129601"}, "1 validation error detected: Value '129601' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 129600"},
		{[]string{"SerialNumber", r.serial("ann"), "TokenCode", "12345"}, "1 validation error detected: Value '12345' at 'tokenCode' failed to satisfy constraint: Member must have length greater than or equal to 6"},
		{[]string{"SerialNumber", r.serial("ann"), "TokenCode", "1234567"}, "1 validation error detected: Value '1234567' at 'tokenCode' failed to satisfy constraint: Member must have length less than or equal to 6"},
		{[]string{"SerialNumber", r.serial("ann"), "TokenCode", "12345x"}, `1 validation error detected: Value '12345x' at 'tokenCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [\d]*`},
		{[]string{"SerialNumber", "short", "TokenCode", "12345"}, "2 validation errors detected: Value 'short' at 'serialNumber' failed to satisfy constraint: Member must have length greater than or equal to 9; Value '12345' at 'tokenCode' failed to satisfy constraint: Member must have length greater than or equal to 6"},
	} {
		r.refused(ann, "GetSessionToken", tt.params...).want(t, codeValidation, 400, tt.text)
	}
	r.refused(ann, "GetSessionToken", "DurationSeconds", "1h").want(t, "MalformedInput", 400, "Invalid Argument")
}

func TestAssumeRoleTrust(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, mfa, plain := r.key("ann"), r.session("ann"), r.plainSession("ann")
	hop1 := r.assume(mfa, "dev-hop1").Assumed.identity()
	hop2 := r.assume(hop1, "dev-hop2").Assumed.identity()
	const user, hop = "arn:aws:iam::111122223333:user/ann", "arn:aws:sts::111122223333:assumed-role/dev-hop1/work"
	for _, tt := range []struct {
		name string
		who  identity
		role string
		more []string
		arn  string // the caller in the refusal; empty if the role is given
	}{
		{"long-lived key", ann, "dev", nil, ""},
		{"session", mfa, "readonly", nil, ""},
		{"another account", mfa, "audit", nil, ""},
		{"chain", hop2, "dev-hop3", nil, ""},
		{"chain to a role that trusts the account", hop1, "dev", nil, ""},
		{"right external ID", mfa, "dev-external", []string{"ExternalId", "tenant-42"}, ""},
		{"external ID that nobody asked for", mfa, "dev", []string{"ExternalId", "another"}, ""},
		{"MFA session where MFA is demanded", mfa, "dev-mfa", nil, ""},
		{"code where MFA is demanded", ann, "dev-mfa", []string{"SerialNumber", r.serial("ann"), "TokenCode", r.freshCode("ann")}, ""},
		{"MFA session where young MFA is demanded", mfa, "dev-mfa-recent", nil, ""},
		{"session without MFA where young MFA is demanded", plain, "dev-mfa-recent", nil, user},
		{"unknown role", mfa, "nothing", nil, user},
		{"hop that trusts a role only", mfa, "dev-hop2", nil, user},
		{"hop out of order", hop1, "dev-hop3", nil, hop},
		{"no external ID", mfa, "dev-external", nil, user},
		{"wrong external ID", mfa, "dev-external", []string{"ExternalId", "tenant-43"}, user},
		{"long-lived key where MFA is demanded", ann, "dev-mfa", nil, user},
		{"session without MFA where it is demanded", plain, "dev-mfa", nil, user},
		{"role session where MFA is demanded", hop1, "dev-mfa", nil, hop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.arn == "" {
				got := r.assume(tt.who, tt.role, tt.more...)
				if arn := r.arnOf(got.Assumed.identity()); arn != got.ARN {
					t.Errorf("the credentials are those of %s, not %s", arn, got.ARN)
				}
				return
			}
			r.refused(tt.who, "AssumeRole", append([]string{"RoleArn", roleARN(tt.role), "RoleSessionName", "work"}, tt.more...)...).
				want(t, codeAccessDenied, 403, "User: "+tt.arn+" is not authorized to perform: sts:AssumeRole on resource: "+roleARN(tt.role))
		})
	}
	r.set("now=1h")
	r.refused(mfa, "AssumeRole", "RoleArn", roleARN("dev-mfa-recent"), "RoleSessionName", "work").
		want(t, codeAccessDenied, 403, "User: "+user+" is not authorized to perform: sts:AssumeRole on resource: "+roleARN("dev-mfa-recent"))
	r.set("now=0s")
	r.refused(r.key("root"), "AssumeRole", "RoleArn", roleARN("dev"), "RoleSessionName", "work").
		want(t, codeAccessDenied, 403, "Roles may not be assumed by root accounts.")
}

func TestAssumeRoleLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.session("ann")
	hop1 := r.assume(ann, "dev-hop1").Assumed.identity()
	const max, chained = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
		"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
	for _, tt := range []struct {
		name    string
		who     identity
		role    string
		seconds string
		want    time.Duration
		text    string
	}{
		{"default", ann, "dev-long", "", time.Hour, ""},
		{"shortest", ann, "dev-long", "900", 15 * time.Minute, ""},
		{"longest, from a session that is no role", ann, "dev-long", "43200", 12 * time.Hour, ""},
		{"over the role", ann, "dev", "3601", 0, max},
		{"chained, one hour", hop1, "dev-hop2", "3600", time.Hour, ""},
		{"chained, longer", hop1, "dev-hop2", "3601", 0, chained},
		{"over AWS", ann, "dev-long", "43201", 0, "1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200"},
		{"too short", ann, "dev", "899", 0, "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var more []string
			if tt.seconds != "" {
				more = []string{"DurationSeconds", tt.seconds}
			}
			if tt.text != "" {
				r.refused(tt.who, "AssumeRole", append([]string{"RoleArn", roleARN(tt.role), "RoleSessionName", "work"}, more...)...).want(t, codeValidation, 400, tt.text)
				return
			}
			if life := r.assume(tt.who, tt.role, more...).Assumed.expires(t).Sub(r.Now()); life != tt.want {
				t.Errorf("lives %s, want %s", life, tt.want)
			}
		})
	}
}

func TestAssumeRoleParameters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.session("ann")
	long := strings.Repeat("x", 65)
	missing := func(name string) string {
		return "1 validation error detected: Value null at '" + name + "' failed to satisfy constraint: Member must not be null"
	}
	tags := func(n int) []string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("Tags.member.%d.Key", i+1), fmt.Sprintf("key-%03d", i), fmt.Sprintf("Tags.member.%d.Value", i+1), "v")
		}
		return list
	}
	for _, tt := range []struct {
		name   string
		params []string // NAME VALUE…; a value "-" takes the parameter away
		code   string
		text   string
	}{
		{"no role", []string{"RoleArn", "-"}, codeValidation, missing("roleArn")},
		{"no session name", []string{"RoleSessionName", "-"}, codeValidation, missing("roleSessionName")},
		{"not a role", []string{"RoleArn", "arn:aws:iam::111122223333:user/ann"}, codeValidation, "Request ARN is invalid"},
		{"long session name", []string{"RoleSessionName", long}, codeValidation, "1 validation error detected: Value '" + long + "' at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"blank in session name", []string{"RoleSessionName", "a b"}, codeValidation, `1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		{"short external ID", []string{"ExternalId", "x"}, codeValidation, "1 validation error detected: Value 'x' at 'externalId' failed to satisfy constraint: Member must have length greater than or equal to 2"},
		{"too many tags", tags(51), codeValidation, "1 validation error detected: Value '[...]' at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
		{"tags that differ in case", []string{"Tags.member.1.Key", "Team", "Tags.member.1.Value", "a", "Tags.member.2.Key", "team", "Tags.member.2.Value", "b"}, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"transitive key that is no tag", []string{"TransitiveTagKeys.member.1", "team"}, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."},
		{"policy that is no JSON", []string{"Policy", "{"}, codeMalformedPolicy, "This policy contains invalid Json"},
		{"long policy", []string{"Policy", strings.Repeat("x", 2049)}, codeValidation, "1 validation error detected: Value '" + strings.Repeat("x", 2049) + "' at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := params("AssumeRole", "RoleArn", roleARN("dev"), "RoleSessionName", "work")
			for i := 0; i < len(tt.params); i += 2 {
				p.Set(tt.params[i], tt.params[i+1])
				if tt.params[i+1] == "-" {
					p.Del(tt.params[i])
				}
			}
			r.do(ask{who: ann, params: p}).want(t, tt.code, 400, tt.text)
		})
	}
	if got := r.assume(ann, "dev", append(tags(50), "Policy", `{"Version":"2012-10-17"}`, "PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess")...); got.Packed < 1 || got.Packed > 100 {
		t.Errorf("PackedPolicySize %d", got.Packed)
	}
}

func TestPackedPolicyTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.key("ann")
	more := []string{"RoleArn", roleARN("dev"), "RoleSessionName", "work"}
	for i := range 50 {
		noise := seedEncoding.EncodeToString(r.gen.bytes(100))
		more = append(more, fmt.Sprintf("Tags.member.%d.Key", i+1), noise[:100], fmt.Sprintf("Tags.member.%d.Value", i+1), noise)
	}
	a := r.refused(ann, "AssumeRole", more...)
	if a.code != codePackedPolicy || a.status != 400 || !strings.HasPrefix(a.message, "Packed policy consumes ") {
		t.Errorf("%d %s: %s", a.status, a.code, a.message)
	}
	for _, tt := range []struct{ key, value string }{{"a*b", "v"}, {strings.Repeat("k", 129), "v"}, {"k", "a*b"}, {"k", strings.Repeat("v", 257)}} {
		a := r.refused(ann, "AssumeRole", append(more[:4:4], "Tags.member.1.Key", tt.key, "Tags.member.1.Value", tt.value)...)
		if a.code != codeValidation {
			t.Errorf("tag %s=%s: %s", tt.key, tt.value, a.code)
		}
	}
	for i := range 11 {
		more = append(more[:4+2*i:4+2*i], fmt.Sprintf("PolicyArns.member.%d.arn", i+1), "arn:aws:iam::aws:policy/ReadOnlyAccess")
	}
	if a := r.refused(ann, "AssumeRole", more...); a.code != codeValidation {
		t.Errorf("11 policies: %s", a.code)
	}
}

func TestTagsAndSourceIdentityAreInherited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.assume(r.session("ann"), "dev-hop1", "SourceIdentity", "ann", "Tags.member.1.Key", "Team", "Tags.member.1.Value", "blue",
		"Tags.member.2.Key", "plain", "Tags.member.2.Value", "x", "TransitiveTagKeys.member.1", "Team")
	who := first.Assumed.identity()
	if first.Source != "ann" {
		t.Errorf("SourceIdentity is %q", first.Source)
	}
	second := r.assume(who, "dev-hop2")
	if second.Source != "ann" {
		t.Errorf("after a hop SourceIdentity is %q", second.Source)
	}
	hop2 := []string{"RoleArn", roleARN("dev-hop2"), "RoleSessionName", "work"}
	r.refused(who, "AssumeRole", append(hop2, "SourceIdentity", "bob")...).want(t, codeAccessDenied, 403,
		"User: arn:aws:sts::111122223333:assumed-role/dev-hop1/work is not authorized to perform: sts:SetSourceIdentity on resource: "+roleARN("dev-hop2"))
	r.refused(who, "AssumeRole", append(hop2, "Tags.member.1.Key", "team", "Tags.member.1.Value", "red")...).want(t, "InvalidParameterValue", 400,
		"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
	r.assume(who, "dev-hop2", "Tags.member.1.Key", "plain", "Tags.member.1.Value", "y", "SourceIdentity", "ann")
	// The third hop inherits through the second.
	r.refused(second.Assumed.identity(), "AssumeRole", "RoleArn", roleARN("dev-hop3"), "RoleSessionName", "work", "Tags.member.1.Key", "TEAM", "Tags.member.1.Value", "red")
}
