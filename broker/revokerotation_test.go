// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// TestRevokeWaitsOnceForAStep: a step of a rotation that hangs costs a
// revocation its patience once, whatever keys and profiles there are.
func TestRevokeWaitsOnceForAStep(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Fatal(err)
		}
		rot := r.rotating(annKey)
		rot.turn <- struct{}{} // a step that does not end
		began := r.clock.Now()
		out, err := r.revoke(ipc.RevokeParams{Profile: "dev"})
		if took := r.clock.Now().Sub(began); err != nil || len(out.Keys) != 2 || r.aws.active(annKey) || took > patienceWithStep {
			t.Errorf("after %v: %+v, %v; IAM has %+v", took, out, err, r.aws.iamKeys())
		}
		<-rot.turn
	})
}

// TestAbandonedRotationHoldsUpNobody: a revocation that comes while the rotation
// of a replaced key ends does not wait for it.
func TestAbandonedRotationHoldsUpNobody(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Fatal(err)
		}
		rot := r.rotating(annKey)
		if _, err := r.revoke(ipc.RevokeParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		r.add("dev", bobKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		synctest.Wait()
		select {
		case rot.turn <- struct{}{}:
		case <-time.After(time.Minute):
			t.Error("a rotation that has ended keeps its turn")
		}
	})
}
