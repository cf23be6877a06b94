// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// create makes a key.
func (r *rig) create(p ipc.CreateParams) (ipc.Rotation, error) {
	r.t.Helper()
	return withCodes[ipc.Rotation](r, ipc.OpCreate, p)
}

// unmade fails the test unless all is as it was before a creation.
func (r *rig) unmade(keys int) {
	r.t.Helper()
	if len(r.aws.iamKeys()) != keys {
		r.t.Errorf("IAM has %+v", r.aws.iamKeys())
	}
	if have := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(have) != 1 {
		r.t.Errorf("the index has %+v", have)
	}
	if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 {
		r.t.Errorf("left: %v", left)
	}
}

// TestCreate: a key of the same user, with one code, through a profile that is
// named or the only one there is.
func TestCreate(t *testing.T) {
	for _, using := range []string{"", "dev"} {
		bubble(t, aged, func(t *testing.T, r *rig) {
			made, err := r.create(ipc.CreateParams{Profile: "second", Using: using})
			if err != nil || made.State != "added" || made.Old != "" || made.New == "" || made.UserName != "ann" {
				t.Fatalf("%+v, %v", made, err)
			}
			keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys
			if len(keys) != 2 || keys[1].Profile != "second" || keys[1].AccessKeyID != made.New || keys[1].ARN != annARN || keys[1].SerialNumber != annMFA {
				t.Errorf("the index has %+v", keys)
			}
			if s := r.status(); s.Prompts != 1 || len(s.Rotations) != 0 {
				t.Errorf("%d prompts, %+v", s.Prompts, s.Rotations)
			}
			if slices.Contains(r.aws.iamSigned(), false) || r.aws.calls("OnRotate") != 0 {
				t.Errorf("signed with a session: %v", r.aws.iamSigned())
			}
			if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
			_, err = r.create(ipc.CreateParams{Profile: "second"})
			wantCode(t, "a second time", err, ipc.CodeKeyExists)
		})
	}
}

// TestCreatedKeyIsYoung: that broker has just made a key needs no IAM to tell.
func TestCreatedKeyIsYoung(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		made, err := r.create(ipc.CreateParams{Profile: "second"})
		if err != nil {
			t.Fatal(err)
		}
		k := r.key("second")
		if k.AccessKeyID != made.New || k.LearntAt == nil || k.CreateDate == nil || r.clock.Now().Sub(*k.CreateDate) > time.Hour {
			t.Errorf("%+v", k)
		}
	})
}

// TestCreateForAnother: an administrator makes the key of somebody else, whose
// identity AWS tells when the key is first used.
func TestCreateForAnother(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		made, err := r.create(ipc.CreateParams{Profile: "bob", Using: "dev", UserName: "bob", SerialNumber: bobMFA})
		if err != nil || made.UserName != "bob" {
			t.Fatalf("%+v, %v", made, err)
		}
		key := do[ipc.KeyList](r, ipc.OpList, nil).Keys[0]
		if key.Profile != "bob" || key.ARN != "" || key.UserName != "" || key.SerialNumber != bobMFA {
			t.Errorf("%+v", key)
		}
	})
}

func TestCreateRefusals(t *testing.T) {
	denied := &ipc.Error{Code: ipc.CodeAWSExplicitDeny, Message: "CreateAccessKey: AccessDenied (it needs iam:CreateAccessKey)"}
	bubble(t, aged, func(t *testing.T, r *rig) {
		_, err := r.create(ipc.CreateParams{Profile: "dev"})
		wantCode(t, "a profile that has a key", err, ipc.CodeKeyExists)
		_, err = r.create(ipc.CreateParams{Profile: "x", Using: "nobody"})
		wantCode(t, "by nobody", err, ipc.CodeNoProfile)
		r.aws.failNext("CreateKey", denied)
		_, err = r.create(ipc.CreateParams{Profile: "second"})
		wantCode(t, "denied", err, ipc.CodeAWSExplicitDeny)
		r.unmade(1)
		r.aws.setKeys(append(r.aws.iamKeys(), ipc.KeyState{AccessKeyID: "AKIAOTHEROTHEROTHER1"}))
		_, err = r.create(ipc.CreateParams{Profile: "second"})
		wantCode(t, "two keys", err, ipc.CodeKeyQuota)
		r.unmade(2)
		r.add("keyonly", bobKey, details())
		_, err = r.create(ipc.CreateParams{Profile: "third"})
		wantCode(t, "by whom?", err, ipc.CodeUsage)
	})
}

// TestCreateNeverValid: a key that AWS never accepts is deleted again.
func TestCreateNeverValid(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		_, err := r.create(ipc.CreateParams{Profile: "second"})
		wantCode(t, "never valid", err, ipc.CodeKeyNotValid)
		r.unmade(1)
	})
}

// TestOneChangeOfAUsersKeys: while one journal has sent CreateAccessKey, no other
// one of that user may begin: what it made would be taken for its own lost key.
func TestOneChangeOfAUsersKeys(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.takes(20 * time.Second)
		first := r.start(ipc.OpCreate, ipc.CreateParams{Profile: "second"}, ipc.AskTerminal)
		time.Sleep(time.Second)
		for what, err := range map[string]error{
			"a rotation": func() error { _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); return err }(),
			"a creation": func() error { _, err := r.create(ipc.CreateParams{Profile: "third"}); return err }(),
		} {
			wantCode(t, what, err, ipc.CodeRefused)
			if e := coded(err); !strings.Contains(e.Message, "make a key for profile second") || !strings.Contains(e.Hint, "broker add second --create") {
				t.Errorf("%s: %v, %s", what, e, e.Hint)
			}
		}
		r.aws.takes(0)
		<-first.done
		if first.err != nil || len(r.aws.iamKeys()) != 2 {
			t.Errorf("%v, IAM has %+v", first.err, r.aws.iamKeys())
		}
	})
}

// TestCreateOutlivesTheDaemon: whatever it was doing, the next daemon ends with
// one new key in the index, or with none at IAM.
func TestCreateOutlivesTheDaemon(t *testing.T) {
	for _, at := range []string{"Seal", "CreateKey", "StoreKey", "VerifyKey"} {
		t.Run(at, func(t *testing.T) {
			bubble(t, aged, func(t *testing.T, r *rig) {
				r.prime("dev")
				r.aws.failNext(at, &ipc.Error{Code: ipc.CodeInternal, Message: "killed", Spent: at == "CreateKey"})
				r.startWithin(ipc.OpCreate, ipc.CreateParams{Profile: "second"}, ipc.AskTerminal, 100*time.Millisecond)
				time.Sleep(200 * time.Millisecond)
				r.restart()
				r.TakeUp(t.Context())
				r.clock.move(time.Minute, time.Minute)
				made, err := r.create(ipc.CreateParams{Profile: "second"})
				if err != nil || made.State != "added" {
					t.Fatalf("%+v, %v", made, err)
				}
				synctest.Wait()
				if len(r.aws.iamKeys()) != 2 || len(do[ipc.KeyList](r, ipc.OpList, nil).Keys) != 2 {
					t.Errorf("IAM has %+v", r.aws.iamKeys())
				}
			})
		})
	}
}

// TestCreateUndo: a creation that stands still is taken back, and leaves nothing;
// one that may go on is sent on by rotate as well.
func TestCreateUndo(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.aws.failAlways("StoreKey", &ipc.Error{Code: ipc.CodeKeychainCorrupt, Message: "the sealed file is missing"})
		_, err := r.create(ipc.CreateParams{Profile: "second"})
		wantCode(t, "create", err, ipc.CodeKeychainCorrupt)
		if hint := coded(err).Hint; !strings.Contains(hint, "broker rotate second --undo") || strings.Contains(hint, "is stored") {
			t.Errorf("the hint is %q", hint)
		}
		_, err = r.rotate(ipc.RotateParams{Profile: "second", Resume: true})
		wantCode(t, "resume", err, ipc.CodeKeychainCorrupt)
		rot, err := r.rotate(ipc.RotateParams{Profile: "second", Undo: true})
		if err != nil || rot.State != "undone" || rot.New == "" {
			t.Fatalf("%+v, %v", rot, err)
		}
		r.unmade(1)
		if _, err := r.rotate(ipc.RotateParams{Profile: "second", Undo: true}); err == nil {
			t.Error("it was taken back twice")
		}
		r.aws.failNext("StoreKey")
		if rot, err = r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Errorf("the user's keys are not free: %v", err)
		}
	})
}

// TestCreateUndoneMeanwhile: who waits for a key that somebody else takes back is
// not told that there is one.
func TestCreateUndoneMeanwhile(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		waiting := make(chan error, 1)
		go func() {
			_, err := r.create(ipc.CreateParams{Profile: "second"})
			waiting <- err
		}()
		time.Sleep(time.Minute)
		if rot, err := r.rotate(ipc.RotateParams{Profile: "second", Undo: true}); err != nil || rot.State != "undone" {
			t.Fatalf("%+v, %v", rot, err)
		}
		wantCode(t, "who waits", <-waiting, ipc.CodeNoKey)
		r.unmade(1)
	})
}
