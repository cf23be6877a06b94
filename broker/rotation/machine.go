// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// verifications is how many successes in a row a key needs, beside lasting
	// VerifyFor. IAM's endpoints disagree for a while, so one success says little.
	verifications = 3
	// patience is how long a key may be unknown to AWS before it counts as one
	// that never will be. 15 seconds have been seen.
	patience = 5 * time.Minute
	// retryAfter is the pause after a call that reached nobody.
	retryAfter = 5 * time.Second
)

// Machine carries rotations out. Its fields are not changed while it is used.
type Machine struct {
	Hands Hands
	// VerifyFor is for how long a key must work without a failure, KeepDisabled
	// for how long the old one can be made active again.
	VerifyFor, KeepDisabled time.Duration
	// NewItem returns the name of a vault item that there never was.
	NewItem func() string
}

// Why says what a rotation waits for.
type Why string

// What a rotation waits for.
const (
	Nothing     Why = ""            // Advance may be called at once
	Propagation Why = "propagation" // until AWS knows a key everywhere
	Settling    Why = "settling"    // until a CreateAccessKey without an answer would show
	Retrying    Why = "retrying"    // a call reached nobody
	Held        Why = "held"        // for Resume
	Kept        Why = "kept"        // the old key is Inactive, and Undo is possible
	Stuck       Why = "stuck"       // Journal.Problem: for Resume or Undo
	Done        Why = "done"        // the rotation has ended
)

// Next says when Advance is to be called again.
type Next struct {
	Why Why
	At  time.Time // zero: at once, or, if Held, Stuck or Done, not before something else happens
}

// Advance does one step of a rotation and returns the journal as it is on the
// disk. An error is that of the step, and leaves the rotation where Next says:
// one that will not go away by itself is in Journal.Problem, too. After one that
// wraps ErrUnsaved the disk may have the journal before or after the step: the
// caller reads it again before anything else.
func (m *Machine) Advance(ctx context.Context, j Journal) (Journal, Next, error) {
	switch {
	case j.State.Ended():
		return j, Next{Why: Done}, nil
	case j.Problem != nil:
		return j, Next{Why: Stuck}, nil
	case j.State == Planned && j.Sent != nil:
		return m.look(ctx, j)
	case j.Back:
		return m.back(ctx, j)
	}
	switch j.State {
	case Planned:
		return m.create(ctx, j)
	case Created:
		return m.store(ctx, j)
	case Stored:
		return m.verify(ctx, j)
	case Verified:
		if j.Creating() {
			return m.added(ctx, j)
		}
		return m.switchOver(ctx, j)
	case Switched:
		return m.disable(ctx, j)
	}
	return m.finish(ctx, j) // Disabled: the others have ended
}

// ErrUnsaved is wrapped by an error of a journal that could not be written.
var ErrUnsaved = errors.New("write the journal of the rotation")

// Resume lets a rotation that is held, or stands still, go on. What stopped it
// is looked at again, but a use of the old key that the user has been told of
// does not stop it twice. Only from where Hold stops it does it go past that.
func (m *Machine) Resume(ctx context.Context, j Journal) (Journal, error) {
	if j.State.Ended() {
		return j, nil
	}
	next := j
	next.Problem, next.Hold, next.Streak = nil, j.Hold && !j.AtHold(), Streak{}
	if j.Used != nil {
		next.Accepted, next.Used = j.Used, nil
	}
	return m.save(ctx, j, next)
}

// AtHold reports whether j has come to where Hold stops it.
func (j Journal) AtHold() bool {
	return j.Hold && j.State == Switched && j.Told && j.Problem == nil && !j.Back
}

// Hold has a rotation that is under way stop after the switch, with both keys
// active. It is refused where broker may have made the old one Inactive already.
func (m *Machine) Hold(ctx context.Context, j Journal) (Journal, error) {
	if j.Hold {
		return j, nil
	}
	if j.Back || j.Creating() || j.State == Disabled || j.State.Ended() || j.State == Switched && j.Told {
		return j, &Error{
			Kind: Refused, Code: "refused", Hint: "see how far it is: broker status",
			Err: fmt.Errorf("hold the rotation of key %s: it is too late for that, it is %s", j.Old, j.stage()),
		}
	}
	next := j
	next.Hold = true
	return m.save(ctx, j, next)
}

// stage says where a rotation is that cannot be held any more.
func (j Journal) stage() string {
	switch {
	case j.Back:
		return "on its way back"
	case j.State == Switched:
		return "about to make the old key Inactive"
	}
	return string(j.State)
}

// Undo turns a rotation round: the old key serves again, and the new one is
// deleted. It is refused for one that has ended, and for a creation whose key the
// index may name already. For one that is on its way back
// and stands still because on_rotate fails, it goes on without on_rotate.
func (m *Machine) Undo(ctx context.Context, j Journal) (Journal, error) {
	if j.State.Ended() {
		return j, &Error{Kind: Refused, Code: "no_rotation", Err: fmt.Errorf("%s: that has ended: it is %s", j.What(), j.State)}
	}
	if j.Creating() && j.State == Verified {
		return j, j.kept()
	}
	next := j
	if j.Back && j.Problem != nil && j.State == Verified {
		next.Told = true
	}
	next.Back, next.Problem, next.Hold, next.Streak = true, nil, false, Streak{}
	return m.save(ctx, j, next)
}

// save returns next if it is on the disk, else j, which is.
func (m *Machine) save(ctx context.Context, j, next Journal) (Journal, error) {
	if err := m.Hands.Save(ctx, next); err != nil {
		return j, fmt.Errorf("%w: %w", ErrUnsaved, err)
	}
	return next, nil
}

// step writes down that a step is done.
func (m *Machine) step(ctx context.Context, j, next Journal) (Journal, Next, error) {
	next.Streak = Streak{}
	saved, err := m.save(ctx, j, next)
	if err != nil {
		return saved, m.later(), err
	}
	if saved.State.Ended() {
		return saved, Next{Why: Done}, nil
	}
	return saved, Next{}, nil
}

// failed says what comes after a step that could not be done and that can be
// done again.
func (m *Machine) failed(ctx context.Context, j Journal, err error) (Journal, Next, error) {
	if kindOf(err) != Refused {
		return j, m.later(), err
	}
	return m.stop(ctx, j, err)
}

// stop stands still until the user has looked.
func (m *Machine) stop(ctx context.Context, j Journal, err error) (Journal, Next, error) {
	next := j
	next.Problem = m.problem(err)
	if next.Problem.Hint == "" {
		next.Problem.Hint = j.hint()
	}
	saved, serr := m.save(ctx, j, next)
	if serr != nil {
		return saved, m.later(), errors.Join(err, serr)
	}
	return saved, Next{Why: Stuck}, err
}

func (m *Machine) problem(err error) *Problem {
	p := &Problem{Code: "internal", Message: err.Error(), At: m.Hands.Now().UTC()}
	var e *Error
	if errors.As(err, &e) {
		p.Code, p.Hint = e.Code, e.Hint
	}
	return p
}

// end closes the journal. What the vault has that nobody needs goes first: once
// the journal is closed nothing would explain it.
func (m *Machine) end(ctx context.Context, j Journal, state State, items []string, because *Problem) (Journal, Next, error) {
	if err := m.Hands.Forget(ctx, j, items); err != nil {
		return m.failed(ctx, j, err)
	}
	next := j
	next.State, next.Problem, next.Sent, next.EndedAt = state, because, nil, m.now()
	return m.step(ctx, j, next)
}

func (m *Machine) now() *time.Time {
	t := m.Hands.Now().UTC()
	return &t
}

func (m *Machine) later() Next { return Next{Why: Retrying, At: m.Hands.Now().Add(retryAfter)} }

// between is the pause between two tries of a key.
func (m *Machine) between() time.Duration { return m.VerifyFor / 10 }

// oldItems are the items of the old key, newItems those of the new one; either
// with what the secret was sealed with, and what was spoilt.
func (j Journal) oldItems() []string {
	items := append([]string{j.Seal}, j.spoiltItems()...)
	for _, p := range j.Places {
		items = append(items, p.OldItem)
	}
	return items
}

func (j Journal) newItems() []string {
	items := append([]string{j.Seal}, j.spoiltItems()...)
	for _, p := range j.Places {
		items = append(items, p.NewItem)
	}
	return items
}

func (j Journal) spoiltItems() []string {
	items := make([]string, len(j.Spoilt))
	for i, p := range j.Spoilt {
		items[i] = p.NewItem
	}
	return items
}

// find returns the key of this ID.
func find(keys []Key, accessKeyID string) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.AccessKeyID == accessKeyID })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}
