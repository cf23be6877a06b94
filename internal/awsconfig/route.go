// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "slices"

// Route is the way from a stored key to the credentials of a profile: what
// brokerd plans with.
type Route struct {
	// Path is every profile on the way, the asked one first and the owner of
	// the key last. It has at least one element, and one only if the profile
	// owns the key itself.
	Path []ProfileSettings
	// Roles are the profiles of Path whose role is assumed, in the order of
	// assuming: the one next to the key first. It is empty for a profile that
	// gets the session of the key itself. The owner's role is in it only when
	// the owner is the asked profile.
	Roles []ProfileSettings
}

// Profile returns the settings of the profile that was asked for.
func (r Route) Profile() ProfileSettings { return r.Path[0] }

// Owner returns the settings of the profile under which the key is stored.
func (r Route) Owner() ProfileSettings { return r.Path[len(r.Path)-1] }

// Route finds the stored key that a profile lives on, and the roles between.
//
// A key stored under a profile counts as static keys of that profile. The rules
// are otherwise those of Chain, except that
//   - the broker_ spellings of `wire` count as the plain keys and beat them;
//   - credential_process is passed over: after `wire` it is broker itself;
//   - a profile with a source_profile and no role_arn uses the session of its
//     source, as in aws-vault; SDKs know no such profile.
//
// Errors: CodeNoProfile, CodeProfileLoop, CodeProfileInvalid; CodeNoKey when
// the way ends at a profile whose key is not in the vault; CodeUnsupported when
// it ends at sso, web identity, a credential_source or a process.
func (c *Config) Route(profile string, hasKey KeyLookup) (Route, error) {
	if err := ValidProfileName(profile); err != nil {
		return Route{}, err
	}
	w := &walk{config: c, hasKey: hasKey}
	if hasKey == nil {
		w.hasKey = noKeys
	}
	var r Route
	for name, at := profile, (Pos{}); name != ""; {
		if err := w.enter(name, at); err != nil {
			return Route{}, err
		}
		p, err := c.folded(name)
		if err != nil {
			return Route{}, err
		}
		settings, err := p.settings()
		if err != nil {
			return Route{}, err
		}
		r.Path = append(r.Path, settings)
		next, role, err := w.hop(p)
		if err != nil {
			return Route{}, err
		}
		if role {
			r.Roles = append(r.Roles, settings)
		}
		name, at = next, p.Where("source_profile")
	}
	slices.Reverse(r.Roles)
	return r, nil
}

// hop decides what a profile contributes to a Route: the profile to go on with,
// "" when this one owns the key, and whether its role is assumed.
func (w *walk) hop(p Profile) (next string, role bool, err error) {
	_, owns := w.hasKey(p.Name)
	first := len(w.seen) == 1
	source := p.Get("source_profile")
	switch {
	case owns && !first:
		return "", false, nil
	case !first && w.hasPair(p.Name):
		return "", false, w.plaintext(p)
	case p.Get("role_arn") != "" && p.Get("web_identity_token_file") == "":
		if source == "" && p.Get("credential_source") == "" && owns {
			return "", true, nil
		}
		if source, err = roleSource(p); err != nil {
			return "", false, err
		}
		if source != "" && source != p.Name {
			return source, true, nil
		}
		if source == p.Name && owns {
			return "", true, nil
		}
	case owns:
		return "", false, nil
	case source != "" && source != p.Name && !w.hasAnyKey(p.Name) && p.Get("web_identity_token_file") == "":
		return source, false, nil
	}
	return "", false, w.unserved(p)
}

// unserved says why a profile that ends a chain does not end it at a stored key.
func (w *walk) unserved(p Profile) error {
	switch {
	case p.Get("credential_source") != "":
		return unsupported(p, "credential_source", "takes its credentials from a credential_source")
	case p.Get("web_identity_token_file") != "":
		return unsupported(p, "web_identity_token_file", "uses a web identity token")
	case w.hasAnyKey(p.Name):
		return w.plaintext(p)
	case slices.ContainsFunc(ssoKeys(), func(k string) bool { return p.Get(k) != "" }):
		return unsupported(p, "sso_session", "signs in with IAM Identity Center")
	case p.Get("login_session") != "":
		return unsupported(p, "login_session", "signs in with aws login")
	}
	if program, asked, ok := HelperCommand(p.Get("credential_process")); ok {
		return nothing(p).hint("its credential_process asks %s for profile %s; store the key: broker add %s",
			printable(program), asked, asked)
	}
	if p.Get("credential_process") != "" {
		return unsupported(p, "credential_process", "runs a credential_process of its own")
	}
	return nothing(p)
}

// plaintext says that the key of a profile stands in a file.
func (w *walk) plaintext(p Profile) error {
	own, _ := w.config.Profile(p.Name)
	if own.Get("aws_session_token") != "" || own.Get("aws_security_token") != "" {
		return errorAt(own.Where("aws_access_key_id"), CodeNoKey,
			"profile %s has temporary credentials in this file, and no key in the vault", show(p.Name)).
			hint("SDKs use them while they last; to have broker make some, remove them and store a key: broker add %s", show(p.Name))
	}
	return errorAt(own.Where("aws_access_key_id"), CodeNoKey,
		"the key of profile %s is in this file, not in the vault", show(p.Name)).
		hint("move it there: broker import %s --delete-source", show(p.Name))
}

func noKeys(string) (string, bool) { return "", false }
