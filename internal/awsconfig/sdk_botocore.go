// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"slices"
	"strings"
)

// How botocore reads: Python's configparser, strict (parseBoto), then shlex on
// the names of sections. Seen with 1.43 on Python 3.11, and the same in awscli
// 2.9. Before Python 3.11 a header ends at its first "]", since then at its last.

// readAsBotocore refuses both files when one is broken: nothing can be asked of
// botocore then, whatever the profile.
func readAsBotocore(files Files, c contents) *view {
	shared := map[Pos]bool{}
	config, err := botocoreSections(files.Config, c.config, shared)
	if err != nil {
		return &view{refused: err}
	}
	credentials, err := botocoreSections(files.Credentials, c.credentials, shared)
	if err != nil {
		return &view{refused: err}
	}
	v := &view{
		profiles: map[string]Profile{}, sessions: map[string]Profile{},
		inConfig: map[string]Profile{}, inCredentials: map[string]Profile{}, shared: shared,
	}
	for _, s := range config {
		switch kind, name, ok := botocoreHeader(s.name); {
		case !ok:
		case kind == "profile": // the last of several spellings of a name wins, whole
			v.inConfig[name] = s.as(name, files.Config)
		case kind == "sso-session":
			v.sessions[name] = s.as(name, files.Config)
		}
	}
	for name, p := range v.inConfig {
		v.profiles[name] = p
	}
	for _, s := range credentials { // as the header stands: [profile x] is called so
		p := s.as(s.name, files.Credentials)
		v.inCredentials[s.name] = p
		if base, both := v.profiles[s.name]; both {
			p = p.over(base)
		}
		v.profiles[s.name] = p
	}
	return v
}

// botocoreHeader takes the header of a section of the config file apart.
func botocoreHeader(header string) (kind, name string, ok bool) {
	if header == DefaultProfile {
		return "profile", header, true
	}
	for _, kind := range []string{"profile", "sso-session"} {
		if strings.HasPrefix(header, kind) { // so [profiles x] is one too
			if words, err := splitWords(header); err == nil && len(words) == 2 {
				return kind, words[1], true
			}
			return "", "", false
		}
	}
	return "", "", false
}

// botocoreSections returns the sections of a file, with what [DEFAULT] puts
// into each; shared has the places of that.
func botocoreSections(path string, data []byte, shared map[Pos]bool) ([]section, *Error) {
	f, err := parseBoto(path, data)
	if err != nil {
		refusal := &Error{Code: CodeConfigBroken, File: path, Message: err.Error()}
		_ = errors.As(err, &refusal) // it is one
		return nil, refusal
	}
	var list []section
	var defaults section
	for i, s := range f.sections {
		into := &defaults
		if s.name != botoDefault {
			list = append(list, section{name: s.name, line: s.line})
			into = &list[len(list)-1]
		}
		for _, o := range f.below(i) {
			p := prop{o.key, keptOption(o), Pos{path, o.line}}
			into.put(p)
			if into == &defaults {
				shared[p.pos] = true
			}
		}
	}
	for i := range list {
		own := len(list[i].props)
		for _, p := range defaults.props {
			if !slices.ContainsFunc(list[i].props[:own], func(o prop) bool { return o.key == p.key }) {
				list[i].props = append(list[i].props, p)
			}
		}
	}
	return list, nil
}

func keptOption(o botoOption) string {
	if isSecret(o.key) {
		return keptValue(o.key, o.value)
	}
	return keptValue(o.key, []byte(o.text()))
}

// resolveAsBotocore follows the chain of providers of a profile.
func resolveAsBotocore(v *view, profile string) Reading {
	b := botocoreChain{v, []string{profile}}
	p, ok := v.profiles[profile]
	switch {
	case !ok:
		return refusal(Pos{}, "it does not find the profile")
	case b.isRole(p):
		return b.role(p)
	}
	return b.own(p)
}

// botocoreChain is the state of one resolution.
type botocoreChain struct {
	*view
	visited []string
}

func (b *botocoreChain) isRole(p Profile) bool {
	return p.has("role_arn") && !p.has("web_identity_token_file")
}

// role is its provider of assumed roles, which comes first.
func (b *botocoreChain) role(p Profile) Reading {
	at := p.Where("role_arn")
	switch source, named := p.has("source_profile"), p.has("credential_source"); {
	case source && named:
		return refusal(at, "it has both source_profile and credential_source")
	case !source && !named:
		return refusal(at, "it has role_arn without a source_profile")
	case named:
		return assumed(p, credentialSource(p))
	}
	name := p.Get("source_profile")
	from, ok := b.profiles[name]
	half := from.has("aws_access_key_id") || from.has("aws_secret_access_key")
	switch again := slices.Contains(b.visited, name); {
	case !ok:
		return refusal(p.Where("source_profile"), "its source_profile does not exist")
	case again && (name != p.Name || !half):
		return refusal(p.Where("source_profile"), "its source_profile runs in a circle")
	}
	b.visited = append(b.visited, name)
	if !half && b.isRole(from) {
		return assumed(p, b.role(from))
	}
	source := b.own(from)
	if source.Source == SourceNone {
		return refusal(p.Where("source_profile"), "its source_profile has no credentials")
	}
	return assumed(p, source)
}

// own are the providers of what stands in the profile itself, in their order.
func (b *botocoreChain) own(p Profile) Reading {
	const id, rest = "aws_access_key_id", "aws_secret_access_key"
	shared, config := b.inCredentials[p.Name], b.inConfig[p.Name]
	switch {
	case p.Get("web_identity_token_file") != "":
		return webIdentityOf(p)
	case p.has("sso_account_id") || p.has("sso_role_name"):
		return b.sso(p)
	case shared.has(id):
		return pair(shared, shared.has(rest))
	case p.has("login_session"):
		return found(SourceLogin, p.Where("login_session"))
	case p.has("credential_process"):
		return processOf(p)
	case config.has(id):
		return pair(config, config.has(rest))
	}
	return Reading{Source: SourceNone}
}

func (b *botocoreChain) sso(p Profile) Reading {
	signIn := p
	if p.has("sso_session") {
		s, ok := b.sessions[p.Get("sso_session")]
		if !ok {
			return refusal(p.Where("sso_session"), "its sso-session does not exist")
		}
		signIn = s.over(p)
	}
	for _, key := range []string{"sso_role_name", "sso_account_id", "sso_start_url", "sso_region"} {
		if !signIn.has(key) {
			return refusal(p.Pos, "it signs in with sso without "+key)
		}
	}
	return found(SourceSSO, p.Where("sso_account_id"))
}
