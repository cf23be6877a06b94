// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// TestF15KeyUnknown: AWS has one answer for keys that are Inactive, deleted or too
// new. A young one is to be tried again, and of one that IAM has listed no more it
// is said that it is gone. Nothing that is stored is touched.
func TestF15KeyUnknown(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.aws.failAlways("GetSessionToken", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		key := do[ipc.KeyList](r, ipc.OpList, nil).Keys[0]
		made := func(ago time.Duration, why *ipc.Error) {
			t.Helper()
			err := r.index.update(func(s *state) error {
				now := r.trueNow()
				f := facts{KeyState: ipc.KeyState{AccessKeyID: key.AccessKeyID, CreateDate: now.Add(-ago)}, LearntAt: now, TriedAt: now, Error: why}
				s.setFacts(key.AccessKeyID, f, now)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			ago  time.Duration
			gone *ipc.Error
			code ipc.Code
			hint string
		}{
			{time.Minute, nil, ipc.CodeAWSKeyUnknown, "try again in a minute"},
			{lagLimit, nil, ipc.CodeAWSKeyUnknown, "or store another: broker add "},
			{lagLimit, &ipc.Error{Code: ipc.CodeAWSDenied}, ipc.CodeAWSKeyUnknown, "or store another: broker add "},
			{lagLimit, &ipc.Error{Code: ipc.CodeKeyGone}, ipc.CodeKeyGone, "or forget it: broker remove "},
		} {
			made(c.ago, c.gone)
			e := r.failing("dev")
			if e.Code != c.code || !strings.Contains(e.Hint, c.hint) || !strings.Contains(e.Message, "InvalidClientTokenId") {
				t.Errorf("made %v ago: %+v", c.ago, e)
			}
		}
		if keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(keys) != 1 || len(r.index.doomed()) != 0 {
			t.Errorf("the index has %+v, and is to delete %v", keys, r.index.doomed())
		}
	})
}
