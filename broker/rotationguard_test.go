// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// TestARestoredProfileKeepsItsKey: an index that was rebuilt gives the old key to
// a profile that the rotation does not know of. It is not deleted under it.
func TestARestoredProfileKeepsItsKey(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil {
			t.Fatal(err)
		}
		j := r.rotating(annKey).state()
		twin := ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true}
		do[ipc.KeyList](r, ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{
			{Profile: "dev", Item: j.Places[0].NewItem, AccessKeyID: rot.New, KeyDetails: twin},
			{Profile: "twin", Item: "broker.v1." + strings.Repeat("a", 32), AccessKeyID: annKey, KeyDetails: twin},
		}})
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		s := r.status().Rotations
		if len(r.aws.iamKeys()) != 2 || len(s) != 1 || s[0].Problem == nil || s[0].Problem.Code != ipc.CodeKeyInUse ||
			!strings.Contains(s[0].Problem.Message, "profile twin") || !strings.Contains(s[0].Problem.Hint, "broker remove twin") {
			t.Fatalf("IAM has %+v; %+v", r.aws.iamKeys(), s)
		}
		wantCode(t, "remove dev", refused(r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"}), ipc.CodeRefused)
		do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "twin"}) // as the hint says
		if rot, err = r.rotate(ipc.RotateParams{Profile: "dev", Resume: true}); err != nil || rot.State != "deleted" {
			t.Fatalf("%+v, %v", rot, err)
		}
		if left := r.aws.iamKeys(); slices.ContainsFunc(left, func(k ipc.KeyState) bool { return k.AccessKeyID == annKey }) {
			t.Errorf("IAM has %+v", left)
		}
	})
}

// TestNoKeyIsStoredWhileARotationBegins: it has counted the profiles of its key,
// and its journal is not to be found yet.
func TestNoKeyIsStoredWhileARotationBegins(t *testing.T) {
	r := ready(t)
	defer func() { r.tasks.close() }()
	for op, params := range map[string]any{
		ipc.OpAdopt:   ipc.AdoptParams{Profile: "twin", Item: "broker.v1." + strings.Repeat("a", 32), AccessKeyID: annKey},
		ipc.OpRestore: ipc.RestoreParams{Keys: []ipc.AdoptParams{{Profile: "dev", Item: "broker.v1." + strings.Repeat("b", 32), AccessKeyID: annKey}}},
	} {
		r.beginning.Lock()
		c := r.start(op, params, ipc.AskNowhere)
		select {
		case <-c.done:
			t.Errorf("%s did not wait: %v", op, c.err)
		case <-time.After(100 * time.Millisecond):
		}
		r.beginning.Unlock()
		if <-c.done; c.err != nil {
			t.Errorf("%s: %v", op, c.err)
		}
	}
}

// TestF27JournalThatMayNotLast: the journal is written, and nobody knows whether
// it would outlive a crash. The user is told no, so no later daemon takes it up.
func TestF27JournalThatMayNotLast(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		places := []rotation.Place{{Profile: "dev", OldItem: newItem(), NewItem: newItem()}}
		subject := rotation.Subject{UserName: "ann", AccountID: account, ARN: annARN, AccessKeyID: annKey}
		j, err := rotation.Plan(randomID(), subject, newItem(), places, false, r.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.begin(t.Context(), j, nil, func(ctx context.Context, j rotation.Journal) error {
			if err := (hands{r.Broker, nil}).Save(ctx, j); err != nil {
				t.Error(err)
			}
			return &ipc.Error{Code: ipc.CodeStorage, Message: "sync: input/output error"}
		})
		wantCode(t, "begin", err, ipc.CodeStorage)
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 || r.rotating(annKey) != nil {
			t.Errorf("left: %v", left)
		}
	})
}

// TestF11SecondKeyOfAnotherProfile: a key that is stored here is not called one
// that nobody knows, to be deleted in IAM.
func TestF11SecondKeyOfAnotherProfile(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		made, err := r.create(ipc.CreateParams{Profile: "extra", Using: "dev"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.rotate(ipc.RotateParams{Profile: "dev"})
		wantCode(t, "rotate", err, ipc.CodeKeyQuota)
		plan := do[ipc.RotationPlan](r, ipc.OpRotate, ipc.RotateParams{Profile: "dev", DryRun: true})
		for what, e := range map[string]*ipc.Error{"rotate": coded(err), "a dry run": plan.Obstacle} {
			if e == nil || !strings.Contains(e.Message, made.New+", that of profile extra") || strings.Contains(e.Message, "did not make") ||
				!strings.Contains(e.Hint, "broker remove extra") {
				t.Errorf("%s: %+v", what, e)
			}
		}
		_, err = r.create(ipc.CreateParams{Profile: "third", Using: "dev"})
		wantCode(t, "a third key", err, ipc.CodeKeyQuota)
		for _, profile := range []string{"profile dev", "profile extra"} {
			if !strings.Contains(coded(err).Message, profile) {
				t.Errorf("%v does not name %s", err, profile)
			}
		}
	})
}
