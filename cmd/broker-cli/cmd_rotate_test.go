// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// TestCreationText: a key that was being made has no older one that serves again.
func TestCreationText(t *testing.T) {
	for _, test := range []struct {
		rot  ipc.Rotation
		want string
	}{
		{ipc.Rotation{State: "undone", New: "AKIANEW"}, "taken back: the new key AKIANEW is deleted, and profile ci has none\nnext: broker list\n"},
		{ipc.Rotation{State: "undone"}, "taken back: no key is made for profile ci\nnext: broker list\n"},
		{ipc.Rotation{State: "added", New: "AKIANEW", UserName: "ann"}, "made AKIANEW for IAM user ann: profile ci has it\nnext: broker list\n"},
		{ipc.Rotation{State: "undone", Old: "AKIAOLD"}, "taken back: AKIAOLD serves, and there is no new key\nnext: broker list\n"},
		{ipc.Rotation{State: "undone", Old: "AKIAOLD", New: "AKIANEW"}, "taken back: AKIAOLD serves again, and the new key is deleted\nnext: broker list\n"},
	} {
		var out strings.Builder
		(&app{App: &client.App{Stdout: &out}}).printRotation(test.rot, "ci")
		if out.String() != test.want {
			t.Errorf("%+v: %q, want %q", test.rot, out.String(), test.want)
		}
	}
}
