// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// store puts the new secret into the vault. It is in the sealed file until then.
func (m *Machine) store(ctx context.Context, j Journal) (Journal, Next, error) {
	if err := m.Hands.Store(ctx, j); err != nil {
		if errors.Is(err, ErrSpoilt) {
			return m.elsewhere(ctx, j, err)
		}
		return m.failed(ctx, j, err)
	}
	next := j
	next.State, next.StoredAt = Stored, m.now()
	return m.step(ctx, j, next)
}

// tries is how many names an item is given before a person has to look at the
// store.
const tries = 3

// elsewhere gives the new key items of other names, because one of those that it
// has is spoilt: an item is never written twice. The secret is in the sealed
// file until the rotation ends.
func (m *Machine) elsewhere(ctx context.Context, j Journal, err error) (Journal, Next, error) {
	next := j
	next.State, next.StoredAt = Created, nil
	next.Places, next.Spoilt = m.renamed(j, "")
	torn := slices.DeleteFunc(slices.Clone(next.Spoilt), func(p Place) bool { return p.Key != "" })
	if len(torn)%(tries*len(next.Places)) == 0 {
		return m.stop(ctx, next, err)
	}
	saved, then, serr := m.step(ctx, j, next)
	if serr == nil {
		then = m.later()
	}
	return saved, then, errors.Join(err, serr)
}

// renamed returns the places of j with new items, and the spoilt ones with those
// that they had so far, which hold the secret of this key: "" is j.New.
func (m *Machine) renamed(j Journal, accessKeyID string) (places, spoilt []Place) {
	places, spoilt = slices.Clone(j.Places), slices.Clone(j.Spoilt)
	for i, p := range j.Places {
		spoilt = append(spoilt, Place{Profile: p.Profile, NewItem: p.NewItem, Key: accessKeyID})
		places[i].NewItem = m.NewItem()
	}
	return places, spoilt
}

// verify tries the new key until it works steadily. One that never does is
// taken back: the old one has served all the time.
func (m *Machine) verify(ctx context.Context, j Journal) (Journal, Next, error) {
	tried, err := m.try(ctx, j, j.New)
	switch {
	case tried.steady(m):
		next := tried
		next.State = Verified
		return m.step(ctx, j, next)
	case errors.Is(err, ErrNotYet) && tried.Streak.Count > verifications && m.Hands.Now().Sub(tried.Streak.Since) > patience:
		return m.turn(ctx, j, &Error{
			Kind: Refused, Code: "key_not_valid", Hint: "what served before goes on serving; try again later: " + j.again(),
			Err: fmt.Errorf("%s: AWS does not accept the new key %s after %v", j.What(), j.New, patience),
		})
	case errors.Is(err, ErrMismatch):
		return m.turn(ctx, j, err)
	case errors.Is(err, ErrSpoilt):
		return m.elsewhere(ctx, j, err)
	case err != nil && !errors.Is(err, ErrNotYet):
		tried.Streak = Streak{} // nobody knows: it counts neither for the key nor against it
		return m.failed(ctx, tried, err)
	}
	return tried, m.soon(), nil
}

// turn takes everything back because of an error.
func (m *Machine) turn(ctx context.Context, j Journal, err error) (Journal, Next, error) {
	next := j
	next.Back, next.Cause = true, m.problem(err)
	saved, then, serr := m.step(ctx, j, next)
	return saved, then, errors.Join(err, serr)
}

// try makes one try of a key and adds it to the streak.
func (m *Machine) try(ctx context.Context, j Journal, accessKeyID string) (Journal, error) {
	err := m.Hands.Try(ctx, j, accessKeyID)
	now := m.Hands.Now()
	if good := err == nil; j.Streak.Count == 0 || j.Streak.Good != good {
		j.Streak = Streak{Good: good, Since: now}
	}
	j.Streak.Count++
	return j, err
}

func (j Journal) steady(m *Machine) bool {
	s := j.Streak
	return s.Good && s.Count >= verifications && m.Hands.Now().Sub(s.Since) >= m.VerifyFor
}

func (m *Machine) soon() Next {
	return Next{Why: Propagation, At: m.Hands.Now().Add(m.between())}
}

// switchOver makes the index name the new key.
func (m *Machine) switchOver(ctx context.Context, j Journal) (Journal, Next, error) {
	if err := m.Hands.Switch(ctx, j, j.New); err != nil {
		return m.failed(ctx, j, err)
	}
	next := j
	next.State, next.SwitchedAt, next.Told = Switched, m.now(), false
	return m.step(ctx, j, next)
}

// disable takes the old key out of use, after everybody who should has been
// told of the new one, and nobody uses the old one any more.
func (m *Machine) disable(ctx context.Context, j Journal) (Journal, Next, error) {
	switch {
	case !j.Telling:
		next := j
		next.Telling = true
		return m.step(ctx, j, next)
	case !j.Told:
		return m.tell(ctx, j, j.New)
	case j.Hold:
		return j, Next{Why: Held}, nil
	}
	if err := m.Hands.Switch(ctx, j, j.New); err != nil { // an index that was rebuilt meanwhile may name the old one
		return m.failed(ctx, j, err)
	}
	keys, err := m.Hands.ListKeys(ctx, j)
	if err != nil {
		return m.failed(ctx, j, err)
	}
	old, there := find(keys, j.Old)
	if there && j.usedSince(old) {
		return m.used(ctx, j, old)
	}
	if tried, next, err := m.remains(ctx, j, j.New); tried != nil {
		return *tried, next, err
	}
	if there && old.Active {
		if err := m.Hands.SetActive(ctx, j, j.Old, false); err != nil && !errors.Is(err, ErrGone) {
			return m.failed(ctx, j, err)
		}
	}
	next := j
	next.State, next.DisabledAt = Disabled, m.now()
	return m.step(ctx, j, next)
}

// tell runs on_rotate. One that was cut short is run again.
func (m *Machine) tell(ctx context.Context, j Journal, accessKeyID string) (Journal, Next, error) {
	if err := m.Hands.Tell(ctx, j, accessKeyID); err != nil {
		return m.failed(ctx, j, err)
	}
	next := j
	next.Told = true
	return m.step(ctx, j, next)
}

// overlap is how long after the switch a use of the old key may still be
// broker's own: a call that was under way, and clocks that are known to a second.
const overlap = 5 * time.Second

// usedSince reports whether somebody has used a key since the index stopped
// naming it, and the user has not been told of it. broker itself has not.
func (j Journal) usedSince(k Key) bool {
	return k.LastUsed != nil && k.LastUsed.After(j.SwitchedAt.Add(overlap)) && (j.Accepted == nil || k.LastUsed.After(*j.Accepted))
}

func (m *Machine) used(ctx context.Context, j Journal, old Key) (Journal, Next, error) {
	next := j
	next.Used = old.LastUsed
	profile := j.Places[0].Profile
	return m.stop(ctx, next, &Error{
		Kind: Refused, Code: "key_in_use",
		Hint: "give whoever it is the new key, then: broker rotate " + profile + " --resume; or go back: broker rotate " + profile + " --undo",
		Err: fmt.Errorf("rotate key %s: something else has used it since broker stopped, %s; it stays as it is",
			j.Old, old.use()),
	})
}

// remains makes sure that a key works at this moment, before the other one is
// taken out of use. A nil Journal says that it does.
func (m *Machine) remains(ctx context.Context, j Journal, accessKeyID string) (*Journal, Next, error) {
	tried, err := m.try(ctx, j, accessKeyID)
	switch {
	case err == nil:
		return nil, Next{}, nil
	case errors.Is(err, ErrNotYet) && m.Hands.Now().Sub(tried.Streak.Since) <= patience:
		return &tried, m.soon(), nil
	case errors.Is(err, ErrNotYet):
		if j.Back && m.newWorks(ctx, j) {
			saved, next, err := m.stay(ctx, tried)
			return &saved, next, err
		}
		err = &Error{
			Kind: Refused, Code: "key_not_valid", Hint: "look at both keys in IAM; broker keeps both, and deletes neither",
			Err: fmt.Errorf("rotate key %s: key %s, which is to remain, does not work any more", j.Old, accessKeyID),
		}
	}
	saved, next, err := m.failed(ctx, tried, err)
	return &saved, next, err
}

// finish deletes the old key when the time for second thoughts is over.
func (m *Machine) finish(ctx context.Context, j Journal) (Journal, Next, error) {
	until := j.DisabledAt.Add(m.KeepDisabled)
	if m.Hands.Now().Before(until) {
		return j, Next{Why: Kept, At: until}, nil
	}
	if err := m.Hands.Switch(ctx, j, j.New); err != nil { // as above
		return m.failed(ctx, j, err)
	}
	keys, err := m.Hands.ListKeys(ctx, j)
	if err != nil {
		return m.failed(ctx, j, err)
	}
	if m.Hands.Now().Before(until) { // IAM has said how late it is: the clock of this machine was set ahead
		return j, Next{Why: Kept, At: until}, nil
	}
	old, there := find(keys, j.Old)
	switch {
	case there && old.Active:
		return m.stop(ctx, j, &Error{
			Kind: Refused, Code: "key_in_use",
			Hint: "make it Inactive in IAM when nobody needs it, then: broker rotate " + j.Places[0].Profile + " --resume",
			Err:  fmt.Errorf("delete key %s: somebody has made it active again", j.Old),
		})
	case there && j.usedSince(old):
		return m.used(ctx, j, old)
	}
	if tried, next, err := m.remains(ctx, j, j.New); tried != nil {
		return *tried, next, err
	}
	if there {
		if err := m.Hands.DeleteKey(ctx, j, j.Old); err != nil && !errors.Is(err, ErrGone) {
			return m.failed(ctx, j, err)
		}
	}
	return m.end(ctx, j, Deleted, j.oldItems(), nil)
}
