// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// profilePlan is how a profile comes to credentials, before and after import.
type profilePlan struct {
	Profile string `json:"profile"`
	Before  string `json:"before"`
	After   string `json:"after"`
}

// plans explains every profile that lives on a key of this import.
func (r *importing) plans(config *awsconfig.Config) []profilePlan {
	imported := map[string]importedKey{}
	for _, k := range r.report.Keys {
		if k.State == keyStored || k.State == keyAlready || k.State == keyFound {
			imported[k.Profile] = k
		}
	}
	names := config.Profiles()
	for name := range imported {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	has := func(profile string) (string, bool) {
		key, ok := r.stored[profile]
		return key.AccessKeyID, ok
	}
	plans := []profilePlan{}
	for _, name := range names {
		route, err := config.Route(name, has)
		if err != nil {
			if _, own := imported[name]; own {
				plans = append(plans, profilePlan{name, r.before(name, imported[name]), "not served: " + client.AsCoded(err).Message})
			}
			continue
		}
		if k, ours := imported[route.Owner().Profile]; ours {
			plans = append(plans, profilePlan{name, r.before(name, k), routeText(route, r.stored[route.Owner().Profile], r.o.dryRun)})
		}
	}
	return plans
}

// roleARN finds the roles in the words of a plan.
var roleARN = regexp.MustCompile(`arn:[^ ;,]*:role/[^ ;,]*`)

// planGroup is profiles whose plans differ in nothing but the roles, which each
// of them keeps.
type planGroup struct {
	profiles      []string
	before, after string
}

// groupPlans puts together what is to be read once: of forty profiles, most live
// on a few keys, each with a role of its own.
func groupPlans(plans []profilePlan) []planGroup {
	var groups []planGroup
	var shapes []string // of each group
	for _, p := range plans {
		before, after := p.Before, p.After
		if roles := roleARN.FindAllString(before, -1); slices.Equal(roles, roleARN.FindAllString(after, -1)) {
			before, after = roleARN.ReplaceAllString(before, "its role"), roleARN.ReplaceAllString(after, "its role")
		}
		shape := before + "\n" + after
		i := slices.Index(shapes, shape)
		if i < 0 {
			shapes, groups = append(shapes, shape), append(groups, planGroup{[]string{p.Profile}, p.Before, p.After})
			continue
		}
		g := &groups[i]
		g.profiles = append(g.profiles, p.Profile)
		if g.before != p.Before || g.after != p.After {
			g.before, g.after = before, after
		}
	}
	return groups
}

// before says what SDKs, or the program whose key k was, did with a profile by
// the files as they were.
func (r *importing) before(name string, k importedKey) string {
	files := r.kind.name == importKinds()[0].name
	has := func(profile string) (string, bool) {
		if profile == k.Profile && !files {
			return client.OrText(k.AccessKeyID, "of "+profile), true
		}
		id, ok := r.had[profile]
		return id, ok
	}
	chain, err := r.config.Chain(name, has)
	if err != nil {
		return "no credentials: " + client.AsCoded(err).Message
	}
	var parts []string
	for _, step := range chain.Steps {
		parts = append(parts, r.stepText(step, k))
	}
	if arn, _ := r.inheritedRole(name); arn != "" {
		parts = append(parts, "AssumeRole "+arn+", from [default]")
	}
	return strings.Join(parts, "; ")
}

func (r *importing) stepText(step awsconfig.Step, k importedKey) string {
	switch step.Type {
	case awsconfig.StepStatic:
		if step.AccessKeyID == k.AccessKeyID {
			return "key " + step.AccessKeyID + " of " + k.Where + ", as it is"
		}
		return "key " + step.AccessKeyID + " of the AWS files, as it is"
	case awsconfig.StepVault:
		if r.had[k.Profile] == step.AccessKeyID {
			return "key " + step.AccessKeyID + " of broker's vault"
		}
		return "key " + step.AccessKeyID + " of " + k.Where
	case awsconfig.StepRole:
		return "AssumeRole " + step.RoleARN
	case awsconfig.StepProcess:
		return "the program of credential_process"
	case awsconfig.StepWebIdentity:
		return "a web identity token, AssumeRoleWithWebIdentity " + step.RoleARN
	case awsconfig.StepSSO:
		return "IAM Identity Center (SSO)"
	}
	return "credential_source " + step.Name
}

// routeText says in the words of explain what broker does for a profile.
// Before a key is stored nobody knows yet which MFA device its user has.
func routeText(route awsconfig.Route, key ipc.Key, unknown bool) string {
	owner := route.Owner()
	serial := ""
	for _, on := range route.Path {
		if serial == "" && (on.Profile != owner.Profile || !key.NoMFA) {
			serial = on.MFASerial
		}
	}
	serial = client.OrText(serial, key.SerialNumber)
	session := callText(ipc.PlannedCall{Action: "GetSessionToken", SerialNumber: serial})
	if unknown && serial == "" {
		session += ", with a code if AWS lists a device"
	}
	parts := []string{"key " + client.OrText(key.AccessKeyID, "of "+owner.Profile) + " of the vault", session}
	for _, role := range route.Roles {
		parts = append(parts, callText(ipc.PlannedCall{Action: "AssumeRole", RoleARN: role.Role.ARN, RoleSessionName: client.OrText(role.Role.SessionName, key.UserName)}))
	}
	return strings.Join(parts, "; ")
}

// inheritedRole returns the role that a profile had from [default], in programs
// that look there for what a profile lacks. SDKs do not.
func (r *importing) inheritedRole(name string) (arn string, at awsconfig.Pos) {
	if !r.kind.inherits || name == awsconfig.DefaultProfile {
		return "", awsconfig.Pos{}
	}
	p, _ := r.config.Profile(name)
	base, _ := r.config.Profile(awsconfig.DefaultProfile)
	for _, key := range []string{"include_profile", "role_arn", "broker_role_arn"} {
		if p.Get(key) != "" {
			return "", awsconfig.Pos{}
		}
	}
	return base.Get("role_arn"), base.Where("role_arn")
}
