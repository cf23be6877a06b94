// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"credbroker/internal/awsconfig"
)

// TestRoutedTo: whoever forgets a key is told which other profiles lose it.
func TestRoutedTo(t *testing.T) {
	t.Parallel()
	config, err := awsconfig.LoadBytes(awsconfig.Files{Config: "/h/config"}, []byte(`[profile dev]
[profile ops]
role_arn = arn:aws:iam::111122223333:role/ops
source_profile = dev
[profile web]
credential_process = /a/broker credential-process web
broker_role_arn = arn:aws:iam::111122223333:role/web
broker_source_profile = ops
[profile own]
[profile corp]
sso_session = corp
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	stored := func(profile string) (string, bool) { return "AKIA", profile == "dev" || profile == "own" }
	if got := routedTo(config, stored, "dev"); !slices.Equal(got, []string{"ops", "web"}) {
		t.Errorf("on dev: %v", got)
	}
	if got := routedTo(config, stored, "own"); len(got) != 0 {
		t.Errorf("on own: %v", got)
	}
}
