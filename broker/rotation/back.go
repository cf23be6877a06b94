// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
)

// back takes one step back. The index names the old key again before the new
// one is deleted, and the old one is seen to work before the index names it.
func (m *Machine) back(ctx context.Context, j Journal) (Journal, Next, error) {
	switch j.State {
	case Planned:
		return m.create(ctx, j)
	case Disabled:
		return m.enable(ctx, j)
	case Switched:
		return m.switchBack(ctx, j)
	}
	return m.discard(ctx, j) // Created, Stored or Verified
}

// enable makes the old key active again.
func (m *Machine) enable(ctx context.Context, j Journal) (Journal, Next, error) {
	if err := m.Hands.SetActive(ctx, j, j.Old, true); err != nil {
		return m.notEnabled(ctx, j, err)
	}
	next := j
	next.State, next.DisabledAt = Switched, nil
	return m.step(ctx, j, next)
}

// notEnabled says what comes after an old key that could not be made active.
func (m *Machine) notEnabled(ctx context.Context, j Journal, err error) (Journal, Next, error) {
	if !errors.Is(err, ErrGone) {
		return m.failed(ctx, j, err)
	}
	next := j
	next.Back = false
	return m.stop(ctx, next, &Error{
		Kind: Refused, Code: "key_gone", Hint: "the new key serves; to finish the rotation: broker rotate " + j.Places[0].Profile + " --resume",
		Err: fmt.Errorf("go back to key %s: IAM does not have it any more", j.Old),
	})
}

// switchBack makes the index name the old key when that works steadily. One that
// does not may be Inactive: the call that made it so was carried out, and nobody
// was there to write it down.
func (m *Machine) switchBack(ctx context.Context, j Journal) (Journal, Next, error) {
	tried, err := m.try(ctx, j, j.Old)
	if errors.Is(err, ErrNotYet) && tried.Streak.Count == 1 {
		if err := m.Hands.SetActive(ctx, j, j.Old, true); err != nil {
			return m.notEnabled(ctx, j, err)
		}
	}
	switch {
	case err != nil && !errors.Is(err, ErrNotYet):
		return m.failed(ctx, tried, err)
	case err != nil && m.Hands.Now().Sub(tried.Streak.Since) > patience:
		return m.stay(ctx, j)
	case !tried.steady(m):
		return tried, m.soon(), nil
	}
	if err := m.Hands.Switch(ctx, j, j.Old); err != nil {
		return m.failed(ctx, j, err)
	}
	next := j
	next.State, next.Told = Verified, !j.Telling // whom nobody told of the new key need not be told of the old one
	return m.step(ctx, j, next)
}

// stay turns a rotation that was to be taken back round again: the old key does
// not work any more, and the new one is what there is.
func (m *Machine) stay(ctx context.Context, j Journal) (Journal, Next, error) {
	hint := "the new key works; to go on with it: "
	if j.State == Switched {
		hint = "the new key goes on serving; to keep it: "
	}
	next := j
	next.Back, next.Cause = false, nil
	return m.stop(ctx, next, &Error{
		Kind: Refused, Code: "key_not_valid", Hint: hint + "broker rotate " + j.Places[0].Profile + " --resume",
		Err: fmt.Errorf("go back to key %s: AWS does not accept it", j.Old),
	})
}

// newWorks reports whether the new key works at this moment. One that is not in
// the vault yet is tried once it is: see verify.
func (m *Machine) newWorks(ctx context.Context, j Journal) bool {
	return j.State == Created || m.Hands.Try(ctx, j, j.New) == nil
}

// discard deletes the new key. The index does not name it, unless a switch was
// carried out and not written down: so it is told again.
func (m *Machine) discard(ctx context.Context, j Journal) (Journal, Next, error) {
	if j.Creating() {
		return m.unmake(ctx, j)
	}
	if j.SwitchedAt != nil && !j.Told {
		return m.tell(ctx, j, j.Old)
	}
	if tried, next, err := m.remains(ctx, j, j.Old); tried != nil {
		return *tried, next, err
	}
	if err := m.Hands.Switch(ctx, j, j.Old); err != nil {
		return m.failed(ctx, j, err)
	}
	if err := m.Hands.DeleteKey(ctx, j, j.New); err != nil && !errors.Is(err, ErrGone) {
		return m.failed(ctx, j, err)
	}
	return m.undone(ctx, j)
}

// undone closes what was taken back: by the user, or because of an error.
func (m *Machine) undone(ctx context.Context, j Journal) (Journal, Next, error) {
	if j.Cause != nil {
		return m.end(ctx, j, Aborted, j.newItems(), j.Cause)
	}
	return m.end(ctx, j, Undone, j.newItems(), nil)
}
