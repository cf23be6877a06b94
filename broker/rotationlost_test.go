// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// halfMade is a Worker whose CreateKey makes a key that gets into the vault, not
// into the sealed file, and whose answer is lost. Like the real one it deletes an
// item only for the key that is in it.
type halfMade struct {
	*fakeAWS

	mu    sync.Mutex
	times int
	holds map[string]string // by item, the access key ID
}

func (h *halfMade) CreateKey(ctx context.Context, p ipc.CreateKeyParams) (ipc.CreatedKey, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.times == 0 {
		return h.fakeAWS.CreateKey(ctx, p)
	}
	h.times--
	id := fmt.Sprintf("AKIALOSTLOSTLOSTLO%02d", len(h.holds))
	h.setKeys(append(h.iamKeys(), ipc.KeyState{AccessKeyID: id, Active: true, CreateDate: h.now()}))
	for _, place := range p.Places {
		h.holds[place.Item] = id
	}
	return ipc.CreatedKey{}, &ipc.Error{Code: ipc.CodeInternal, Message: "the worker died", Spent: true}
}

func (h *halfMade) Delete(ctx context.Context, p ipc.ItemParams) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id := h.holds[p.Item]; id != "" && id != p.AccessKeyID {
		return &ipc.Error{Code: ipc.CodeKeychainCorrupt, Message: "item " + p.Item + " holds key " + id + ", not " + p.AccessKeyID}
	}
	delete(h.holds, p.Item)
	return h.fakeAWS.Delete(ctx, p)
}

// halfMaking has CreateKey fail like that some times.
func (r *rig) halfMaking(times int) *halfMade {
	r.t.Helper()
	h := &halfMade{fakeAWS: r.aws, times: times, holds: map[string]string{}}
	r.opts.Worker = h
	r.restart()
	r.TakeUp(r.t.Context())
	return h
}

// nothingDead fails the test if the vault has the secret of a key that is gone.
func (h *halfMade) nothingDead(r *rig) {
	r.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if left, _ := os.ReadDir(r.rotationDir()); len(h.holds) != 0 || len(r.index.doomed()) != 0 || len(left) != 0 {
		r.t.Errorf("the vault has %v, to be deleted are %v; left: %v", h.holds, r.index.doomed(), left)
	}
}

// TestF24LostSecretLeavesTheVault: a key whose answer is lost is deleted at IAM,
// and so is its secret in the vault, however the rotation, or the making of a
// key, ends.
func TestF24LostSecretLeavesTheVault(t *testing.T) {
	for times, state := range map[int]string{1: "deleted", 2: "aborted"} {
		bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
			h := r.halfMaking(times)
			_, err := r.rotate(ipc.RotateParams{Profile: "dev"})
			if (err == nil) != (state == "deleted") || times == 2 && coded(err).Code != ipc.CodeAWSUnreachable {
				t.Errorf("lost %d times: %v", times, err)
			}
			time.Sleep(25 * time.Hour)
			h.nothingDead(r)
			if len(r.aws.iamKeys()) != 1 || r.aws.active(annKey) != (state == "aborted") {
				t.Errorf("lost %d times, IAM has %+v", times, r.aws.iamKeys())
			}
		})
	}
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		h := r.halfMaking(2)
		_, err := r.create(ipc.CreateParams{Profile: "extra", Using: "dev"})
		wantCode(t, "create", err, ipc.CodeAWSUnreachable)
		h.nothingDead(r)
	})
}

// TestF24LostSecretOfARevokedKey: so it is when the rotation is abandoned, because
// its key was revoked and replaced.
func TestF24LostSecretOfARevokedKey(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		h := r.halfMaking(1)
		r.aws.failAlways("SealedKey", &ipc.Error{Code: ipc.CodeBusy, Message: "another worker is still making the new key"})
		r.startWithin(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal, time.Second)
		time.Sleep(2 * time.Second)
		if out, err := r.revoke(ipc.RevokeParams{Profile: "dev"}); err != nil || len(out.Keys) != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		r.add("dev", bobKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		time.Sleep(2 * time.Minute)
		h.nothingDead(r)
	})
}
