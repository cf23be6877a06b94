// SPDX-License-Identifier: Apache-2.0

package credproc

import "strings"

// Scrub returns env, a list of "NAME=value", without the variables that bring
// credentials of their own, or select others, before an SDK looks at the
// profile that it was told to use. The order of the rest is kept, and env is
// not changed. Files, Regions and endpoints are left to the caller.
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
func Scrub(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if !competes(name) {
			kept = append(kept, entry)
		}
	}
	return kept
}

func competes(name string) bool {
	switch name {
	case
		// Keys. SDK for Go v2 and Java also read the older spellings, and
		// boto the older name of the token.
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SECURITY_TOKEN",
		// What describes them: botocore would refresh by the expiration, and
		// an account ID selects the endpoints of another account.
		"AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION", "AWS_ACCOUNT_ID",
		// Another profile.
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		// A role by web identity.
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
		// The endpoint of a container, or of another broker.
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		// The key files of boto 2 and of the SDK for Java v1, and the mark of
		// aws-vault and of an outer broker exec.
		"AWS_CREDENTIAL_FILE", "AWS_CREDENTIAL_PROFILES_FILE", "AWS_VAULT":
		return true
	}
	return false
}
