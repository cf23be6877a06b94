// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
)

// competitors are the variables from which some SDK takes credentials, or
// another profile, in preference to AWS_PROFILE.
func competitors() []string {
	return []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID",
		"AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_FILE", "AWS_CREDENTIAL_PROFILES_FILE",
		"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	}
}

// childEnv is the environment of exec's child: the caller's, with one source
// of credentials. configFile is what becomes AWS_CONFIG_FILE, unless it is
// empty.
func childEnv(env []string, profile, configFile string) []string {
	set := map[string]string{
		"AWS_PROFILE":         profile,
		"AWS_SDK_LOAD_CONFIG": "1", // SDK for Go v1 and JavaScript v2 skip the config without it
		"AWS_VAULT":           profile,
	}
	if configFile != "" {
		set["AWS_CONFIG_FILE"] = configFile
	}
	drop := competitors()
	var child []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if _, ours := set[name]; !ours && !slices.Contains(drop, name) {
			child = append(child, entry)
		}
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_SDK_LOAD_CONFIG", "AWS_VAULT", "AWS_CONFIG_FILE"} {
		if value, ok := set[name]; ok {
			child = append(child, name+"="+value)
		}
	}
	return child
}
