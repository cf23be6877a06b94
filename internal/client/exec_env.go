// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"strings"

	"credbroker/credproc"
)

// profileEnv is what sends a child to a profile. configFile is what becomes
// AWS_CONFIG_FILE, unless it is empty.
func profileEnv(profile, configFile string) []string {
	ours := []string{
		"AWS_PROFILE=" + profile,
		"AWS_SDK_LOAD_CONFIG=1", // SDK for Go v1 and JavaScript v2 skip the config without it
		"AWS_VAULT=" + profile,
	}
	if configFile != "" {
		ours = append(ours, "AWS_CONFIG_FILE="+configFile)
	}
	return ours
}

// childEnv is the environment of exec's child: the caller's, with ours as the
// one source of credentials.
func childEnv(env, ours []string) []string {
	child := slices.DeleteFunc(credproc.Scrub(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(ours, func(o string) bool { return strings.HasPrefix(o, name+"=") })
	})
	return append(child, ours...)
}
