// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// patienceWithStep is how long a revocation waits for the steps of rotations
// that are under way, all together: one of them may be making a key.
const patienceWithStep = 30 * time.Second

// touched returns the rotations that these keys are in, old or new, and the
// creations that one of them signs.
func (b *Broker) touched(ids []string) (list []*rotator) {
	keys, err := b.index.snapshot()
	if err != nil {
		keys = nil // then nothing is created
	}
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		j := r.journal
		in := []string{j.Old, j.New}
		if j.Creating() {
			in = append(in, keys[j.Maker.Using].AccessKeyID)
		}
		if slices.ContainsFunc(in, func(id string) bool { return id != "" && slices.Contains(ids, id) }) {
			list = append(list, r)
		}
	}
	return list
}

// enlistMade adds a key that is being made, which no profile has yet.
func (b *Broker) enlistMade(u *revokee, j rotation.Journal, id string) {
	if id == "" || slices.Contains(u.ids(), id) {
		return
	}
	k, known := b.revoked.of(id)
	if !known {
		k = revocation{AccessKeyID: id}
	}
	k.UserName, k.ARN, k.Profiles = j.UserName, j.ARN, j.Profiles()
	u.keys = append(u.keys, k)
}

// haltRotations waits until no step of a rotation of these keys is under way;
// the next one does not begin. It reports whether there is such a rotation.
func (b *Broker) haltRotations(ctx context.Context, users []*revokee) (found bool) {
	ctx, cancel := context.WithTimeout(ctx, patienceWithStep)
	defer cancel()
	for _, u := range users {
		for _, r := range u.rotations(b) {
			found = true
			select {
			case r.turn <- struct{}{}:
				<-r.turn
			case <-ctx.Done():
			}
		}
	}
	return found
}

// open returns the journals, as they are on the disk, of rotations and creations
// of the user that have asked for a key which nobody can name. The step that
// asks may be under way.
func (w *onUser) open() (list []rotation.Journal) {
	for _, r := range w.u.rotations(w.b) {
		j := r.state()
		if now, err := w.b.readJournal(r.id); err == nil {
			j = now
		}
		if j.Open() {
			list = append(list, j)
		}
	}
	return list
}

// findMade revokes the key that IAM may have made for an open call.
func (w *onUser) findMade(ctx context.Context, s *signer, j rotation.Journal) {
	made, err := w.b.made(context.WithoutCancel(ctx), j, func() (states ipc.KeyStates, err error) {
		err = s.call(ctx, func(ctx context.Context, p ipc.IAMParams) error {
			p.UserName = j.UserName
			states, err = w.b.opts.Worker.ListKeys(ctx, p)
			return err
		})
		return states, err
	})
	if err != nil {
		w.unfound(j, err)
		return
	}
	for _, id := range made {
		w.b.enlistMade(w.u, j, id)
	}
	w.remember(w.b.revoked.change(func(all map[string]revocation) {
		for i := range w.u.keys {
			if k := &w.u.keys[i]; k.RevokedAt.IsZero() && slices.Contains(made, k.AccessKeyID) {
				k.RevokedAt = w.b.opts.Clock.Now().UTC()
				all[k.AccessKeyID] = *k
			}
		}
	}))
}

// unfound says that a key may work at AWS which is in no list.
func (w *onUser) unfound(j rotation.Journal, err error) {
	if w.out.Problem != nil {
		return
	}
	w.out.Problem = wrap(err, "%s: IAM may have made a key that is not known here, and works", j.What())
	w.out.Problem.Hint = "in a minute, run it again: broker revoke " + w.profile() + "; or look for it in the IAM console"
}

// made returns the keys that IAM may have made for an open call: the one whose
// secret was sealed, or the one that list shows. It fails while there may be one
// that does not show yet.
func (b *Broker) made(ctx context.Context, j rotation.Journal, list func() (ipc.KeyStates, error)) ([]string, error) {
	for _, k := range b.revoked.list() { // found before
		if k.ARN == j.ARN && k.ARN != "" && k.AccessKeyID != j.Old && !slices.Contains(j.Before, k.AccessKeyID) && k.RevokedAt.Add(b.clockOffset()).After(*j.Sent) {
			return []string{k.AccessKeyID}, nil
		}
	}
	sealed, busy := b.opts.Worker.SealedKey(ctx, ipc.SealedKeyParams{Sealed: hands{b, nil}.sealed(j)})
	if busy == nil && sealed.AccessKeyID != "" {
		return []string{sealed.AccessKeyID}, nil
	}
	states, err := list()
	if err != nil {
		return nil, err
	}
	made := j.Made(keysOf(states, nil))
	if len(made) > 0 {
		return made, nil
	}
	if busy != nil {
		return nil, busy
	}
	if !j.Settled(hands{b, nil}.Now()) {
		return nil, fail(ipc.CodeBusy, "try again in a minute", "IAM was asked for it at %s", j.Sent.Format(time.RFC3339))
	}
	return nil, nil
}

// standsStill reports whether a rotation is of a key that was revoked.
func (b *Broker) standsStill(j rotation.Journal) bool { return b.revokedRotation(j) != nil }

// revokedRotation says why a rotation stands still, or nil.
func (b *Broker) revokedRotation(j rotation.Journal) error {
	if j.Creating() {
		return b.revokedCreation(j)
	}
	for _, id := range []string{j.Old, j.New} {
		if err := b.notRevoked(j.Places[0].Profile, id); err != nil {
			return err
		}
	}
	return nil
}

// revokedCreation is revokedRotation for a creation, which needs the key that
// signs for it.
func (b *Broker) revokedCreation(j rotation.Journal) error {
	using := j.Maker.Using
	keys, err := b.index.snapshot()
	if err != nil {
		return nil //nolint:nilerr // the step says so that needs the index
	}
	if err := b.notRevoked(using, keys[using].AccessKeyID); err != nil {
		return wrap(err, "%s", j.What())
	}
	if _, revoked := b.revoked.of(j.New); revoked && !j.Back {
		return fail(ipc.CodeKeyInactive, "to take it back: broker revoke "+using+" --undo", "%s: its key %s was revoked", j.What(), j.New)
	}
	return nil
}

// revoked says where a rotation stands whose key was revoked: at its end if that
// was abandoned. The zero Next is for all others.
func (r *rotator) revoked(ctx context.Context) (rotation.Next, error) {
	ended, err := r.abandon(ctx)
	switch {
	case ended:
		return rotation.Next{Why: rotation.Done}, nil
	case err != nil:
		return rotation.Next{Why: rotation.Retrying, At: hands{r.b, r}.Now().Add(time.Minute)}, err
	}
	if err := r.b.revokedRotation(r.state()); err != nil {
		return rotation.Next{Why: rotation.Stuck}, err
	}
	return rotation.Next{}, nil
}

// abandonRotation ends the rotation of a revoked key that was replaced or
// removed by its user: there is nothing left that it could bring to an end. What
// the vault has of it, and the index has not, is deleted.
func (b *Broker) abandonRotation(accessKeyID string) {
	if _, revoked := b.revoked.of(accessKeyID); !revoked {
		return
	}
	r := b.rotating(accessKeyID)
	if r == nil {
		return
	}
	b.rotations.mu.Lock()
	r.abandoned = true
	b.rotations.mu.Unlock()
	r.wake()
}

// abandon ends a rotation that was abandoned, and reports whether it was. The
// error is why it cannot end yet.
func (r *rotator) abandon(ctx context.Context) (ended bool, err error) {
	r.b.rotations.mu.Lock()
	abandoned, j := r.abandoned, r.journal
	r.b.rotations.mu.Unlock()
	if !abandoned {
		return false, nil
	}
	keys, err := r.b.index.snapshot()
	if err != nil {
		return false, err
	}
	made, err := r.disown(ctx, j)
	if err != nil {
		e := wrap(err, "%s: the key that IAM may have made for it may work at AWS", j.What())
		e.Hint = "store a key of IAM user " + j.UserName + " under profile " + j.Places[0].Profile + ", or look for it in the IAM console"
		return false, e
	}
	if j.New == "" && len(made) == 1 { // whose secret the vault may have
		j.New = made[0]
	}
	serving := map[string]bool{}
	for _, k := range keys {
		serving[k.Item] = true
	}
	var items []string
	for _, item := range j.Items() {
		if !serving[item] {
			items = append(items, item)
		}
	}
	if err := (hands{r.b, r}).Forget(ctx, j, items); err != nil {
		r.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "leftover of a rotation not removed", slog.Any("error", err))
	}
	r.b.removeJournal(ctx, r.id)
	return true, nil
}

// disown makes the new key of an abandoned rotation Inactive, unless it was
// revoked: then the user knows of it. With the journal nothing would name it.
func (r *rotator) disown(ctx context.Context, j rotation.Journal) (made []string, err error) {
	h := hands{r.b, r}
	made = []string{j.New}
	if j.New == "" {
		if !j.Open() {
			return nil, nil
		}
		made, err = r.b.made(ctx, j, func() (states ipc.KeyStates, err error) {
			err = h.iam(ctx, j, func(p ipc.IAMParams) error {
				states, err = r.b.opts.Worker.ListKeys(ctx, p)
				return err
			})
			return states, err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range made {
		if _, revoked := r.b.revoked.of(id); revoked {
			continue
		}
		if err := h.SetActive(ctx, j, id, false); err != nil && !errors.Is(err, rotation.ErrGone) {
			return nil, err
		}
		r.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "key of an abandoned rotation made Inactive", slog.String("access_key_id", id))
	}
	return made, nil
}
