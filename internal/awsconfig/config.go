// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"maps"
	"slices"
)

// DefaultProfile is the profile that SDKs use when none is named.
const DefaultProfile = "default"

// Config is what the two AWS files of a user say, merged.
type Config struct {
	files       Files
	profiles    map[string]Profile
	credentials map[string]Profile // the part of profiles that the credentials file has
	sessions    map[string]Profile // [sso-session NAME]
}

// Profile is one named set of properties: a profile or an sso-session. It is
// immutable.
type Profile struct {
	Name  string
	Pos   Pos    // of the first header
	props []prop // each key once
}

// Get returns the value of a key in lower case, "" when it is not there: to
// broker an empty value and no value are the same. A value that is a secret
// reads secret.Redacted; a nested block starts with "\n".
func (p Profile) Get(key string) string {
	if i := p.index(key); i >= 0 {
		return p.props[i].value
	}
	return ""
}

// Where returns the place of a key, or of the profile when it lacks the key.
func (p Profile) Where(key string) Pos {
	if i := p.index(key); i >= 0 {
		return p.props[i].pos
	}
	return p.Pos
}

// Properties returns a new map of all keys and values.
func (p Profile) Properties() map[string]string {
	m := make(map[string]string, len(p.props))
	for _, pr := range p.props {
		m[pr.key] = pr.value
	}
	return m
}

// index finds a key. Profiles have a handful of keys, where a map would cost
// more than it saves.
func (p Profile) index(key string) int {
	return slices.IndexFunc(p.props, func(pr prop) bool { return pr.key == key })
}

// with returns p with a property added or replaced. It may reuse the array of
// p.props: only for a Profile that nobody else has.
func (p Profile) with(pr prop) Profile {
	if i := p.index(pr.key); i >= 0 {
		p.props[i] = pr
	} else {
		p.props = append(p.props, pr)
	}
	return p
}

// Load reads and merges the AWS files. A file that does not exist is empty.
// The error is an Error of CodeConfigBroken.
func Load(files Files) (*Config, error) {
	config, err := readSections(files.Config)
	if err != nil {
		return nil, err
	}
	credentials, err := readSections(files.Credentials)
	if err != nil {
		return nil, err
	}
	c := &Config{
		files:       files,
		profiles:    make(map[string]Profile, len(config)+len(credentials)),
		credentials: make(map[string]Profile, len(credentials)),
		sessions:    map[string]Profile{},
	}
	prefixed := hasPrefixedDefault(config)
	for _, s := range config {
		switch {
		case !validName(s.name):
		case s.prefix == "sso-session":
			merge(c.sessions, files.Config, s)
		case s.isDefault() && prefixed:
		case s.prefix == "profile" || s.isDefault():
			merge(c.profiles, files.Config, s)
		}
	}
	for _, s := range credentials {
		if s.prefix == "" && validName(s.name) {
			merge(c.profiles, files.Credentials, s)
			merge(c.credentials, files.Credentials, s)
		}
	}
	return c, nil
}

func readSections(path string) ([]section, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	defer clear(data) // it may hold secrets
	return parse(path, data)
}

func (s section) isDefault() bool { return s.prefix == "" && s.name == DefaultProfile }

// hasPrefixedDefault reports whether [profile default] is there, which beats
// [default] wherever it stands.
func hasPrefixedDefault(sections []section) bool {
	return slices.ContainsFunc(sections, func(s section) bool { return s.prefix == "profile" && s.name == DefaultProfile })
}

// merge adds the properties of a section to the profile of its name. The last
// one of a key wins.
func merge(into map[string]Profile, file string, s section) {
	p, ok := into[s.name]
	if !ok {
		p = Profile{Name: s.name, Pos: Pos{file, s.line}, props: make([]prop, 0, len(s.props))}
	}
	for _, pr := range s.props {
		if validName(pr.key) {
			p = p.with(pr)
		}
	}
	into[s.name] = p
}

// Files returns the paths that Load was given.
func (c *Config) Files() Files { return c.files }

// Profiles returns the names of all profiles of both files, sorted.
func (c *Config) Profiles() []string {
	names := slices.AppendSeq([]string{}, maps.Keys(c.profiles)) // never nil: JSON would say null
	slices.Sort(names)
	return names
}

// Profile returns the merged profile called name.
func (c *Config) Profile(name string) (Profile, bool) {
	p, ok := c.profiles[name]
	return p, ok
}

// SSOSession returns the section [sso-session NAME].
func (c *Config) SSOSession(name string) (Profile, bool) {
	p, ok := c.sessions[name]
	return p, ok
}

// SourceInCredentials returns the first key in the credentials file that gives
// a profile its credentials, unless it is a credential_process that asks broker
// for that profile. SDKs rank most of these above credential_process in the
// config file, so a profile that has one cannot be sent to broker there.
func (c *Config) SourceInCredentials(name string) (key string, pos Pos, found bool) {
	p := c.credentials[name]
	if _, asked, ok := HelperCommand(p.Get("credential_process")); ok && asked == name {
		return "", Pos{}, false
	}
	for _, k := range sourceKeys() {
		if at := p.Where(k); p.Get(k) != "" && (!found || at.Line < pos.Line) {
			key, pos, found = k, at, true
		}
	}
	return key, pos, found
}

// sourceKeys are the keys of a profile from which an SDK takes credentials.
func sourceKeys() []string {
	return []string{
		"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token",
		"role_arn", "source_profile", "credential_source", "web_identity_token_file",
		"sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "sso_region",
		"login_session", "credential_process",
	}
}
