// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"testing"

	"credbroker/internal/ipc"
)

// TestHintForACode: the command that the hint names gets a session.
func TestHintForACode(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		err := refused(r, ipc.OpMFA, ipc.MFAParams{Profile: "dev"})
		if e := coded(err); e.Code != ipc.CodeUsage || !strings.HasSuffix(e.Hint, "broker mfa CODE -p dev") {
			t.Fatalf("%+v", e)
		}
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Profile: "dev", Code: r.aws.code(annMFA, 0)})
	})
}
