// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"slices"
	"strings"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// opRotate begins a rotation, or says how one goes on, and stays until a person
// or the calendar is needed. Its conversation is where a code is asked for. A
// caller who leaves changes nothing: the rotation goes on.
func (b *Broker) opRotate(ctx context.Context, r ipc.Request, c conversation) (any, error) {
	var params ipc.RotateParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if err := b.opened(); err != nil {
		return nil, wrap(err, "rotate the key of profile %s", params.Profile)
	}
	asker := callerOf(r, c)
	asker.answers, asker.unattended = true, params.Unattended
	if asker.sit != nil {
		if err := asker.sit(); err != nil {
			return nil, err
		}
	}
	if rot := b.creating(params.Profile); rot != nil && (params.Resume || params.Undo) { // it has no key yet
		out, err := rot.steer(ctx, c, &asker, params.Undo)
		if params.Undo {
			return takenBack(out, err)
		}
		return out, err
	}
	key, err := b.keyToRotate(ctx, params.Profile, asker)
	if err != nil {
		return nil, err
	}
	rot := b.rotating(key.AccessKeyID)
	if err := b.notRevoked(params.Profile, key.AccessKeyID); err != nil {
		return nil, err // also of a rotation that stands still for that
	}
	if params.DryRun {
		if rot != nil {
			return nil, rot.under(params.Profile)
		}
		return b.rotationPlan(ctx, key, asker)
	}
	earlier := false
	switch {
	case params.Resume || params.Undo:
		if rot == nil {
			return nil, fail(ipc.CodeNoRotation, "to begin one: broker rotate "+params.Profile, "key %s of profile %s is not being rotated", key.AccessKeyID, params.Profile)
		}
		rot.watchedBy(&asker)
		defer rot.left(&asker)
		if err := rot.command(ctx, params.Undo); err != nil {
			return nil, err
		}
	case rot != nil: // whoever asks again wants to see how far it is
		rot.watchedBy(&asker)
		defer rot.left(&asker)
		earlier = rot.rests()
		rot.again()
	default:
		if err := b.mayRotate(key); err != nil {
			return nil, err
		}
		if err := b.mayRotateUnattended(params.Profile, asker); err != nil {
			return nil, err
		}
		if rot, err = b.beginRotation(ctx, key, params.Hold, &asker); err != nil {
			return nil, err
		}
		defer rot.left(&asker)
	}
	if params.Hold { // it may have been under way without
		if err := rot.hold(ctx); err != nil {
			return nil, err
		}
	}
	b.withdrawNotice(key.AccessKeyID)
	out, err := rot.follow(ctx, c)
	if params.Undo {
		return takenBack(out, err)
	}
	out.Earlier = earlier && !out.Back && (out.Waiting == string(rotation.Kept) || out.Waiting == string(rotation.Held))
	return out, err
}

// takenBack is what comes to who takes a rotation back. One that was given up for
// an error, before or meanwhile, has come to what they asked for.
func takenBack(out ipc.Rotation, err error) (ipc.Rotation, error) {
	if out.State == string(rotation.Aborted) {
		out.State, out.Problem, err = string(rotation.Undone), nil, nil
	}
	return out, err
}

// rests reports whether a rotation has done what it was begun for, and waits for
// the calendar or a person.
func (r *rotator) rests() bool {
	r.b.rotations.mu.Lock()
	defer r.b.rotations.mu.Unlock()
	return !r.journal.Back && (r.next.Why == rotation.Kept || r.next.Why == rotation.Held)
}

// under says that a rotation has begun, so that there is nothing to plan: the
// second key that IAM has is one of its own.
func (r *rotator) under(profile string) error {
	return fail(ipc.CodeRefused, "see how far it is: broker status; to go on with it: broker rotate "+profile+" --resume; to take it back: broker rotate "+profile+" --undo",
		"plan a rotation: key %s of profile %s is being rotated already", r.state().Old, profile)
}

// keyToRotate returns the key of a profile, and whose it is.
func (b *Broker) keyToRotate(ctx context.Context, profile string, c caller) (record, error) {
	if err := awsconfig.ValidProfileName(profile); err != nil {
		return record{}, err
	}
	pl, err := b.planner()
	if err != nil {
		return record{}, err
	}
	p, err := pl.ofKey(profile)
	if err != nil { // perhaps the profile stands on another's key
		through, perr := pl.plan(profile)
		if perr != nil {
			return record{}, perr
		}
		return record{}, fail(ipc.CodeNoKey, "rotate that one: broker rotate "+through.owner,
			"profile %s has no key of its own: it uses that of %s", profile, through.owner)
	}
	if p.key.AccountID == "" {
		if p, err = b.identify(ctx, p, c); err != nil {
			return record{}, err
		}
	}
	return p.key, nil
}

// mayRotate refuses what no rotation can do.
func (b *Broker) mayRotate(key record) error {
	if key.UserName == "" {
		return fail(ipc.CodeKeyInvalid, "", "key %s is not of an IAM user", key.AccessKeyID)
	}
	return nil
}

// beginRotation starts a rotation unless somebody has just done so.
func (b *Broker) beginRotation(ctx context.Context, key record, hold bool, asker *caller) (*rotator, error) {
	b.beginning.Lock()
	defer b.beginning.Unlock()
	if rot := b.rotating(key.AccessKeyID); rot != nil {
		rot.watchedBy(asker)
		return rot, nil
	}
	if err := b.userFree(key.UserName, key.AccountID, "rotate key "+key.AccessKeyID); err != nil {
		return nil, err
	}
	return b.newRotation(ctx, key, hold, asker)
}

// userFree refuses a second journal for one IAM user. Each would take a key that
// the other one has just made for what came of its own lost answer, and delete
// it. An account that is not known may be the same one.
func (b *Broker) userFree(userName, accountID, what string) error {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		j := r.journal
		if j.UserName != userName || j.AccountID != "" && accountID != "" && j.AccountID != accountID {
			continue
		}
		err := fail(ipc.CodeRefused, "see how far that is: broker status; to go on with it: "+j.ResumeCommand(),
			"%s: the keys of IAM user %s are being changed already: %s", what, userName, j.What())
		if r.next.Why == rotation.Kept && r.next.At.After(hands{b, r}.Now()) { // nothing that is typed ends it earlier, but its undo
			err.Message += ", which keeps the old key until " + r.next.At.UTC().Format(time.RFC3339)
			err.Hint = "wait until then; or take it back: " + j.UndoCommand()
		}
		return err
	}
	return nil
}

// again has a rotation try at once what it would try later. What it waited for so
// far, a code perhaps, may be had from who watches now.
func (r *rotator) again() {
	r.b.rotations.mu.Lock()
	if r.next.Why == rotation.Retrying {
		r.err = nil
	}
	r.b.rotations.mu.Unlock()
	r.wake()
}

// watchedBy adds somebody who can be asked for a code, until they have left.
func (r *rotator) watchedBy(c *caller) {
	r.b.rotations.mu.Lock()
	defer r.b.rotations.mu.Unlock()
	r.askers = append(r.askers, c)
}

// left takes somebody out who was watching.
func (r *rotator) left(c *caller) {
	r.b.rotations.mu.Lock()
	defer r.b.rotations.mu.Unlock()
	r.askers = slices.DeleteFunc(r.askers, func(have *caller) bool { return have == c })
}

// askerLocked returns who is asked for a code: who came last, or nil. A user who
// watches comes before a job that nobody does.
func (r *rotator) askerLocked() *caller {
	if len(r.askers) == 0 {
		return nil
	}
	for _, c := range slices.Backward(r.askers) {
		if c.unattended == "" {
			return c
		}
	}
	return r.askers[len(r.askers)-1]
}

// follow reports each change of a rotation until it ends, or stands still for
// longer than somebody would watch.
func (r *rotator) follow(ctx context.Context, c interface{ Event(any) error }) (ipc.Rotation, error) {
	var last ipc.Rotation
	for {
		r.b.rotations.mu.Lock()
		now, changed, why, at, err := r.describeLocked(), r.changed, r.next.Why, r.next.At, r.err
		j := r.journal
		r.b.rotations.mu.Unlock()
		if why == rotation.Kept && !at.After(hands{r.b, r}.Now()) {
			why = rotation.Nothing // the time is over: it is about to go on, and may need a code
		}
		switch why {
		case rotation.Done:
			return now, r.outcome(j)
		case rotation.Kept, rotation.Held:
			return now, nil
		case rotation.Stuck:
			if j.Problem == nil {
				return now, err // its key is revoked
			}
			return now, problemOf(j.Problem)
		}
		if err != nil && strings.HasPrefix(string(coded(err).Code), "mfa_") { // a person is needed
			return now, err
		}
		if !same(now, last) {
			if err := c.Event(now); err != nil {
				return now, err
			}
			last = now
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

// outcome is what an ended rotation comes to for who asked for it.
func (r *rotator) outcome(j rotation.Journal) error {
	if j.State == rotation.Aborted {
		return problemOf(j.Problem)
	}
	return nil
}

func problemOf(p *rotation.Problem) error {
	if p == nil {
		return nil
	}
	return &ipc.Error{Code: ipc.Code(p.Code), Message: p.Message, Hint: p.Hint}
}

// same reports whether two states of a rotation look the same to who watches.
func same(a, b ipc.Rotation) bool {
	return a.State == b.State && a.Waiting == b.Waiting && a.New == b.New && a.Back == b.Back && slices.Equal(a.Profiles, b.Profiles) &&
		(a.Problem == nil) == (b.Problem == nil)
}
