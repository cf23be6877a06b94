// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"credbroker/internal/fakeaws"
	"credbroker/internal/ipc"
	"credbroker/vault/vaulttest"
)

// renewal is a stored key of ann's that is to be replaced, under the policy that
// forbids everything without MFA.
type renewal struct {
	w      *worker
	a      *account
	old    ipc.ItemParams
	iam    ipc.IAMParams // signed with a session that has MFA
	sealed ipc.Sealed
	create ipc.CreateKeyParams
}

func newRenewal(t *testing.T, w *worker) *renewal {
	t.Helper()
	r := &renewal{w: w, a: newAccount(t, false)}
	r.old = w.fill(t, r.a)
	must(t, r.a.Set("policy=force-mfa"))
	ann, _ := r.a.User("ann")
	serial := ann.Devices[0].SerialNumber
	code, err := r.a.Code(t.Context(), serial)
	must(t, err)
	var session json.RawMessage
	must(t, w.run(t, ipc.OpSessionToken, ipc.SessionTokenParams{ItemParams: r.old, SerialNumber: serial, TokenCode: code, DurationSeconds: 3600}, &session))
	r.iam = ipc.IAMParams{ItemParams: r.old, UserName: "ann", Session: session}
	r.sealed = ipc.Sealed{Seal: item(9), File: filepath.Join(t.TempDir(), "sealed"), Rotation: "r1"}
	r.create = ipc.CreateKeyParams{
		IAMParams: r.iam, Sealed: r.sealed, AccountID: r.a.AccountID(), ARN: ann.ARN,
		Places: []ipc.KeyPlace{{Profile: "dev", Item: item(2)}},
	}
	return r
}

// states returns ann's keys by ID.
func (r *renewal) states(t *testing.T) map[string]ipc.KeyState {
	t.Helper()
	var list ipc.KeyStates
	must(t, r.w.run(t, ipc.OpListKeys, r.iam, &list))
	states := map[string]ipc.KeyState{}
	for _, k := range list.Keys {
		states[k.AccessKeyID] = k
	}
	return states
}

// TestRenewal replaces a key in a real store, with one code.
func TestRenewal(t *testing.T) {
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		renew(t, fileWorker(t))
	})
	t.Run("secret-service", func(t *testing.T) {
		t.Parallel()
		k := vaulttest.StartKeyring(t)
		renew(t, newWorker(t, ipc.Store{Backend: "secret-service"}, k.Address))
	})
}

func renew(t *testing.T, w *worker) {
	r := newRenewal(t, w)
	bare := r.iam
	bare.Session = nil
	wantCode(t, w.run(t, ipc.OpListKeys, bare, nil), ipc.CodeAWSExplicitDeny) // the key alone may not

	must(t, w.run(t, ipc.OpSeal, ipc.SealParams{Store: w.store, Seal: r.sealed.Seal}, nil))
	var made ipc.CreatedKey
	must(t, w.run(t, ipc.OpCreateKey, r.create, &made))
	if made.StoreError != nil || made.AccessKeyID == r.old.AccessKeyID {
		t.Fatalf("create-key answered %+v", made)
	}
	wantCode(t, w.run(t, ipc.OpCreateKey, r.create, nil), ipc.CodeKeyQuota)

	fresh := r.old
	fresh.Item, fresh.AccessKeyID = item(2), made.AccessKeyID
	must(t, w.run(t, ipc.OpVerifyKey, ipc.VerifyKeyParams{ItemParams: fresh, ARN: r.create.ARN}, nil))
	wantCode(t, w.run(t, ipc.OpVerifyKey, ipc.VerifyKeyParams{ItemParams: fresh, ARN: r.create.ARN + "x"}, nil), ipc.CodeKeyInvalid)

	old := ipc.TargetParams{IAMParams: r.iam, Target: r.old.AccessKeyID}
	must(t, w.run(t, ipc.OpSetKeyStatus, ipc.KeyStatusParams{TargetParams: old}, nil))
	states := r.states(t)
	if len(states) != 2 || states[r.old.AccessKeyID].Active || !states[made.AccessKeyID].Active || states[made.AccessKeyID].CreateDate.IsZero() {
		t.Errorf("IAM has %+v", states)
	}
	must(t, w.run(t, ipc.OpDeleteKey, old, nil))
	wantCode(t, w.run(t, ipc.OpDeleteKey, old, nil), ipc.CodeKeyGone)
	wantCode(t, w.run(t, ipc.OpVerifyKey, ipc.VerifyKeyParams{ItemParams: r.old, ARN: r.create.ARN}, nil), ipc.CodeAWSKeyUnknown)
	must(t, w.run(t, ipc.OpDelete, r.old, nil))
	must(t, w.run(t, ipc.OpDelete, ipc.ItemParams{Store: w.store, Item: r.sealed.Seal, Profile: "dev", AccessKeyID: made.AccessKeyID, AWS: r.a.aws}, nil))
	var id ipc.Identity
	must(t, w.run(t, ipc.OpCallerIdentity, fresh, &id))
}

// TestF02AnswerLost: IAM has made the key, and the answer was dropped.
func TestF02AnswerLost(t *testing.T) {
	t.Parallel()
	r := newRenewal(t, fileWorker(t))
	must(t, r.w.run(t, ipc.OpSeal, ipc.SealParams{Store: r.w.store, Seal: r.sealed.Seal}, nil))
	must(t, r.a.Set("drop.CreateAccessKey=after:1"))
	err := r.w.run(t, ipc.OpCreateKey, r.create, nil)
	var e *ipc.Error
	if !errors.As(err, &e) || !e.Spent {
		t.Fatalf("%+v, want one that says that a key may be there", err)
	}
	var sealed ipc.SealedKey
	must(t, r.w.run(t, ipc.OpSealedKey, ipc.SealedKeyParams{Sealed: r.sealed}, &sealed))
	if states := r.states(t); sealed.AccessKeyID != "" || len(states) != 2 {
		t.Errorf("the file has %q, IAM %v", sealed.AccessKeyID, states)
	}
	if calls := slices.DeleteFunc(r.a.Log(), func(e fakeaws.Entry) bool { return e.Action != "CreateAccessKey" }); len(calls) != 1 {
		t.Errorf("CreateAccessKey was sent %d times", len(calls))
	}
}
