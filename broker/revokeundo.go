// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"time"

	"credbroker/internal/ipc"
)

// spreads is how long AWS may go on taking a key that is Inactive: IAM needs
// seconds as a rule to tell all of its endpoints.
const spreads = 5 * time.Minute

// undoAll takes revocations back, each as far as it was done. Keys that are not
// revoked are left as they are.
func (v *revoking) undoAll(ctx context.Context, users []*revokee) {
	for _, u := range users {
		w := &onUser{revoking: v, u: u, problems: map[string]error{}, dead: map[string]bool{}}
		w.undo(ctx)
		v.report(w)
	}
	v.b.resumeRotations()
}

// undo makes the keys of one user active again and allows its sessions. The
// order is the reverse: whoever signs must not be bound by what is still there.
func (w *onUser) undo(ctx context.Context) {
	revoked := map[string]revocation{}
	for _, id := range w.u.ids() {
		if k, ok := w.b.revoked.of(id); ok {
			revoked[id] = k
		}
	}
	if len(revoked) == 0 {
		return
	}
	err := w.prepare(ctx)
	if err == nil {
		err = w.look(ctx)
	}
	var asleep []string // to be made active
	for id, k := range revoked {
		if !k.WasInactive && (w.dead[id] || k.Inactive && (!w.asks(id) || w.b.opts.Clock.Now().Sub(k.RevokedAt) < spreads)) {
			asleep = append(asleep, id)
		}
	}
	var s *signer
	if err == nil && (len(asleep) > 0 || w.mayBeDenied()) {
		s, err = w.signer(ctx)
	}
	if err == nil {
		err = w.restore(ctx, s, asleep)
	}
	if err != nil {
		for id := range revoked {
			w.problems[id] = w.stays(err, id)
		}
		return
	}
	w.remember(w.b.revoked.change(func(all map[string]revocation) {
		for id := range revoked {
			delete(all, id)
		}
	}))
	w.b.revoked.keep(w.u.user, nil)
	w.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "revocation taken back", slog.String("user", w.u.user))
}

// restore makes the calls of undo.
func (w *onUser) restore(ctx context.Context, s *signer, asleep []string) error {
	for _, id := range asleep {
		err := s.call(ctx, func(ctx context.Context, p ipc.IAMParams) error {
			return w.b.opts.Worker.SetKeyStatus(ctx, ipc.KeyStatusParams{TargetParams: w.about(p, id), Active: true})
		})
		if err != nil {
			return err
		}
		w.b.tryAgain(id)
	}
	if !w.mayBeDenied() {
		return nil
	}
	return s.call(ctx, func(ctx context.Context, p ipc.IAMParams) error { return w.b.opts.Worker.AllowSessions(ctx, p) })
}

// stays says that a key stays revoked, and who can change that.
func (w *onUser) stays(err error, id string) error {
	e := wrap(err, "key %s stays revoked", id)
	again := "broker revoke " + w.profile() + " --undo"
	switch {
	case e.Code == ipc.CodeKeyInactive, denied(err):
		e.Hint = "make it active in the IAM console and run this again; or, as somebody who may change the user: " + again + " --using PROFILE"
	case e.Code != ipc.CodeKeychainLocked:
		e.Hint = "try again: " + again
	}
	return e
}

// resumeRotations wakes the rotations that stood still.
func (b *Broker) resumeRotations() {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		r.wake()
	}
}
