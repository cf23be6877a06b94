// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"slices"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// notRotating refuses what would pull the rug from under a rotation: that a
// profile gets a key that is being rotated, or loses one.
func (b *Broker) notRotating(profile string, key record) error {
	r := b.rotating(key.AccessKeyID)
	if r == nil || b.standsStill(r.state()) { // see abandonRotation
		return nil
	}
	j := r.state()
	if j.Creating() {
		return fail(ipc.CodeRefused, "see it to its end: "+j.ResumeCommand()+"; or take it back: "+j.UndoCommand(), "key %s of profile %s is still being made", key.AccessKeyID, profile)
	}
	its := j.Places[0].Profile // which profile need not be: a key can have several
	return fail(ipc.CodeRefused, "see it to its end: broker rotate "+its+" --resume; or take it back: broker rotate "+its+" --undo",
		"key %s of profile %s is being rotated", key.AccessKeyID, profile)
}

// mayLose is notRotating for a key that a profile has and is to lose. To a
// profile that the rotation is not for, an index that was rebuilt meanwhile has
// given it: see unnamed.
func (b *Broker) mayLose(profile string, key record) error {
	if r := b.rotating(key.AccessKeyID); r != nil && !slices.Contains(r.state().Profiles(), profile) {
		return nil
	}
	return b.notRotating(profile, key)
}

// takeOut makes a call of IAM that takes a key out of use, unless a profile has
// that key. The index is looked at twice: before somebody is asked for a code,
// and when the call is about to be made. From then until it has ended no profile
// gets the key: see notGoing.
func (h hands) takeOut(ctx context.Context, j rotation.Journal, accessKeyID string, call func(ipc.IAMParams) error) error {
	if err := h.unnamed(j, accessKeyID); err != nil {
		return err
	}
	var named error
	err := h.iam(ctx, j, func(p ipc.IAMParams) error {
		defer h.b.takingOut(accessKeyID)()
		if named = h.unnamed(j, accessKeyID); named != nil {
			return nil
		}
		return call(p)
	})
	return firstOf(named, err)
}

// takingOut notes that a key is being taken out of use, until end is called.
func (b *Broker) takingOut(accessKeyID string) (end func()) {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	if b.rotations.going == nil {
		b.rotations.going = map[string]bool{}
	}
	b.rotations.going[accessKeyID] = true
	return func() {
		b.rotations.mu.Lock()
		defer b.rotations.mu.Unlock()
		delete(b.rotations.going, accessKeyID)
	}
}

// notGoing refuses to give a profile a key that is being taken out of use. It is
// asked with the index locked, so that either takeOut sees the profile or this
// sees takeOut.
func (b *Broker) notGoing(profile, accessKeyID string) error {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	if !b.rotations.going[accessKeyID] {
		return nil
	}
	return fail(ipc.CodeBusy, "try again in a minute; broker status says how far it is",
		"profile %s: key %s is being taken out of use at IAM at this moment", profile, accessKeyID)
}

// unnamed refuses to take a key out of use at IAM that a profile has, whatever
// the journal says: the index can have been rebuilt since that was planned.
func (h hands) unnamed(j rotation.Journal, accessKeyID string) error {
	keys, err := h.b.index.snapshot()
	if err != nil {
		return judged(err)
	}
	for profile, key := range keys {
		if key.AccessKeyID == accessKeyID {
			return &rotation.Error{
				Kind: rotation.Refused, Code: string(ipc.CodeKeyInUse),
				Hint: "give that profile another key: broker add " + profile + " --replace; or none: broker remove " + profile + "; then: " + j.ResumeCommand(),
				Err:  fmt.Errorf("%s: profile %s has key %s, too; it stays as it is", j.What(), profile, accessKeyID),
			}
		}
	}
	return nil
}

// lastUseKnown refuses to go on where nobody can tell whether something else
// uses the key that is about to be taken out of use.
func lastUseKnown(j rotation.Journal, states ipc.KeyStates) error {
	for _, k := range states.Keys {
		if k.AccessKeyID == j.Old && k.LastUsedError != nil {
			return k.LastUsedError
		}
	}
	return nil
}
