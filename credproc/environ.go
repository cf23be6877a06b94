// SPDX-License-Identifier: Apache-2.0

package credproc

import (
	"slices"
	"strings"
	"time"
)

// Environ returns the variables, each as "NAME=value", that hand credentials to
// a program which will not ask for them again, with the Region to use them in.
// AWS_CREDENTIAL_EXPIRATION tells botocore when they end, and people too. What
// Competing names must be out of the way, or some SDKs look elsewhere.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html
func (c Credentials) Environ(region string) []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey.Reveal(),
		"AWS_SESSION_TOKEN=" + c.SessionToken.Reveal(),
		"AWS_CREDENTIAL_EXPIRATION=" + c.Expiration.UTC().Format(time.RFC3339),
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region, // what the AWS CLI version 1 and boto3 read
	}
}

// Competing returns the names of the variables that bring credentials of their
// own, or select others, before an SDK looks at the profile that it was told to
// use. Files, Regions and endpoints are not among them.
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
func Competing() []string {
	return []string{
		// Keys. SDK for Go v2 and Java also read the older spellings, and
		// boto the older name of the token.
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SECURITY_TOKEN",
		// What describes them: botocore would refresh by the expiration, and
		// an account ID selects the endpoints of another account.
		"AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION", "AWS_ACCOUNT_ID",
		// Another profile. One that does not exist makes the AWS CLI, boto3 and
		// Go fail beside good keys, and the SDK for JavaScript v3 prefers it.
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		// A role by web identity.
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
		// The endpoint of a container, or of another broker.
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		// The key files of boto 2 and of the SDK for Java v1, and the mark of
		// aws-vault and of an outer broker exec.
		"AWS_CREDENTIAL_FILE", "AWS_CREDENTIAL_PROFILES_FILE", "AWS_VAULT",
	}
}

// Scrub returns env, a list of "NAME=value", without what Competing names. The
// order of the rest is kept, and env is not changed.
func Scrub(env []string) []string {
	competing := Competing()
	kept := make([]string, 0, len(env))
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.Contains(competing, name) {
			kept = append(kept, entry)
		}
	}
	return kept
}
