// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The values of the knob policy, which attaches policies to every user. The
// root user and the sessions of roles are not under them.
const (
	policyNone       = "none"
	policyForceMFA   = "force-mfa"
	policyQuarantine = "quarantine"
	policyDeny       = "deny:"
)

// managedPolicy is a policy that is attached to every user.
type managedPolicy struct {
	name       string
	owner      string // "aws", or empty for the account
	statements []statement
}

// policyARN returns the ARN of an attached policy.
func (s *Server) policyARN(m managedPolicy) string {
	owner := m.owner
	if owner == "" {
		owner = s.accountID
	}
	return "arn:" + s.partition.name + ":iam::" + owner + ":policy/" + m.name
}

// forceMFA is the statement DenyAllExceptListedIfNoMFA of AWS's example. Its
// condition is BoolIfExists, so it binds long-lived keys too, which say nothing
// of MFA: they can do no more with IAM than what is spared here.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_aws_my-sec-creds-self-manage.html
func forceMFA() []managedPolicy {
	return []managedPolicy{{name: "ForceMFA", statements: []statement{{
		Effect: effectDeny,
		NotAction: oneOrMany{
			"iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:GetUser", "iam:GetMFADevice", "iam:ListMFADevices",
			"iam:ListVirtualMFADevices", "iam:ResyncMFADevice", actSessionToken,
		},
		Resource:  oneOrMany{"*"},
		Condition: map[string]map[string]oneOrMany{"BoolIfExists": {keyMFA: {"false"}}},
	}}}}
}

// quarantine are the policies that AWS attaches to the user of a leaked key,
// with what each denies of the services here.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html
func quarantine() []managedPolicy {
	both := oneOrMany{
		"cloudtrail:LookupEvents",
		"iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:ChangePassword",
		"iam:CreateAccessKey", "iam:CreateInstanceProfile", "iam:CreateLoginProfile", "iam:CreatePolicyVersion",
		"iam:CreateRole", "iam:CreateUser", "iam:DetachUserPolicy", "iam:PassRole", "iam:PutGroupPolicy", "iam:PutRolePolicy",
		"iam:PutUserPermissionsBoundary", "iam:PutUserPolicy", "iam:SetDefaultPolicyVersion", "iam:UpdateAccessKey",
		"iam:UpdateAccountPasswordPolicy", "iam:UpdateAssumeRolePolicy", "iam:UpdateLoginProfile", "iam:UpdateUser",
	}
	third := append(slices.Clone(both),
		actSessionToken, "sts:GetFederationToken", "iam:DeleteRole", "iam:DeleteAccessKey", "iam:ListUsers")
	deny := func(version string, actions oneOrMany) managedPolicy {
		return managedPolicy{name: "AWSCompromisedKeyQuarantine" + version, owner: "aws", statements: []statement{{
			Effect: effectDeny, Action: actions, Resource: oneOrMany{"*"},
		}}}
	}
	return []managedPolicy{deny("V3", third), deny("V2", both)}
}

// policiesNamed reads a value of the knob policy. The action of a deny may be
// given with or without its service.
func policiesNamed(value string) ([]managedPolicy, error) {
	switch value {
	case policyNone:
		return nil, nil
	case policyForceMFA:
		return forceMFA(), nil
	case policyQuarantine:
		return quarantine(), nil
	}
	name, isDeny := strings.CutPrefix(value, policyDeny)
	if !isDeny {
		return nil, fmt.Errorf("a policy is %s, %s, %s or %sACTION", policyNone, policyForceMFA, policyQuarantine, policyDeny)
	}
	bare := name[strings.Index(name, ":")+1:]
	act, ok := actions[bare]
	full := act.service.action(bare)
	switch {
	case !ok || name != bare && name != full:
		return nil, fmt.Errorf("no such action; the actions are %s", strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	case bare == "GetCallerIdentity":
		return nil, fmt.Errorf("AWS allows %s even under a deny", bare)
	}
	return []managedPolicy{{name: "Deny" + bare, statements: []statement{{
		Effect: effectDeny, Action: oneOrMany{full}, Resource: oneOrMany{"*"},
	}}}}, nil
}

// target is what an action is done to: its ARN, and what AWS's texts call it.
// Both are empty for an action without one.
type target struct{ arn, name string }

// userTarget is a user, whom IAM's texts call by name.
func userTarget(u *User) target { return target{u.ARN, "user " + u.UserName} }

// permitLocked refuses what a policy of the user denies; all else is allowed.
// GetCallerIdentity does not ask: AWS allows it to everybody. mfa says whether
// the request counts as made with MFA.
//
// AWS's texts name the policy that denies where it is of the caller's account;
// those here name those of AWS only, and are otherwise the older ones.
func (s *Server) permitLocked(c *call, action string, on target, mfa bool) *apiError {
	if c.who.isRole() || c.who.user.isRoot() {
		return nil
	}
	r := policyRequest{action: action, arn: on.arn, context: contextOf(c, mfa)}
	for _, m := range s.knobs.policy {
		if r.deniedBy(m.statements) {
			refused := explicitDeny(c.who, action, on)
			if m.owner != "" {
				refused.message += ": " + s.policyARN(m)
			}
			return refused
		}
	}
	for _, i := range s.inline[c.who.user] {
		if r.deniedBy(i.statements) {
			return explicitDeny(c.who, action, on)
		}
	}
	return nil
}

// contextOf returns the condition keys of a request. Those of temporary
// credentials are absent for a long-lived key, unless the request brings a code.
// AWS counts in whole seconds.
func contextOf(c *call, mfa bool) map[string]string {
	context := map[string]string{
		keyTime:     c.now.Format(time.RFC3339),
		keyUserName: c.who.user.UserName,
	}
	if ses := c.who.session; ses != nil {
		context[keyIssued] = ses.issued.Format(time.RFC3339)
	}
	if mfa || c.who.session != nil {
		context[keyMFA] = strconv.FormatBool(mfa)
	}
	return context
}

func explicitDeny(who *caller, action string, on target) *apiError {
	text := "User: " + who.arn() + " is not authorized to perform: " + action
	if on.name != "" {
		text += " on resource: " + on.name
	}
	return refusef(codeAccessDenied, "%s with an explicit deny in an identity-based policy", text)
}
