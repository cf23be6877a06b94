// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// fakeIAM is the keys of ann at IAM, and the sealed file of a rotation.
type fakeIAM struct {
	keys    []ipc.KeyState
	sealed  string
	validAt map[string]time.Time // a key is unknown before
	told    []string
	signed  []bool // whether each call was signed with a session
}

func (f *fakeAWS) iamCall(ctx context.Context, action, what string, p ipc.IAMParams) error {
	if err := f.enter(ctx, action, what); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.iam.signed = append(f.iam.signed, len(p.Session) > 0)
	return nil
}

func (f *fakeAWS) Seal(ctx context.Context, p ipc.SealParams) error {
	return f.enter(ctx, "Seal", p.Seal)
}

func (f *fakeAWS) ListKeys(ctx context.Context, p ipc.IAMParams) (ipc.KeyStates, error) {
	if err := f.iamCall(ctx, "ListKeys", "", p); err != nil {
		return ipc.KeyStates{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return ipc.KeyStates{Keys: slices.Clone(f.iam.keys)}, nil
}

func (f *fakeAWS) CreateKey(ctx context.Context, p ipc.CreateKeyParams) (ipc.CreatedKey, error) {
	if err := f.iamCall(ctx, "CreateKey", "", p.IAMParams); err != nil {
		return ipc.CreatedKey{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	id := fmt.Sprintf("AKIANEWNEWNEWNEWN%03d", f.count)
	f.iam.keys = append(f.iam.keys, ipc.KeyState{AccessKeyID: id, Active: true, CreateDate: f.now()})
	f.iam.sealed = id
	return ipc.CreatedKey{AccessKeyID: id}, nil
}

func (f *fakeAWS) SealedKey(ctx context.Context, _ ipc.SealedKeyParams) (ipc.SealedKey, error) {
	err := f.enter(ctx, "SealedKey", "")
	f.mu.Lock()
	defer f.mu.Unlock()
	return ipc.SealedKey{AccessKeyID: f.iam.sealed}, err
}

// iamKeys and setKeys are for tests, beside whom a rotation goes on.
func (f *fakeAWS) iamKeys() []ipc.KeyState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.iam.keys)
}

func (f *fakeAWS) setKeys(keys []ipc.KeyState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.iam.keys = keys
}

// iamSigned says of each call whether it was signed with a session.
func (f *fakeAWS) iamSigned() []bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.iam.signed)
}

func (f *fakeAWS) StoreKey(ctx context.Context, p ipc.StoreKeyParams) (ipc.StoredKey, error) {
	return ipc.StoredKey{}, f.enter(ctx, "StoreKey", p.AccessKeyID)
}

func (f *fakeAWS) VerifyKey(ctx context.Context, p ipc.VerifyKeyParams) error {
	if err := f.enter(ctx, "VerifyKey", p.AccessKeyID); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.iam.keys, func(k ipc.KeyState) bool { return k.AccessKeyID == p.AccessKeyID && k.Active })
	if i < 0 || f.now().Before(f.iam.validAt[p.AccessKeyID]) {
		return &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"}
	}
	return nil
}

func (f *fakeAWS) SetKeyStatus(ctx context.Context, p ipc.KeyStatusParams) error {
	return f.changeKey(ctx, "SetKeyStatus", p.TargetParams, func(k []ipc.KeyState, i int) []ipc.KeyState { k[i].Active = p.Active; return k })
}

func (f *fakeAWS) DeleteKey(ctx context.Context, p ipc.TargetParams) error {
	return f.changeKey(ctx, "DeleteKey", p, func(k []ipc.KeyState, i int) []ipc.KeyState { return slices.Delete(k, i, i+1) })
}

func (f *fakeAWS) changeKey(ctx context.Context, action string, p ipc.TargetParams, change func([]ipc.KeyState, int) []ipc.KeyState) error {
	if err := f.iamCall(ctx, action, p.Target, p.IAMParams); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.iam.keys, func(k ipc.KeyState) bool { return k.AccessKeyID == p.Target })
	if i < 0 {
		return &ipc.Error{Code: ipc.CodeKeyGone, Message: "NoSuchEntity"}
	}
	f.iam.keys = change(slices.Clone(f.iam.keys), i)
	return nil
}

func (f *fakeAWS) OnRotate(ctx context.Context, p ipc.OnRotateParams) error {
	if err := f.enter(ctx, "OnRotate", p.AccessKeyID); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.iam.told = append(f.iam.told, p.AccessKeyID)
	return nil
}

// aged is ready with ann's key at IAM, 100 days old.
func aged(t *testing.T) *rig {
	t.Helper()
	r := ready(t)
	r.aws.setKeys([]ipc.KeyState{{AccessKeyID: annKey, Active: true, CreateDate: r.clock.Now().Add(-100 * 24 * time.Hour)}})
	r.TakeUp(t.Context())
	return r
}

// agedWithoutMFA is aged, with a key that was stored with --no-mfa.
func agedWithoutMFA(t *testing.T) *rig {
	t.Helper()
	r := aged(t)
	r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
	return r
}

// rotate begins a rotation, or sends it on.
func (r *rig) rotate(p ipc.RotateParams) (ipc.Rotation, error) {
	r.t.Helper()
	return withCodes[ipc.Rotation](r, ipc.OpRotate, p)
}

// TestRotate: one code for the whole of it, the credentials go on without
// another, and after a day one key is left.
func TestRotate(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil || rot.State != "disabled" || rot.Waiting != "kept" || rot.Old != annKey || rot.Until == nil {
			t.Fatalf("%+v, %v", rot, err)
		}
		_, err = r.create(ipc.CreateParams{Profile: "second", Using: "dev"})
		wantCode(t, "another key meanwhile", err, ipc.CodeRefused)
		if e := coded(err); !strings.HasSuffix(e.Message, "which keeps the old key until "+rot.Until.Format(time.RFC3339)) || e.Hint != "wait until then; or take it back: broker rotate dev --undo" {
			t.Errorf("another key meanwhile: %+v", e)
		}
		if got := r.helper("dev").document(t); got.AccessKeyID == "" || r.aws.calls("GetSessionToken") != 1 {
			t.Errorf("%d sessions were made", r.aws.calls("GetSessionToken"))
		}
		if keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(keys) != 1 || keys[0].AccessKeyID != rot.New {
			t.Errorf("the index has %+v", keys)
		}
		if s := r.status(); len(s.Rotations) != 1 || s.Rotations[0].State != "disabled" || s.Prompts != 1 {
			t.Errorf("status: %+v, %d prompts", s.Rotations, s.Prompts)
		}
		time.Sleep(25 * time.Hour) // the session has ended by then
		synctest.Wait()
		if s := r.status(); len(s.Rotations) != 1 || s.Rotations[0].Problem == nil || s.Rotations[0].Problem.Code != ipc.CodeMFARequired {
			t.Fatalf("status: %+v", s.Rotations)
		}
		if rot, err = r.rotate(ipc.RotateParams{Profile: "dev", Resume: true}); err != nil || rot.State != "deleted" {
			t.Fatalf("%+v, %v", rot, err)
		}
		if len(r.aws.iamKeys()) != 1 || r.aws.iamKeys()[0].AccessKeyID != rot.New || slices.Contains(r.aws.iamSigned(), false) {
			t.Errorf("IAM has %+v, calls signed with a session: %v", r.aws.iamKeys(), r.aws.iamSigned())
		}
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestRotateUndo: all is as it was.
func TestRotateUndo(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Undo: true})
		if err != nil || rot.State != "undone" || len(r.aws.iamKeys()) != 1 || r.aws.iamKeys()[0].AccessKeyID != annKey || !r.aws.iamKeys()[0].Active {
			t.Fatalf("%+v, %v; IAM has %+v", rot, err, r.aws.iamKeys())
		}
		if r.helper("dev").document(t); r.aws.calls("GetSessionToken") != 1 {
			t.Error("a second code was asked for")
		}
		_, err = r.rotate(ipc.RotateParams{Profile: "dev", Undo: true})
		wantCode(t, "undo twice", err, ipc.CodeNoRotation)
	})
}

// TestRotationOutlivesTheDaemon: a rotation that was cut short at any point is
// taken up by the next daemon.
func TestRotationOutlivesTheDaemon(t *testing.T) {
	for _, action := range []string{"Seal", "CreateKey", "StoreKey", "VerifyKey", "SetKeyStatus"} {
		bubble(t, aged, func(t *testing.T, r *rig) {
			r.prime("dev")
			r.aws.failAlways(action, &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "nobody is there"})
			c := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			c.hangUp()
			<-c.done
			r.restart()
			r.aws.failNext(action)
			time.Sleep(time.Minute) // for a code that was not used
			r.TakeUp(t.Context())
			rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
			if err != nil || rot.State != "disabled" || len(r.aws.iamKeys()) != 2 {
				t.Errorf("after %s failed: %+v, %v; IAM has %+v", action, rot, err, r.aws.iamKeys())
			}
		})
	}
}

// TestRotationGuardsItsKey: what a rotation stands on is not pulled away.
func TestRotationGuardsItsKey(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Fatal(err)
		}
		item := "broker.v1." + strings.Repeat("a", 32)
		wantCode(t, "remove", refused(r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"}), ipc.CodeRefused)
		wantCode(t, "replace", refused(r, ipc.OpAdopt, ipc.AdoptParams{Profile: "dev", Item: item, AccessKeyID: bobKey, Replace: true}), ipc.CodeRefused)
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Resume: true})
		if err != nil || rot.State != "disabled" {
			t.Errorf("%+v, %v", rot, err)
		}
	})
}

// TestRotateWithoutMFA: the key signs itself, since no session without a code
// may call IAM.
func TestRotateWithoutMFA(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil || rot.State != "disabled" || slices.Contains(r.aws.iamSigned(), true) {
			t.Errorf("%+v, %v, %v", rot, err, r.aws.iamSigned())
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if len(r.aws.iamKeys()) != 1 || len(r.status().Rotations) != 0 {
			t.Errorf("nobody was needed, and IAM has %+v", r.aws.iamKeys())
		}
	})
}

func TestRotateRefusals(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		_, err := r.rotate(ipc.RotateParams{Profile: "nobody"})
		wantCode(t, "unknown profile", err, ipc.CodeNoProfile)
		r.aws.failNext("ListKeys", &ipc.Error{Code: ipc.CodeAWSDenied, Message: "AccessDenied: not authorized to perform: iam:ListAccessKeys"})
		_, err = r.rotate(ipc.RotateParams{Profile: "dev"})
		wantCode(t, "denied", err, ipc.CodeAWSDenied)
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 || !strings.Contains(err.Error(), "iam:ListAccessKeys") {
			t.Errorf("left: %v; %v", left, err)
		}
		r.aws.setKeys(append(r.aws.iamKeys(), ipc.KeyState{AccessKeyID: bobKey, Active: true}))
		_, err = r.rotate(ipc.RotateParams{Profile: "dev"})
		wantCode(t, "two keys", err, ipc.CodeKeyQuota)
		plan := do[ipc.RotationPlan](r, ipc.OpRotate, ipc.RotateParams{Profile: "dev", DryRun: true})
		if plan.Obstacle == nil || plan.Obstacle.Code != ipc.CodeKeyQuota || len(plan.Keys) != 2 || len(plan.Missing) != 0 {
			t.Errorf("%+v", plan)
		}
	})
}

// TestDryRunChangesNothing: it touches no key that there is, and a revoked key
// does not sign for it.
func TestDryRunChangesNothing(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		denied := &ipc.Error{Code: ipc.CodeAWSDenied, Message: "AccessDenied"}
		for _, c := range []struct{ fails, missing string }{{"", ""}, {"SetKeyStatus", "iam:UpdateAccessKey"}, {"DeleteKey", "iam:DeleteAccessKey"}} {
			if c.fails != "" {
				r.aws.failNext(c.fails, denied)
			}
			plan := do[ipc.RotationPlan](r, ipc.OpRotate, ipc.RotateParams{Profile: "dev", DryRun: true})
			if got := strings.Join(plan.Missing, " "); got != c.missing || (plan.Obstacle != nil) != (c.missing != "") {
				t.Errorf("%s denied: %+v", c.fails, plan)
			}
		}
		for _, call := range r.aws.seenCalls() {
			if action, target, _ := strings.Cut(call, " "); (action == "SetKeyStatus" || action == "DeleteKey") && target != impossibleKey {
				t.Errorf("a dry run has called %s", call)
			}
		}
		r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		mark := r.aws.mark()
		wantCode(t, "revoked", refused(r, ipc.OpRotate, ipc.RotateParams{Profile: "dev", DryRun: true}), ipc.CodeKeyInactive)
		if calls := r.aws.since(mark); len(calls) != 0 || r.aws.active(annKey) {
			t.Errorf("signed by a revoked key: %v", calls)
		}
	})
}

// TestWhoeverStillWatchesIsAsked: somebody else who looked at the rotation, and
// left, does not take the one along who can give a code.
func TestWhoeverStillWatchesIsAsked(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		stays := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal)
		time.Sleep(time.Second)
		leaves := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal)
		time.Sleep(time.Minute)
		leaves.hangUp()
		<-leaves.done
		r.lock("dev")
		r.aws.failNext("VerifyKey")
		select {
		case q := <-stays.prompts:
			stays.answers <- r.aws.code(q.SerialNumber, 0)
		case <-stays.done:
		}
		if <-stays.done; stays.err != nil {
			t.Errorf("nobody was asked: %v", stays.err)
		}
	})
}
