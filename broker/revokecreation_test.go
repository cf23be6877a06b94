// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// making begins to make a key for profile extra, which dev asks IAM for, and that
// AWS does not take: it is not the profile's. The channel has what the user is
// told in the end.
func (r *rig) making() <-chan error {
	r.t.Helper()
	r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
	told := make(chan error, 1)
	go func() {
		_, err := r.create(ipc.CreateParams{Profile: "extra", Using: "dev"})
		told <- err
	}()
	time.Sleep(20 * time.Second)
	return told
}

// TestRevokeWhatIsBeingMade: a profile that has no key yet is revoked by deleting
// the one that it is about to get. The key that asks IAM for it serves on, and
// nobody is asked for a code.
func TestRevokeWhatIsBeingMade(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		told := r.making()
		made := r.creating("extra").state().New
		out, err := r.revoke(ipc.RevokeParams{Profile: "extra"})
		if err != nil || !out.TakenBack || out.Problem != nil || len(out.Keys) != 1 || out.Keys[0].AccessKeyID != made || !out.Keys[0].Inactive {
			t.Fatalf("%+v, %v", out, err)
		}
		wantCode(t, "who waits", <-told, ipc.CodeNoKey)
		r.unmade(1)
		if r.helper("dev").document(t); !r.aws.active(annKey) || r.status().Prompts != 1 || r.revoked.problem() != nil || len(r.revoked.list()) != 0 {
			t.Errorf("%d prompts; revoked: %+v", r.status().Prompts, r.revoked.list())
		}
		_, err = r.revoke(ipc.RevokeParams{Profile: "extra"})
		wantCode(t, "again", err, ipc.CodeNoProfile)
	})
}

// TestRevokeBeforeAnythingIsMade: a step that is under way does not go on to ask
// IAM for a key, however long it takes.
func TestRevokeBeforeAnythingIsMade(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		slow := slowSeal{r.aws, make(chan struct{})}
		r.opts.Worker = slow
		r.restart()
		r.TakeUp(t.Context())
		c := r.start(ipc.OpCreate, ipc.CreateParams{Profile: "extra", Using: "dev"}, ipc.AskTerminal)
		time.Sleep(time.Second)
		out, err := r.revoke(ipc.RevokeParams{Profile: "extra"})
		if err != nil || len(out.Keys) != 0 || out.Problem == nil || out.Problem.Code != ipc.CodeBusy || !strings.Contains(out.Problem.Hint, "broker revoke extra") {
			t.Errorf("%+v, %v", out, err)
		}
		close(slow.may)
		<-c.done
		synctest.Wait()
		if n := r.aws.calls("CreateKey"); n != 0 {
			t.Errorf("IAM was asked for %d keys", n)
		}
		r.unmade(1)
	})
}

// TestRevokeOfALostAnswer: nobody can tell yet which key IAM has made. It is made
// Inactive as soon as it shows, and deleted when it is certain.
func TestRevokeOfALostAnswer(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		r.aws.failNext("CreateKey", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "lost", Spent: true})
		r.aws.failAlways("SealedKey", &ipc.Error{Code: ipc.CodeBusy, Message: "another worker is still making the new key"})
		r.startWithin(ipc.OpCreate, ipc.CreateParams{Profile: "extra", Using: "dev"}, ipc.AskTerminal, time.Second)
		time.Sleep(2 * time.Second)
		made := r.aws.now()
		out, err := r.revoke(ipc.RevokeParams{Profile: "extra"})
		if err != nil || out.TakenBack || out.Problem == nil || out.Problem.Code != ipc.CodeBusy {
			t.Fatalf("%+v, %v", out, err)
		}
		r.shows(made)
		out, err = r.revoke(ipc.RevokeParams{Profile: "extra"})
		if err != nil || len(out.Keys) != 1 || out.Keys[0].AccessKeyID != madeKey || !out.Keys[0].Inactive || r.aws.active(madeKey) || !r.aws.active(annKey) {
			t.Fatalf("%+v, %v; IAM has %+v", out, err, r.aws.iamKeys())
		}
		r.aws.failNext("SealedKey")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		r.unmade(1)
	})
}

// TestRevokeWhatCannotBeDeleted: a key that IAM does not let be deleted is made
// Inactive, and what could not be done is said. It cannot be had again.
func TestRevokeWhatCannotBeDeleted(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.making()
		made := r.creating("extra").state().New
		r.aws.failAlways("DeleteKey", &ipc.Error{Code: ipc.CodeAWSDenied, Message: "AccessDenied: not authorized to perform: iam:DeleteAccessKey"})
		out, err := r.revoke(ipc.RevokeParams{Profile: "extra"})
		if err != nil || out.TakenBack || len(out.Keys) != 1 || !out.Keys[0].Inactive || r.aws.active(made) || !r.aws.active(annKey) ||
			out.Problem == nil || !strings.Contains(out.Problem.Message, "iam:DeleteAccessKey") {
			t.Fatalf("%+v, %v; IAM has %+v", out, err, r.aws.iamKeys())
		}
		_, err = r.revoke(ipc.RevokeParams{Profile: "extra", Undo: true})
		wantCode(t, "undo", err, ipc.CodeRefused)
		r.aws.failNext("DeleteKey")
		if out, err = r.revoke(ipc.RevokeParams{Profile: "extra"}); err != nil || !out.TakenBack {
			t.Errorf("%+v, %v", out, err)
		}
		if r.helper("dev").document(t); r.status().Prompts != 1 {
			t.Errorf("%d prompts", r.status().Prompts)
		}
		r.unmade(1)
	})
}

// TestRevokeWhatMayBeTheProfiles: a key that the index may name already is not
// deleted under it: it is made Inactive, and can be had again.
func TestRevokeWhatMayBeTheProfiles(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		path := r.index.path
		told := r.making()
		made := r.creating("extra").state().New
		r.index.path = "/proc/nowhere/state.json"
		r.aws.failNext("VerifyKey")
		time.Sleep(time.Minute)
		out, err := r.revoke(ipc.RevokeParams{Profile: "extra"})
		if err != nil || out.TakenBack || out.Problem == nil || len(out.Keys) != 1 || !out.Keys[0].Inactive || r.aws.active(made) || !r.aws.active(annKey) {
			t.Fatalf("%+v, %v; IAM has %+v", out, err, r.aws.iamKeys())
		}
		r.index.path = path
		time.Sleep(10 * time.Minute)
		if have := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(have) != 1 {
			t.Errorf("the index has %+v", have)
		}
		if out, err = r.revoke(ipc.RevokeParams{Profile: "extra", Undo: true}); err != nil || len(out.Keys) != 1 || out.Keys[0].RevokedAt != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if have := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(have) != 2 || !r.aws.active(made) {
			t.Errorf("taken back, the index has %+v, IAM %+v", have, r.aws.iamKeys())
		}
		<-told
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}
