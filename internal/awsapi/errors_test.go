// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestErrorsOfAWS(t *testing.T) {
	tests := []struct {
		name          string
		status        int
		code, message string
		want          string
		wantTemporary string // where it differs for temporary credentials
	}{
		{"wrong code", 403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ", codeMFAWrong, ""},
		{"wrong serial", 403, "AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.", codeMFASerial, ""},
		{"half a pair", 403, "AccessDenied", "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. ", codeMFAUnknown, ""},
		{"MFA text that is new", 403, "AccessDenied", "MultiFactorAuthentication failed in a new way", codeDenied, ""},
		{"denied", 403, "AccessDenied", "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sts:AssumeRole", codeDenied, ""},
		{"session token by a session", 403, "AccessDenied", "Cannot call GetSessionToken with session credentials", codeDenied, ""},
		{"unknown key", 403, "InvalidClientTokenId", "The security token included in the request is invalid.", codeKeyUnknown, codeExpired},
		{"unknown key elsewhere", 403, "UnrecognizedClientException", "x", codeKeyUnknown, codeExpired},
		{"wrong secret", 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.", codeSecret, ""},
		{"slow clock", 403, "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T002500Z - 15 min.)", codeClock, ""},
		{"fast clock", 403, "SignatureDoesNotMatch", "Signature not yet current: 20260101T010000Z is still later than 20260101T001500Z (20260101T000000Z + 15 min.)", codeClock, ""},
		{"expired session", 403, "ExpiredToken", "The security token included in the request is expired", codeExpired, ""},
		{"expired session, older status", 400, "ExpiredTokenException", "x", codeExpired, ""},
		{"suspended", 403, "AccountProblem", "There is a problem with your AWS account", codeBlocked, ""},
		{"not signed up", 403, "OptInRequired", "The AWS Access Key Id needs a subscription for the service", codeBlocked, ""},
		{"region off", 403, "RegionDisabledException", "STS is not activated in this region for account", codeRegion, ""},
		{"longer than the role allows", 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", codeDuration, ""},
		{"longer than chaining allows", 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.", codeDuration, ""},
		{"duration out of bounds", 400, "ValidationError", "1 validation error detected: Value &apos;1&apos; at &apos;durationSeconds&apos; failed to satisfy constraint", codeDuration, ""},
		{"another bad value", 400, "ValidationError", "1 validation error detected: Value &apos;x&apos; at &apos;roleSessionName&apos; failed to satisfy constraint", codeFailed, ""},
		{"anything else", 400, "MalformedPolicyDocument", "This policy contains invalid Json", codeFailed, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, _ := serve(t, refuse(test.status, test.code, test.message))
			_, err := mint(t.Context(), c)
			e := wantError(t, err, test.want)
			if e.AWSCode != test.code || e.HTTPStatus != test.status || e.Action != "GetSessionToken" {
				t.Errorf("error is %#v", e)
			}
			if want := strings.TrimSpace(strings.ReplaceAll(test.message, "&apos;", "'")); e.Message != want {
				t.Errorf("message is %q, want AWS's own: %q", e.Message, want)
			}
			if want := "GetSessionToken: " + test.code + ": "; !strings.HasPrefix(e.Error(), want) {
				t.Errorf("text is %q, want it to start with %q", e.Error(), want)
			}
			want := test.want
			if test.wantTemporary != "" {
				want = test.wantTemporary
			}
			_, err = c.Temporary(testSession).GetCallerIdentity(t.Context())
			wantError(t, err, want)
		})
	}
}

// TestDenialsAreToldApart: a code says no more than AWS's text does.
func TestDenialsAreToldApart(t *testing.T) {
	const who = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sts:"
	for _, test := range []struct{ name, message, session, role string }{
		{"AWS names its quarantine", who + "X with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", codeQuarantined, codeQuarantined},
		{"a policy without a name", who + "X with an explicit deny in an identity-based policy", codeExplicit, codeExplicit},
		{"no reason given", who + "X on resource: " + testRole, codeDenied, codeRoleDenied},
		{"no policy allows it", who + "X because no identity-based policy allows the sts:X action", codeDenied, codeRoleDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := serve(t, refuse(403, "AccessDenied", test.message))
			_, err := mint(t.Context(), c)
			wantError(t, err, test.session)
			_, err = c.Temporary(testSession).AssumeRole(t.Context(), AssumeRoleInput{RoleARN: testRole, RoleSessionName: "ann", DurationSeconds: 900})
			wantError(t, err, test.role)
		})
	}
}

func TestErrorsTellNothing(t *testing.T) {
	tests := []struct{ name, message, want string }{
		{
			"the canonical request after the first line",
			"The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:" + testToken + "'",
			"The request signature we calculated does not match.",
		},
		{"the code as a bad value", "Value '" + testCode + "' at 'tokenCode' failed", "Value '[redacted]' at 'tokenCode' failed"},
		{"control characters", "a\x1b[31mb\u202ec\u0085d", "a[31mbcd"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.NewReplacer("\x1b", "\uFFFD").Replace(test.message) // XML has no ESC
			c, _ := serve(t, refuse(403, "SignatureDoesNotMatch", text))
			_, err := mint(t.Context(), c)
			if e := wantError(t, err, codeSecret); e.Message != test.want {
				t.Errorf("message is %q, want %q", e.Message, test.want)
			}
		})
	}
}

func TestClean(t *testing.T) {
	long := clean(strings.Repeat("ä", 600), 511)
	if len(long) != 510 || !utf8.ValidString(long) {
		t.Errorf("clean cut to %d bytes, valid %t; want 510, true", len(long), utf8.ValidString(long))
	}
	if got := clean("\x1b]0;title\x07 text \r\n more", 99); got != "]0;title text " {
		t.Errorf("clean returned %q", got)
	}
}
