// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "slices"

// Shown is a profile as `config show` prints it.
type Shown struct {
	Profile    string            `json:"profile"`
	Properties map[string]string `json:"properties"`
	// SSOSession is the section that the profile's sso_session names, if any.
	SSOSession map[string]string `json:"sso_session,omitzero"`
}

// Show returns a profile as a document, resolved or as it stands. The values
// of secrets read secret.Redacted, as does what a program is given. The error is of CodeNoProfile, or one of
// Resolved.
func (c *Config) Show(name string, resolved bool) (Shown, error) {
	p, ok := c.Profile(name)
	if !ok {
		return Shown{}, c.noProfile(name)
	}
	if resolved {
		var err error
		if p, err = c.Resolved(name); err != nil {
			return Shown{}, err
		}
	}
	doc := Shown{Profile: name, Properties: p.Properties()}
	for key, value := range doc.Properties {
		if isProcess(key) {
			doc.Properties[key] = shownProcess(value)
		}
	}
	if s, ok := c.SSOSession(p.Get("sso_session")); ok {
		doc.SSOSession = s.Properties()
	}
	return doc, nil
}

// Resolved returns a profile with what it inherits: the properties of its
// include_profile, and of that one's, and of the sso-session it names. The
// nearer value of a key wins. Errors: CodeNoProfile, CodeProfileLoop, and
// CodeProfileInvalid when the sso-session is missing.
func (c *Config) Resolved(name string) (Profile, error) {
	if !c.has(name) {
		return Profile{}, c.noProfile(name)
	}
	p, err := c.included(name)
	if err != nil {
		return Profile{}, err
	}
	if p.Get("sso_session") == "" {
		return p, nil
	}
	s, err := c.sessionOf(p)
	if err != nil {
		return Profile{}, err
	}
	return p.inherit(s), nil
}

// included returns a profile with the properties of its include_profile, a
// setting of aws-vault. A profile without a section is empty.
func (c *Config) included(name string) (Profile, error) {
	return c.includedAs(name, func(p Profile) Profile { return p })
}

// includedAs is included, with what read makes of each profile on the way.
func (c *Config) includedAs(name string, read func(Profile) Profile) (Profile, error) {
	p, ok := c.Profile(name)
	if !ok {
		return Profile{Name: name}, nil
	}
	p = read(p)
	seen := []string{name}
	for from := p; from.Get("include_profile") != ""; {
		next := from.Get("include_profile")
		at := from.Where("include_profile")
		if slices.Contains(seen, next) {
			return Profile{}, errorAt(at, CodeProfileLoop, "include_profile runs in a circle: %s", circle(seen, next))
		}
		seen = append(seen, next)
		base, ok := c.Profile(next)
		if !ok {
			return Profile{}, errorAt(at, CodeNoProfile, "profile %s includes profile %s, which does not exist", show(from.Name), show(next))
		}
		base = read(base)
		p, from = p.inherit(base), base
	}
	return p, nil
}

// inherit returns p with the properties of base that p does not have.
func (p Profile) inherit(base Profile) Profile {
	props := slices.Clone(p.props)
	for _, pr := range base.props {
		if p.index(pr.key) < 0 {
			props = append(props, pr)
		}
	}
	return Profile{Name: p.Name, Pos: p.Pos, props: props}
}

func (c *Config) sessionOf(p Profile) (Profile, error) {
	name := p.Get("sso_session")
	s, ok := c.SSOSession(name)
	if !ok {
		return Profile{}, errorAt(p.Where("sso_session"), CodeProfileInvalid,
			"profile %s names sso-session %s, which does not exist", show(p.Name), show(name)).
			hint("add a section [sso-session %s] to %s", show(name), c.files.Config)
	}
	return s, nil
}

func (c *Config) noProfile(name string) error {
	err := &Error{Code: CodeNoProfile, Message: "profile " + show(name) + " does not exist in the AWS config"}
	if near, ok := c.near(name); ok {
		return err.hint("did you mean %s? To list the profiles: broker config list", show(near))
	}
	return err.hint("list the profiles: broker config list")
}

// nearSource is near for a name that stands in the files.
func (c *Config) nearSource(name string) (string, bool) {
	c.nearby.Lock()
	defer c.nearby.Unlock()
	best, known := c.nearby.best[name]
	if !known && len(c.nearby.best) < mostNearby {
		if near, ok := c.near(name); ok {
			best = near
		}
		c.nearby.best[name] = best
	}
	return best, best != ""
}

// near returns the profile that name was probably meant to be: with a third of
// its characters changed at most.
func (c *Config) near(name string) (string, bool) {
	names := c.Profiles()
	if len(names) == 0 {
		return "", false
	}
	best := nearest(name, names)
	return best, 3*distance(name[:min(len(name), 64)], best) <= len(best)
}
