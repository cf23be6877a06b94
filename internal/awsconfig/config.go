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

// Profile is one named set of properties: a profile or an sso-session. The
// maps are shared and must not be changed.
type Profile struct {
	Name string
	// Properties are the merged keys, in lower case, and values. A value that
	// is a secret reads secret.Redacted; a nested block starts with "\n".
	Properties map[string]string
	// Pos is the first header of the profile.
	Pos   Pos
	where map[string]Pos
}

// Get returns the value of a key, "" when it is not there. To broker an empty
// value and no value are the same.
func (p Profile) Get(key string) string { return p.Properties[key] }

// Where returns the place of a key, or of the profile when it lacks the key.
func (p Profile) Where(key string) Pos {
	if pos, ok := p.where[key]; ok {
		return pos
	}
	return p.Pos
}

// Load reads and merges the AWS files. A file that does not exist is empty.
// The error is an Error of CodeConfigBroken.
func Load(files Files) (*Config, error) {
	c := &Config{
		files:       files,
		profiles:    map[string]Profile{},
		credentials: map[string]Profile{},
		sessions:    map[string]Profile{},
	}
	config, err := readSections(files.Config)
	if err != nil {
		return nil, err
	}
	credentials, err := readSections(files.Credentials)
	if err != nil {
		return nil, err
	}
	prefixed := hasPrefixedDefault(config)
	for _, s := range config {
		switch name, prefix := s.configName(); {
		case prefix == "sso-session":
			merge(c.sessions, name, files.Config, s)
		case prefix == "" && name == DefaultProfile && prefixed:
		case prefix == "profile" || prefix == "" && name == DefaultProfile:
			merge(c.profiles, name, files.Config, s)
		}
	}
	for _, s := range credentials {
		if len(s.words) == 1 && validName(s.words[0]) {
			merge(c.profiles, s.words[0], files.Credentials, s)
			merge(c.credentials, s.words[0], files.Credentials, s)
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

// configName returns the name of a section of the config file and the word
// before it: "profile", "sso-session", "services" or another. Both are empty
// when the header is none that SDKs read.
func (s section) configName() (name, prefix string) {
	switch {
	case len(s.words) == 1 && validName(s.words[0]):
		return s.words[0], ""
	case len(s.words) == 2 && validName(s.words[1]):
		return s.words[1], s.words[0]
	}
	return "", ""
}

// hasPrefixedDefault reports whether [profile default] is there, which beats
// [default] wherever it stands.
func hasPrefixedDefault(sections []section) bool {
	return slices.ContainsFunc(sections, func(s section) bool {
		return slices.Equal(s.words, []string{"profile", DefaultProfile})
	})
}

// merge adds the properties of a section to the profile called name. The last
// one of a key wins.
func merge(into map[string]Profile, name, file string, s section) {
	p, ok := into[name]
	if !ok {
		p = Profile{Name: name, Properties: map[string]string{}, Pos: Pos{file, s.line}, where: map[string]Pos{}}
		into[name] = p
	}
	for _, pr := range s.props {
		if validName(pr.key) {
			p.Properties[pr.key] = pr.value
			p.where[pr.key] = Pos{file, pr.line}
		}
	}
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
		if at, ok := p.where[k]; ok && p.Get(k) != "" && (!found || at.Line < pos.Line) {
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
