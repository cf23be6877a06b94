// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"os"
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

// TestRevokeWhileAKeyIsBeingMade: the new key goes with the one that signs for
// it, and comes back with it.
func TestRevokeWhileAKeyIsBeingMade(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		r.startWithin(ipc.OpCreate, ipc.CreateParams{Profile: "extra", Using: "dev"}, ipc.AskTerminal, time.Second)
		time.Sleep(20 * time.Second)
		out, err := r.revoke(ipc.RevokeParams{All: true})
		if err != nil || len(out.Keys) != 2 || out.Problem != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		for _, k := range r.aws.iamKeys() {
			if k.Active {
				t.Errorf("key %s is active", k.AccessKeyID)
			}
		}
		r.aws.failNext("VerifyKey")
		time.Sleep(2 * spreads)
		synctest.Wait()
		if keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(keys) != 1 {
			t.Errorf("the index has %+v", keys)
		}
		if out, err = r.revoke(ipc.RevokeParams{Profile: "dev", Undo: true}); err != nil || len(out.Keys) != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(keys) != 2 || !r.aws.active(keys[1].AccessKeyID) {
			t.Errorf("taken back, the index has %+v, IAM %+v", keys, r.aws.iamKeys())
		}
	})
}

// slowSeal is a Worker whose Seal takes until it may end.
type slowSeal struct {
	*fakeAWS
	may chan struct{}
}

func (s slowSeal) Seal(ctx context.Context, p ipc.SealParams) error {
	<-s.may
	return s.fakeAWS.Seal(ctx, p)
}

// TestRevokedKeySignsNothing: a step that outlasts the patience of a revocation
// does not go on to have a key made by the revoked one.
func TestRevokedKeySignsNothing(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		slow := slowSeal{r.aws, make(chan struct{})}
		r.opts.Worker = slow
		r.restart()
		r.TakeUp(t.Context())
		c := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal)
		time.Sleep(time.Second)
		if out, err := r.revoke(ipc.RevokeParams{Profile: "dev"}); err != nil || !out.Keys[0].Inactive {
			t.Errorf("%+v, %v", out, err)
		}
		close(slow.may)
		<-c.done
		synctest.Wait()
		if n := r.aws.calls("CreateKey"); n != 0 {
			t.Errorf("a revoked key has asked for %d keys", n)
		}
	})
}

const madeKey = "AKIAMADEMADEMADEMAD1"

// lostAnswer has a rotation whose CreateAccessKey got no answer, taken up by a
// daemon while another worker may still be at work.
func (r *rig) lostAnswer() {
	r.t.Helper()
	r.prime("dev")
	r.aws.failNext("CreateKey", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "lost", Spent: true})
	r.aws.failAlways("SealedKey", &ipc.Error{Code: ipc.CodeBusy, Message: "another worker is still making the new key"})
	r.startWithin(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal, time.Second)
	time.Sleep(2 * time.Second)
	r.restart()
	r.TakeUp(r.t.Context())
	time.Sleep(time.Minute) // for a code that was not used
}

// shows has the key of the lost answer show at IAM.
func (r *rig) shows(made time.Time) {
	r.aws.setKeys(append(r.aws.iamKeys(), ipc.KeyState{AccessKeyID: madeKey, Active: true, CreateDate: made}))
}

// TestRevokeFindsTheKeyOfALostAnswer: it is made Inactive, however its rotation
// ends.
func TestRevokeFindsTheKeyOfALostAnswer(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		made := r.aws.now().Add(time.Second)
		r.lostAnswer()
		r.shows(made)
		out, err := r.revoke(ipc.RevokeParams{Profile: "dev"})
		if err != nil || len(out.Keys) != 2 || out.Problem != nil || r.aws.active(annKey) || r.aws.active(madeKey) {
			t.Fatalf("%+v, %v; IAM has %+v", out, err, r.aws.iamKeys())
		}
		r.add("dev", bobKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		synctest.Wait()
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 || len(r.status().Rotations) != 0 {
			t.Errorf("left: %v, %+v", left, r.status().Rotations)
		}
	})
}

// TestAbandonWaitsForALostAnswer: a key that does not show yet is a problem, and
// its journal outlives the key that was replaced.
func TestAbandonWaitsForALostAnswer(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		made := r.aws.now().Add(time.Second)
		r.lostAnswer()
		out, err := r.revoke(ipc.RevokeParams{Profile: "dev"})
		if err != nil || out.Problem == nil || out.Problem.Code != ipc.CodeBusy || r.aws.active(annKey) {
			t.Fatalf("%+v, %v", out, err)
		}
		r.add("dev", bobKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := r.status().Rotations; len(s) != 1 || s[0].Problem == nil || s[0].Problem.Code != ipc.CodeBusy {
			t.Fatalf("the rotation is forgotten: %+v", s)
		}
		r.shows(made)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 || r.aws.active(madeKey) || r.helper("dev").code() != "" {
			t.Errorf("left: %v; IAM has %+v", left, r.aws.iamKeys())
		}
	})
}

// TestRevokedKeyBeginsNothing: what was refused does not begin by itself when
// the revocation is taken back.
func TestRevokedKeyBeginsNothing(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		_, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		wantCode(t, "rotate", err, ipc.CodeKeyInactive)
		_, err = r.create(ipc.CreateParams{Profile: "extra", Using: "dev"})
		wantCode(t, "create", err, ipc.CodeKeyInactive)
		r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true})
		time.Sleep(time.Minute)
		synctest.Wait()
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 || r.aws.calls("CreateKey") != 0 {
			t.Errorf("left: %v, %d keys were made", left, r.aws.calls("CreateKey"))
		}
	})
}
