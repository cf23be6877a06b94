// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"slices"
	"strings"
)

// The policies that the knob policy attaches to every user. The root user and
// the sessions of roles are not under them.
const (
	policyNone       = "none"
	policyForceMFA   = "force-mfa"
	policyQuarantine = "quarantine"
	policyDeny       = "deny:"
)

// sparedWithoutMFA is what the statement DenyAllExceptListedIfNoMFA leaves to
// a user without MFA. Its condition is BoolIfExists, so it binds long-lived
// keys too.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_aws_my-sec-creds-self-manage.html
var sparedWithoutMFA = []string{
	"iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:GetUser", "iam:GetMFADevice", "iam:ListMFADevices",
	"iam:ListVirtualMFADevices", "iam:ResyncMFADevice", actSessionToken,
}

// quarantineARN is the policy that AWS attaches to the user of a leaked key.
// AWS's texts name the policy that denies where caller and policy are of one
// account; a deny:ACTION is one of the older texts, which do not.
const quarantineARN = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"

// quarantined is what AWSCompromisedKeyQuarantineV3 denies of the actions here.
var quarantined = []string{actSessionToken}

// permitLocked refuses what the policy of the users denies. GetCallerIdentity
// does not ask: AWS allows it to everybody. An empty resource is an action
// without one.
func (s *Server) permitLocked(who *caller, action, resource string, mfa bool) *apiError {
	if who.isRole() || who.user.isRoot() {
		return nil
	}
	denied := false
	switch policy := s.knobs.policy; policy {
	case policyForceMFA:
		denied = !mfa && !slices.Contains(sparedWithoutMFA, action)
	case policyQuarantine:
		denied = slices.Contains(quarantined, action)
	default:
		denied = strings.TrimPrefix(policy, policyDeny) == action
	}
	if !denied {
		return nil
	}
	text := "User: " + who.arn() + " is not authorized to perform: " + action
	if resource != "" {
		text += " on resource: " + resource
	}
	text += " with an explicit deny in an identity-based policy"
	if s.knobs.policy == policyQuarantine {
		text += ": " + quarantineARN
	}
	return refusef(codeAccessDenied, "%s", text)
}
