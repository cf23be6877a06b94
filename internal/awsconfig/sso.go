// SPDX-License-Identifier: Apache-2.0

package awsconfig

// ssoKeys are the keys that make a profile one of IAM Identity Center.
func ssoKeys() []string {
	return []string{"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"}
}

// sso returns the step of a profile of IAM Identity Center: of the older kind
// with everything in the profile, or with a section [sso-session].
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
func (c *Config) sso(p Profile) (Step, error) {
	sign := p // where sso_start_url and sso_region stand
	if p.Get("sso_session") != "" {
		s, err := c.sessionOf(p)
		if err != nil {
			return Step{}, err
		}
		for _, key := range []string{"sso_start_url", "sso_region"} {
			if v := p.Get(key); v != "" && v != s.Get(key) {
				return Step{}, errorAt(p.Where(key), CodeProfileInvalid,
					"profile %s has a %s of its own beside sso-session %s", show(p.Name), key, show(s.Name)).
					hint("keep it in the section [sso-session %s] only", show(s.Name))
			}
		}
		sign = s
	}
	for _, key := range []string{"sso_start_url", "sso_region"} {
		if sign.Get(key) == "" {
			return Step{}, errorAt(sign.Pos, CodeProfileInvalid, "profile %s signs in with sso but %s is missing", show(p.Name), key)
		}
	}
	account, role := p.Get("sso_account_id"), p.Get("sso_role_name")
	if (account == "") != (role == "") || account == "" && p.Get("sso_session") == "" {
		return Step{}, errorAt(p.Pos, CodeProfileInvalid, "profile %s signs in with sso and needs both sso_account_id and sso_role_name", show(p.Name))
	}
	return Step{
		Type:         StepSSO,
		SSOAccountID: account,
		SSORoleName:  role,
		SSORegion:    sign.Get("sso_region"),
		SSOSession:   p.Get("sso_session"),
		SSOStartURL:  sign.Get("sso_start_url"),
	}, nil
}
