// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "slices"

// The types of a Step.
const (
	StepStatic      = "static"       // a key pair in the files
	StepVault       = "vault"        // a key pair in broker's vault
	StepRole        = "role"         // AssumeRole with what the step before gave
	StepSource      = "source"       // a credential_source: environment or metadata service
	StepWebIdentity = "web-identity" // AssumeRoleWithWebIdentity
	StepSSO         = "sso"          // IAM Identity Center
	StepProcess     = "process"      // a credential_process, which is never run
)

// Step is one link of the chain by which a profile comes to credentials. It
// holds no secret. Fields that are not known, or not of the type, are empty.
type Step struct {
	Type                 string `json:"type"`
	Name                 string `json:"name,omitempty"` // of a StepSource
	AccessKeyID          string `json:"access_key_id,omitempty"`
	AccountID            string `json:"account_id,omitempty"`
	RoleARN              string `json:"role_arn,omitempty"`
	ExternalID           string `json:"external_id,omitempty"`
	RoleSessionName      string `json:"role_session_name,omitempty"`
	WebIdentityTokenFile string `json:"web_identity_token_file,omitempty"`
	SSOAccountID         string `json:"sso_account_id,omitempty"`
	SSORoleName          string `json:"sso_role_name,omitempty"`
	SSORegion            string `json:"sso_region,omitempty"`
	SSOSession           string `json:"sso_session,omitempty"`
	SSOStartURL          string `json:"sso_start_url,omitempty"`
}

// Chain is the document of `config chain`.
type Chain struct {
	Steps []Step `json:"steps"` // the root first
}

// KeyLookup says whether a key is stored in the vault under a profile, and
// which one. A nil KeyLookup is an empty vault.
type KeyLookup func(profile string) (accessKeyID string, ok bool)

// walk is the state of Chain.
type walk struct {
	config *Config
	hasKey KeyLookup
	seen   []string
	roles  []Step // the selected profile's role first
}

// Chain returns the steps by which SDKs come to the credentials of a profile.
// The rules are those that the SDKs share; where they disagree, the order
// within a profile is credential_source, web identity, sso, process, static.
// Beyond them, a profile without a source of its own has the key that the vault
// holds under its name, include_profile is followed, and where SDKs ask broker
// itself the way goes on as Route does.
// Errors are of CodeNoProfile, CodeNoKey, CodeProfileInvalid, CodeProfileLoop
// or CodeUnsupported.
func (c *Config) Chain(profile string, hasKey KeyLookup) (Chain, error) {
	if hasKey == nil {
		hasKey = noKeys
	}
	w := &walk{config: c, hasKey: hasKey}
	root, err := w.root(profile)
	if err != nil {
		return Chain{}, err
	}
	slices.Reverse(w.roles)
	return Chain{Steps: append([]Step{root}, w.roles...)}, nil
}

// root follows source_profile from a profile to the step that needs no
// credentials, and collects the roles on the way.
func (w *walk) root(name string) (Step, error) {
	for at := (Pos{}); ; {
		if err := w.enter(name, at); err != nil {
			return Step{}, err
		}
		p, ours, err := w.read(name)
		if err != nil {
			return Step{}, err
		}
		if ours && w.lends(p) {
			name, at = p.Get("source_profile"), p.Where("source_profile")
			continue
		}
		// In a source_profile a key pair comes before everything else.
		if len(w.seen) > 1 && w.hasPair(name) {
			return w.static(p)
		}
		if p.Get("role_arn") == "" || p.Get("web_identity_token_file") != "" {
			return w.base(p)
		}
		w.roles = append(w.roles, Step{
			Type:            StepRole,
			RoleARN:         p.Get("role_arn"),
			ExternalID:      p.Get("external_id"),
			RoleSessionName: p.Get("role_session_name"),
		})
		source, err := roleSource(p)
		if err != nil {
			if p.Get("credential_source") == "" && w.keyIsAll(name) {
				return w.vault(p)
			}
			return Step{}, err
		}
		if source == "" || source == name {
			return w.base(p)
		}
		name, at = source, p.Where("source_profile")
	}
}

// read returns a profile with what it includes. One whose credential_process is
// broker for itself gets its credentials as Route has it: by the keys that wire
// put aside, which SDKs do not see.
func (w *walk) read(name string) (p Profile, ours bool, err error) {
	p, err = w.config.included(name)
	if err != nil {
		return Profile{}, false, err
	}
	if _, asked, ok := HelperCommand(p.Get("credential_process")); !ok || asked != name {
		return p, false, nil
	}
	if p, err = w.config.folded(name); err != nil {
		return Profile{}, false, err
	}
	p.props = slices.DeleteFunc(slices.Clone(p.props), func(pr prop) bool { return pr.key == "credential_process" })
	return p, true, nil
}

// lends reports whether broker has the session of p's source serve for p too.
func (w *walk) lends(p Profile) bool {
	_, owns := w.hasKey(p.Name)
	source := p.Get("source_profile")
	return !owns && source != "" && source != p.Name && p.Get("role_arn") == ""
}

// enter records that the walk reached a profile, named at a place.
func (w *walk) enter(name string, at Pos) error {
	if slices.Contains(w.seen, name) {
		return errorAt(at, CodeProfileLoop, "source_profile runs in a circle: %s", circle(w.seen, name)).
			hint("let one of these profiles own a key, or point its source_profile elsewhere")
	}
	w.seen = append(w.seen, name)
	if w.config.has(name) {
		return nil
	}
	if _, ok := w.hasKey(name); ok {
		return nil
	}
	if len(w.seen) == 1 {
		return w.config.noProfile(name)
	}
	err := errorAt(at, CodeNoProfile, "profile %s is the source of profile %s and does not exist", show(name), show(w.seen[len(w.seen)-2]))
	err.Missing = name
	if near, ok := w.config.nearSource(name); ok {
		return err.hint("did you mean %s? To list the profiles: broker config list", show(near))
	}
	return err
}

// roleSource returns where a profile with a role_arn gets the credentials to
// assume it: the name of a profile, or "" for its credential_source.
func roleSource(p Profile) (string, error) {
	source, named := p.Get("source_profile"), p.Get("credential_source")
	switch {
	case source != "" && named != "":
		return "", errorAt(p.Where("credential_source"), CodeProfileInvalid,
			"profile %s has both source_profile and credential_source", show(p.Name)).hint("remove one of them")
	case source == "" && named == "":
		return "", errorAt(p.Where("role_arn"), CodeProfileInvalid,
			"profile %s has a role_arn but neither source_profile nor credential_source", show(p.Name)).
			hint("add source_profile with the profile that may assume the role")
	}
	return source, nil
}

// base returns the step of a profile that needs no other one.
func (w *walk) base(p Profile) (Step, error) {
	switch {
	case p.Get("credential_source") != "":
		return namedSource(p)
	case p.Get("web_identity_token_file") != "":
		return webIdentity(p)
	case slices.ContainsFunc(ssoKeys(), func(k string) bool { return p.Get(k) != "" }):
		return w.config.sso(p)
	case p.Get("login_session") != "":
		return Step{}, unsupported(p, "login_session", "signs in with aws login")
	case p.Get("credential_process") != "":
		return Step{Type: StepProcess}, nil
	case w.hasAnyKey(p.Name):
		return w.static(p)
	}
	return w.vault(p)
}

func (w *walk) vault(p Profile) (Step, error) {
	id, ok := w.hasKey(p.Name)
	if !ok {
		return Step{}, nothing(p)
	}
	return Step{Type: StepVault, AccessKeyID: id, AccountID: p.Get("aws_account_id")}, nil
}

// keyIsAll reports whether the vault is the only place with a key for a profile.
func (w *walk) keyIsAll(name string) bool {
	_, ok := w.hasKey(name)
	return ok && !w.hasAnyKey(name)
}

// hasPair and hasAnyKey look at the profile itself: include_profile shares
// settings, and half a pair from each of two profiles would be a guess.
func (w *walk) hasPair(name string) bool {
	own, _ := w.config.Profile(name)
	return own.Get("aws_access_key_id") != "" && own.Get("aws_secret_access_key") != ""
}

func (w *walk) hasAnyKey(name string) bool {
	own, _ := w.config.Profile(name)
	return own.Get("aws_access_key_id") != "" || own.Get("aws_secret_access_key") != "" || own.Get("aws_session_token") != ""
}

func (w *walk) static(p Profile) (Step, error) {
	own, _ := w.config.Profile(p.Name)
	for _, key := range []string{"aws_access_key_id", "aws_secret_access_key"} {
		if own.Get(key) == "" {
			return Step{}, errorAt(own.Pos, CodeProfileInvalid, "profile %s has half a key pair: %s is missing", show(p.Name), key)
		}
	}
	return Step{Type: StepStatic, AccessKeyID: own.Get("aws_access_key_id"), AccountID: p.Get("aws_account_id")}, nil
}

func namedSource(p Profile) (Step, error) {
	name := p.Get("credential_source")
	switch name {
	case "Environment", "Ec2InstanceMetadata", "EcsContainer":
		return Step{Type: StepSource, Name: name}, nil
	}
	return Step{}, errorAt(p.Where("credential_source"), CodeProfileInvalid,
		"profile %s has credential_source %s", show(p.Name), show(name)).
		hint("it must be Environment, Ec2InstanceMetadata or EcsContainer")
}

func webIdentity(p Profile) (Step, error) {
	if p.Get("role_arn") == "" {
		return Step{}, errorAt(p.Where("web_identity_token_file"), CodeProfileInvalid,
			"profile %s has a web_identity_token_file but no role_arn", show(p.Name))
	}
	return Step{
		Type:                 StepWebIdentity,
		RoleARN:              p.Get("role_arn"),
		RoleSessionName:      p.Get("role_session_name"),
		WebIdentityTokenFile: p.Get("web_identity_token_file"),
	}, nil
}

func nothing(p Profile) *Error {
	return errorAt(p.Pos, CodeNoKey, "profile %s has no credentials and no key in the vault", show(p.Name)).
		hint("store a key for it: broker add %s", show(p.Name))
}

func unsupported(p Profile, key, does string) error {
	return errorAt(p.Where(key), CodeUnsupported, "profile %s %s, which broker does not serve yet", show(p.Name), does)
}
