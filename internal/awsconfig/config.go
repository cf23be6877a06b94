// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// DefaultProfile is the profile that SDKs use when none is named.
const DefaultProfile = "default"

// Config is what the two AWS files of a user say, merged.
type Config struct {
	files       Files
	config      layer
	credentials layer
	nearby      *nearby
}

// nearby remembers what missing source_profiles were probably meant to be: to
// look through all names for each of ten thousand profiles took a minute.
type nearby struct {
	sync.Mutex
	best map[string]string // "" for none
}

// mostNearby is how many names are looked for. More missing ones are no typing
// errors.
const mostNearby = 100

// layer is what one file says, by name.
type layer struct {
	*parsed
	profiles map[string]run
	sessions map[string]run // [sso-session NAME]
	next     []int32        // of each section, the next one of its run
}

// run is the sections of one name in one file.
type run struct{ first, last int32 }

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
	config, err := ReadFile(files.Config)
	if err != nil {
		return nil, err
	}
	defer clear(config) // it may hold secrets
	credentials, err := ReadFile(files.Credentials)
	if err != nil {
		return nil, err
	}
	defer clear(credentials)
	return LoadBytes(files, config, credentials)
}

// LoadBytes returns what Load would if the files had this content. It keeps
// none of it.
func LoadBytes(files Files, config, credentials []byte) (*Config, error) {
	c := &Config{files: files, nearby: &nearby{best: map[string]string{}}}
	var err error
	if c.config, err = newLayer(files.Config, config); err != nil {
		return nil, err
	}
	if c.credentials, err = newLayer(files.Credentials, credentials); err != nil {
		return nil, err
	}
	c.config.indexConfig()
	c.credentials.indexCredentials()
	return c, nil
}

func newLayer(path string, data []byte) (layer, error) {
	p, err := parse(path, data)
	if err != nil {
		return layer{}, err
	}
	return layer{
		parsed:   p,
		profiles: make(map[string]run, len(p.heads)),
		sessions: map[string]run{},
		next:     make([]int32, len(p.heads)),
	}, nil
}

func (l *layer) indexConfig() {
	var defaults []int // [default], which [profile default] beats wherever it stands
	for i := range l.heads {
		switch prefix, name := l.title(i); {
		case prefix == "profile":
			l.enter(l.profiles, name, i)
		case prefix == "sso-session":
			l.enter(l.sessions, name, i)
		case prefix == "" && name == DefaultProfile:
			defaults = append(defaults, i)
		}
	}
	if _, prefixed := l.profiles[DefaultProfile]; prefixed {
		return
	}
	for _, i := range defaults {
		l.enter(l.profiles, DefaultProfile, i)
	}
}

func (l *layer) indexCredentials() {
	for i := range l.heads {
		if prefix, name := l.title(i); prefix == "" {
			l.enter(l.profiles, name, i)
		}
	}
}

// enter appends section i to the run of its name.
func (l *layer) enter(runs map[string]run, name string, i int) {
	if !validName(name) {
		return
	}
	r, ok := runs[name]
	if ok {
		l.next[r.last] = int32(i)
	} else {
		r.first = int32(i)
	}
	r.last = int32(i)
	runs[name] = r
}

// merge adds the properties of a run to p. The last one of a key wins. Values
// are copies: a session that remembers its role must not keep a whole file that
// has changed since.
func (l *layer) merge(p Profile, r run) Profile {
	if p.Pos == (Pos{}) {
		p.Pos = Pos{l.file, int(l.heads[r.first].line)}
	}
	for i := r.first; ; i = l.next[i] {
		for _, row := range l.below(int(i)) {
			if l.keys[row.key].valid {
				pr := l.prop(row)
				pr.value = strings.Clone(pr.value)
				p = p.with(pr)
			}
		}
		if i == r.last {
			return p
		}
	}
}

func (s section) isDefault() bool { return s.prefix == "" && s.name == DefaultProfile }

// hasPrefixedDefault reports whether [profile default] is there, which beats
// [default] wherever it stands.
func hasPrefixedDefault(sections []section) bool {
	return slices.ContainsFunc(sections, func(s section) bool { return s.prefix == "profile" && s.name == DefaultProfile })
}

// Files returns the paths that Load was given.
func (c *Config) Files() Files { return c.files }

// Profiles returns the names of all profiles of both files, sorted.
func (c *Config) Profiles() []string {
	names := slices.AppendSeq([]string{}, maps.Keys(c.config.profiles)) // never nil: JSON would say null
	for name := range c.credentials.profiles {
		if _, both := c.config.profiles[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Profile returns the merged profile called name.
func (c *Config) Profile(name string) (Profile, bool) {
	config, inConfig := c.config.profiles[name]
	credentials, inCredentials := c.credentials.profiles[name]
	p := Profile{Name: name}
	if inConfig {
		p = c.config.merge(p, config)
	}
	if inCredentials {
		p = c.credentials.merge(p, credentials)
	}
	return p, inConfig || inCredentials
}

// has reports whether a profile is in either file.
func (c *Config) has(name string) bool {
	_, inConfig := c.config.profiles[name]
	_, inCredentials := c.credentials.profiles[name]
	return inConfig || inCredentials
}

// SSOSession returns the section [sso-session NAME].
func (c *Config) SSOSession(name string) (Profile, bool) {
	r, ok := c.config.sessions[name]
	if !ok {
		return Profile{}, false
	}
	return c.config.merge(Profile{Name: name}, r), true
}

// SourceInCredentials returns the first key in the credentials file that gives
// a profile its credentials, unless it is a credential_process that asks broker
// for that profile. SDKs rank most of these above credential_process in the
// config file, so a profile that has one cannot be sent to broker there.
func (c *Config) SourceInCredentials(name string) (key string, pos Pos, found bool) {
	r, ok := c.credentials.profiles[name]
	if !ok {
		return "", Pos{}, false
	}
	p := c.credentials.merge(Profile{Name: name}, r)
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

// Helper returns the program that SDKs run for a profile's credentials, if that
// is broker, asked for this very profile, and nothing in the files comes before
// it: SDKs rank other sources differently, so there must be no other.
func (c *Config) Helper(profile string) (program string, ok bool) {
	p, _ := c.Profile(profile)
	program, asked, ok := HelperCommand(p.Get("credential_process"))
	if !ok || asked != profile {
		return "", false
	}
	for _, key := range []string{"aws_access_key_id", "role_arn", "source_profile", "credential_source", "web_identity_token_file", "sso_session", "sso_start_url", "login_session"} {
		if p.Get(key) != "" {
			return "", false
		}
	}
	_, _, outranked := c.SourceInCredentials(profile)
	return program, !outranked
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
