// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"time"

	"credbroker/broker/rotation"
)

// patienceWithStep is how long a revocation waits for the steps of rotations
// that are under way, all together: one of them may be making a key.
const patienceWithStep = 30 * time.Second

// haltRotations waits until no step of a rotation of these keys is under way;
// the next one does not begin. It reports whether there is such a rotation.
func (b *Broker) haltRotations(ctx context.Context, users []*revokee) bool {
	ctx, cancel := context.WithTimeout(ctx, patienceWithStep)
	defer cancel()
	halted := map[*rotator]bool{}
	for _, u := range users {
		for _, id := range u.ids() {
			r := b.rotating(id)
			if r == nil || halted[r] {
				continue
			}
			halted[r] = true
			select {
			case r.turn <- struct{}{}:
				<-r.turn
			case <-ctx.Done():
			}
		}
	}
	return len(halted) > 0
}

// standsStill reports whether a rotation is of a key that was revoked.
func (b *Broker) standsStill(j rotation.Journal) bool { return b.revokedRotation(j) != nil }

// revokedRotation says why a rotation stands still, or nil.
func (b *Broker) revokedRotation(j rotation.Journal) error {
	for _, id := range []string{j.Old, j.New} {
		if err := b.notRevoked(j.Places[0].Profile, id); err != nil {
			return err
		}
	}
	return nil
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

// abandon ends a rotation that was abandoned, and reports whether it was.
func (r *rotator) abandon(ctx context.Context) bool {
	r.b.rotations.mu.Lock()
	abandoned, j := r.abandoned, r.journal
	r.b.rotations.mu.Unlock()
	if !abandoned {
		return false
	}
	keys, err := r.b.index.snapshot()
	if err != nil {
		return false
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
	return true
}
