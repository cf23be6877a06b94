// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"encoding/json"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/vault"
)

// TestServicesUsed waits for a report that is not ready at once, and tells a
// report that may not be begun from one that may not be read.
func TestServicesUsed(t *testing.T) {
	s := newSealing(t)
	ask := func() (used ipc.ServicesUsed, err *ipc.Error) {
		t.Helper()
		raw, err := s.run(t, ipc.OpServicesUsed, ipc.ServicesUsedParams{IAMParams: s.create.IAMParams, ARN: ann.ARN})
		if err == nil {
			if jerr := json.Unmarshal(raw, &used); jerr != nil {
				t.Fatal(jerr)
			}
		}
		return used, err
	}
	s.aws.iam.looks = 2
	used, err := ask()
	if err != nil || used.Unread != nil || len(used.Services) != 1 || used.Services[0].ServiceName != "job of "+ann.ARN {
		t.Errorf("%+v, %v", used, err)
	}
	no := &vault.AWSError{Code: ipc.CodeAWSDenied, Message: "AccessDenied", Sent: true, Refused: true}
	s.aws.iam.lookErr = no
	if used, err = ask(); err != nil || used.Unread == nil || used.Unread.Code != ipc.CodeAWSDenied {
		t.Errorf("not to be read: %+v, %v", used, err)
	}
	s.aws.iam.reportErr = no
	if _, err = ask(); err == nil || err.Code != ipc.CodeAWSDenied {
		t.Errorf("not to be begun: %v", err)
	}
}
