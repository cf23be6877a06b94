// SPDX-License-Identifier: Apache-2.0

//go:build unix

package client

import (
	"slices"
	"testing"
)

// TestP48DaemonEnvironment: a daemon that a client starts inherits names of a
// list and nothing else.
func TestP48DaemonEnvironment(t *testing.T) {
	env := []string{
		"HOME=/h", "LANG=C", "LC_ALL=C", "BROKER_SOCKET=/s", "XDG_RUNTIME_DIR=/r", "DISPLAY=:0", "PATH=/evil",
		"AWS_PROFILE=x", "AWS_ACCESS_KEY_ID=x", "HTTPS_PROXY=x", "https_proxy=x", "SSL_CERT_FILE=x", "GODEBUG=x", "GOTRACEBACK=x",
		"LD_PRELOAD=x", "NOTIFY_SOCKET=x", "LISTEN_FDS=1", "XDG_CONFIG_HOME=x", "HOMEX=x", "broken",
	}
	want := []string{daemonPath, "HOME=/h", "LANG=C", "LC_ALL=C", "BROKER_SOCKET=/s", "XDG_RUNTIME_DIR=/r", "DISPLAY=:0"}
	if got := daemonEnv(env); !slices.Equal(got, want) {
		t.Errorf("daemonEnv() = %q, want %q", got, want)
	}
}

func TestChildEnv(t *testing.T) {
	env := []string{"A=1", "AWS_PROFILE=old", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=eu-west-1", "AWS_VAULT=old", "AWS_CONFIG_FILE=/c", "AWS_ENDPOINT_URL=http://x"}
	want := []string{"A=1", "AWS_REGION=eu-west-1", "AWS_CONFIG_FILE=/c", "AWS_ENDPOINT_URL=http://x", "AWS_PROFILE=dev", "AWS_SDK_LOAD_CONFIG=1", "AWS_VAULT=dev"}
	if got := childEnv(env, profileEnv("dev", "")); !slices.Equal(got, want) {
		t.Errorf("childEnv() = %q, want %q", got, want)
	}
	got := childEnv(env, profileEnv("dev", "/overlay"))
	if !slices.Contains(got, "AWS_CONFIG_FILE=/overlay") || slices.Contains(got, "AWS_CONFIG_FILE=/c") {
		t.Errorf("childEnv() with an overlay = %q", got)
	}
}
