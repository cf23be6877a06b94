// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"log/slog"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// A profile that is to be revoked may have no key yet: broker is just making it
// one. Nobody has that key, so it is deleted rather than made Inactive: the
// creation is taken back. Where that cannot be seen to its end, the key that the
// creation may have made is revoked like any other.

// revokeMaking revokes what is being made for a profile without a key. It reports
// whether nothing is left to do.
func (v *revoking) revokeMaking(ctx context.Context) (done bool, err error) {
	keys, err := v.b.keys()
	if err != nil {
		return false, err
	}
	r := v.b.creating(v.params.Profile)
	if _, stored := keys[v.params.Profile]; stored || r == nil || v.params.Undo {
		return false, nil
	}
	err = r.takeBack(ctx, &v.asker)
	if keys, kerr := v.b.keys(); kerr == nil {
		if _, stored := keys[v.params.Profile]; stored {
			return false, nil // it was too late for that: the profile has its key
		}
	}
	j := r.state()
	if err != nil && !j.State.Ended() {
		v.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "a key that is being made is not taken back yet", slog.Any("error", err))
		v.out.Problem = wrap(err, "%s: that is not taken back yet", j.What())
		v.out.Problem.Hint = "try again: broker revoke " + v.params.Profile
		return false, nil
	}
	v.out.TakenBack = true
	now := v.b.opts.Clock.Now().UTC()
	for _, id := range unmade(j) {
		v.out.Keys = append(v.out.Keys, ipc.RevokedKey{
			AccessKeyID: id, Profiles: j.Profiles(), UserName: j.UserName, RevokedAt: &now, Inactive: true, Sessions: []ipc.Session{},
		})
	}
	return true, nil
}

// unmade returns the keys that IAM had made for a creation, and that are deleted.
func unmade(j rotation.Journal) (ids []string) {
	for _, p := range j.Spoilt {
		if p.Key != "" {
			ids = append(ids, p.Key)
		}
	}
	if j.New != "" {
		ids = append(ids, j.New)
	}
	return ids
}

// takeBack has a creation go back, and waits until it has ended, or cannot go on
// by itself. A step that is under way makes no key any more: see turned.
func (r *rotator) takeBack(ctx context.Context, asker *caller) error {
	r.watchedBy(asker)
	defer r.left(asker)
	soon, cancel := context.WithTimeout(ctx, patienceWithStep)
	defer cancel()
	err := r.command(soon, true)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fail(ipc.CodeBusy, "", "a step is under way")
	}
	if err != nil {
		return err
	}
	for {
		r.b.rotations.mu.Lock()
		j, next, err, changed := r.journal, r.next, r.err, r.changed
		r.b.rotations.mu.Unlock()
		switch {
		case j.State.Ended():
			return nil
		case next.Why == rotation.Stuck && j.Problem != nil:
			return problemOf(j.Problem)
		case next.Why == rotation.Settling:
			return fail(ipc.CodeBusy, "", "IAM was asked for a key, and its answer was lost: broker looks whether there is one, and deletes it")
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// turned reports whether the user wants everything taken back that a step is
// about to do.
func (r *rotator) turned() bool {
	if r == nil {
		return false
	}
	r.b.rotations.mu.Lock()
	defer r.b.rotations.mu.Unlock()
	return r.order != nil && r.order.undo
}

// makingRevokee is the revokee of a key that is being made for a profile that has
// none. The key that asks IAM for it signs, and is not revoked itself.
func (b *Broker) makingRevokee(r *rotator, keys map[string]record) (*revokee, error) {
	j := r.state()
	using, ok := keys[j.Maker.Using]
	if !ok {
		return nil, fail(ipc.CodeNoKey, "look for it in the IAM console", "%s: no key is stored for profile %s, which asks IAM for it", j.What(), j.Maker.Using)
	}
	u := &revokee{
		user:       revocation{AccessKeyID: firstOf(j.New, using.AccessKeyID), ARN: j.ARN}.user(),
		candidates: []ownKey{{j.Maker.Using, using}}, making: r,
	}
	b.enlistMade(u, j, j.New)
	return u, nil
}

// rotations returns those that the keys of a user are in.
func (u *revokee) rotations(b *Broker) []*rotator {
	if u.making != nil {
		return []*rotator{u.making}
	}
	return b.touched(u.ids())
}

// lent has the key sign that asks IAM for a new one: with the session that it
// has, because it goes on serving.
func (s *signer) lent(ctx context.Context) error {
	p := s.w.plans[0]
	if p.id.serial == "" {
		s.params = ipc.IAMParams{ItemParams: s.w.b.item(p), UserName: s.w.userName}
		return nil
	}
	e, err := s.w.b.sessionToSign(ctx, p, s.w.asker)
	if err != nil {
		return err
	}
	return s.with(p, e)
}
