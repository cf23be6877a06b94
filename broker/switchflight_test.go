// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// TestCodeAcrossTheSwitch: a code that is typed after a rotation has switched
// serves who asked before it, and everybody who comes after.
func TestCodeAcrossTheSwitch(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		r.startWithin(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal, time.Second)
		time.Sleep(time.Minute)
		r.restart() // an upgrade: the session is gone
		r.TakeUp(t.Context())
		c := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		q := <-c.prompts
		r.aws.failNext("VerifyKey")
		time.Sleep(time.Minute) // the user looks for the phone
		if s := r.status().Rotations; len(s) != 1 || s[0].State != "switched" {
			t.Fatalf("%+v", s)
		}
		late := r.helper("dev") // by the new key: one question for both
		synctest.Wait()
		if p := r.status().Pending; len(p) != 1 {
			t.Errorf("pending: %+v", p)
		}
		c.answers <- r.aws.code(q.SerialNumber, 0)
		c.document(t)
		late.document(t)
		r.helper("dev").document(t)
		synctest.Wait()
		if n := r.aws.calls("GetSessionToken"); n != 2 || len(r.status().Pending) != 0 {
			t.Errorf("%d sessions were made, pending: %+v", n, r.status().Pending)
		}
	})
}

// TestSwitchDuringTheCall: a code that AWS has already is not spent for nothing.
func TestSwitchDuringTheCall(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		c := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		q := <-c.prompts
		r.aws.takes(2 * time.Second)
		c.answers <- r.aws.code(q.SerialNumber, 0)
		time.Sleep(time.Second)
		err := r.index.update(func(s *state) error {
			key := s.Keys["dev"]
			key.AccessKeyID = bobKey
			s.Keys["dev"] = key
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r.rename(annKey, bobKey)
		c.document(t)
		r.aws.takes(0)
		if r.helper("dev").document(t); r.aws.calls("GetSessionToken") != 1 {
			t.Errorf("%d sessions were made", r.aws.calls("GetSessionToken"))
		}
		if got := r.lock("dev"); got.Sessions != 1 {
			t.Errorf("locked: %+v", got)
		}
	})
}
