// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A creation is a rotation without an old key: a profile that has none gets a
// new one. It takes the same steps up to Verified, and ends as Added when the
// index names the key, or as Aborted or Undone when there is no new key (any
// more).

// maxKeys is how many keys IAM allows a user, whatever their status.
const maxKeys = 2

// Maker says how a new key is made that takes nobody's place.
type Maker struct {
	Using                    string // the profile whose key, or session, asks IAM for it
	UserName, AccountID, ARN string // whose key it is to be; AccountID and ARN may be unknown
	SerialNumber             string // its MFA device; may be empty
	NoMFA                    bool
	Region                   string // kept with it; may be empty
}

// PlanCreation is Plan for a creation: of a key for one profile, in a new item.
func PlanCreation(id string, k Maker, seal, profile, item string, now time.Time) (Journal, error) {
	j := Journal{
		V: journalVersion, ID: id, State: Planned, UserName: k.UserName, AccountID: k.AccountID, ARN: k.ARN, Maker: &k,
		Places: []Place{{Profile: profile, NewItem: item}}, Seal: seal, PlannedAt: now.UTC(),
	}
	return j, j.check()
}

// Creating reports whether j is a creation.
func (j Journal) Creating() bool { return j.Maker != nil }

// What says what j does, for errors.
func (j Journal) What() string {
	if j.Creating() {
		return "make a key for profile " + j.Places[0].Profile
	}
	return "rotate key " + j.Old
}

// again is the command that goes on with j, or begins it anew.
func (j Journal) again() string {
	if j.Creating() {
		return "broker add " + j.Places[0].Profile + " --create"
	}
	return "broker rotate " + j.Places[0].Profile
}

// ResumeCommand is what the user types to go on with j after a problem.
func (j Journal) ResumeCommand() string {
	if j.Creating() {
		return j.again()
	}
	return j.again() + " --resume"
}

// UndoCommand is what the user types to have j taken back.
func (j Journal) UndoCommand() string { return "broker rotate " + j.Places[0].Profile + " --undo" }

// hint is what to do about a problem that says nothing of that itself.
func (j Journal) hint() string {
	if j.Creating() {
		return "when that is put right: " + j.ResumeCommand() + "; to have the new key deleted: " + j.UndoCommand()
	}
	return "a key that works is stored; when that is put right: " + j.ResumeCommand()
}

// room reports why there is no place for a new key.
func (j Journal) room(keys []Key) error {
	if len(keys) < maxKeys {
		return nil
	}
	return &Error{
		Kind: Refused, Code: "key_quota",
		Hint: "IAM allows two keys: find out who uses these, and delete one in IAM if nobody does",
		Err:  fmt.Errorf("%s: IAM user %s has two keys: %s; and %s", j.What(), j.UserName, keys[0].describe(), keys[1].describe()),
	}
}

// added makes the index name the new key, and is done.
func (m *Machine) added(ctx context.Context, j Journal) (Journal, Next, error) {
	if err := m.Hands.Switch(ctx, j, j.New); err != nil {
		return m.failed(ctx, j, err)
	}
	return m.end(ctx, j, Added, append([]string{j.Seal}, j.spoiltItems()...), nil)
}

// kept refuses to take a key away that the index may name.
func (j Journal) kept() error {
	profile := j.Places[0].Profile
	return &Error{
		Kind: Refused, Code: "refused", Hint: "take it out of use: broker revoke " + profile + "; or let it be finished: " + j.again(),
		Err: fmt.Errorf("%s: key %s works, and the profile may have it already", j.What(), j.New),
	}
}

// unmake deletes a new key that nothing names.
func (m *Machine) unmake(ctx context.Context, j Journal) (Journal, Next, error) {
	if err := m.Hands.DeleteKey(ctx, j, j.New); err != nil && !errors.Is(err, ErrGone) {
		return m.failed(ctx, j, err)
	}
	return m.undone(ctx, j)
}
