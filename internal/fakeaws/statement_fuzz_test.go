// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/json"
	"testing"
)

// FuzzPolicy: what is taken for a policy is JSON, can be evaluated, and denies
// nothing without a Deny.
func FuzzPolicy(f *testing.F) {
	f.Add(denyAll)
	f.Add(denySessions(epoch))
	f.Add(`{"Statement":{"Effect":"Allow","NotAction":["iam:*"],"NotResource":"arn:*:ann?","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":false}}}}`)
	f.Add(`{"Statement":[{"Effect":"Deny","Action":"\\E.*[","Resource":null}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, refused := parsePolicy(text)
		if refused != nil {
			if refused.code != codeMalformedPolicy || parsed != nil {
				t.Errorf("%q: %+v, %+v", text, refused, parsed)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("%q is taken for a policy", text)
		}
		for _, context := range []map[string]string{{}, {keyMFA: "true", keyIssued: wireTime, keyTime: wireTime, keyUserName: "ann"}} {
			r := policyRequest{action: "iam:CreateAccessKey", arn: "arn:aws:iam::111122223333:user/ann", context: context}
			denied, byDeny := r.deniedBy(parsed), false
			for _, st := range parsed {
				byDeny = byDeny || st.Effect == effectDeny
			}
			if denied && !byDeny {
				t.Errorf("%q denies without a Deny", text)
			}
		}
	})
}
