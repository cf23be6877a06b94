// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// attempts is how often CreateAccessKey is announced in one rotation: a
	// second time when the first one is known to have come to nothing.
	attempts = 2
	// settle is how long after its announcement a CreateAccessKey could still
	// come to light: the worker's deadline of 15 s, and IAM's lists, which lag.
	settle = time.Minute
	// window is within which time of its announcement, by AWS's clock, a key was
	// made if the announcement is where it comes from.
	window = 30 * time.Second
)

// create announces CreateAccessKey and sends it. Whatever fails before it is
// sent leaves nothing behind, so the rotation ends and may be begun anew.
func (m *Machine) create(ctx context.Context, j Journal) (Journal, Next, error) {
	if j.Back {
		return m.undone(ctx, j)
	}
	keys, err := m.Hands.ListKeys(ctx, j)
	if err == nil {
		err = Free(j, keys)
	}
	if err == nil {
		err = m.Hands.Prepare(ctx, j)
	}
	if err != nil {
		return m.abort(ctx, j, err)
	}
	announced := j
	announced.Sent, announced.Attempts, announced.Before = m.now(), j.Attempts+1, nil
	for _, k := range keys {
		announced.Before = append(announced.Before, k.AccessKeyID)
	}
	if announced, err = m.save(ctx, j, announced); err != nil {
		return m.abort(ctx, j, err)
	}
	id, err := m.Hands.CreateKey(ctx, announced)
	switch {
	case id != "":
		return m.created(ctx, announced, id, err)
	case err == nil || kindOf(err) == Unknown:
		return announced, Next{}, err // look
	}
	return m.abort(ctx, announced, err)
}

// created keeps the ID of the new key. An error of what came after it comes
// again when the step for that is done.
func (m *Machine) created(ctx context.Context, j Journal, id string, _ error) (Journal, Next, error) {
	next := j
	next.State, next.New = Created, id
	return m.step(ctx, j, next)
}

// abort ends a rotation that has changed nothing.
func (m *Machine) abort(ctx context.Context, j Journal, err error) (Journal, Next, error) {
	saved, next, eerr := m.end(ctx, j, Aborted, j.newItems(), m.problem(err))
	if eerr == nil {
		return saved, next, err
	}
	// It cannot be closed yet, but it must not begin by itself either.
	unsent := saved
	unsent.Sent, unsent.Back, unsent.Cause, unsent.Problem = nil, true, m.problem(err), nil
	saved, serr := m.save(ctx, saved, unsent)
	return saved, m.later(), errors.Join(err, eerr, serr)
}

// Free reports why the keys of j's user are not in a state to be rotated: the
// old one must be there and active, and the second place free.
func Free(j Journal, keys []Key) error {
	if j.Creating() {
		return j.room(keys)
	}
	old, there := find(keys, j.Old)
	if !there {
		return &Error{
			Kind: Refused, Code: "key_gone", Hint: "store the key that took its place: broker add " + j.Places[0].Profile + " --replace",
			Err: fmt.Errorf("rotate key %s: IAM user %s does not have it any more", j.Old, j.UserName),
		}
	}
	if !old.Active {
		return &Error{
			Kind: Refused, Code: "key_inactive", Hint: "make it active again in IAM, or store another one: broker add " + j.Places[0].Profile + " --replace",
			Err: fmt.Errorf("rotate key %s: it is Inactive", j.Old),
		}
	}
	for _, k := range keys {
		switch {
		case k.AccessKeyID == j.Old:
		case k.Profile != "":
			return &Error{
				Kind: Refused, Code: "key_quota",
				Hint: "IAM allows two keys, so the rotation needs its place: broker remove " + k.Profile + ", and delete it in IAM; after the rotation: broker add " +
					k.Profile + " --create --using " + j.Places[0].Profile,
				Err: fmt.Errorf("rotate key %s: IAM user %s has a second key: %s", j.Old, j.UserName, k.describe()),
			}
		default:
			return &Error{
				Kind: Refused, Code: "key_quota",
				Hint: "find out who uses it; IAM allows two keys, so the rotation needs its place: delete it in IAM if nobody does",
				Err:  fmt.Errorf("rotate key %s: IAM user %s has a second key, which broker did not make: %s", j.Old, j.UserName, k.describe()),
			}
		}
	}
	return nil
}

// describe says of a key what helps to find out whose it is.
func (k Key) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, ", k.AccessKeyID)
	if k.Profile != "" {
		fmt.Fprintf(&b, "that of profile %s, ", k.Profile)
	}
	if !k.Active {
		b.WriteString("Inactive, ")
	}
	fmt.Fprintf(&b, "made %s, ", k.CreateDate.UTC().Format(time.DateOnly))
	b.WriteString(k.use())
	return b.String()
}

func (k Key) use() string {
	if k.LastUsed == nil {
		return "never used"
	}
	text := "last used " + k.LastUsed.UTC().Format(time.RFC3339)
	if k.ServiceName != "" {
		text += " for " + k.ServiceName
	}
	if k.Region != "" {
		text += " in " + k.Region
	}
	return text
}

// look finds out what became of a CreateAccessKey without an answer. If its
// secret was sealed, nothing is lost. Else a key that it made is of no use to
// anybody, and in the way of the next one: it is deleted.
func (m *Machine) look(ctx context.Context, j Journal) (Journal, Next, error) {
	id, err := m.Hands.Sealed(ctx, j)
	if err != nil {
		return m.failed(ctx, j, err)
	}
	if id != "" {
		return m.created(ctx, j, id, nil)
	}
	keys, err := m.Hands.ListKeys(ctx, j)
	if err != nil {
		return m.failed(ctx, j, err)
	}
	strangers := slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return slices.Contains(j.Before, k.AccessKeyID) })
	switch {
	case len(strangers) == 0 && m.Hands.Now().Before(j.Sent.Add(settle)):
		return j, Next{Why: Settling, At: j.Sent.Add(settle)}, nil
	case len(strangers) == 0:
		return m.nothingMade(ctx, j)
	case len(strangers) > 1 || !m.ours(j, keys, strangers[0]):
		return m.stop(ctx, j, &Error{
			Kind: Refused, Code: "key_unexplained",
			Hint: "find out whose it is; delete it in IAM if nobody uses it, then: " + j.ResumeCommand(),
			Err: fmt.Errorf("%s: the answer of IAM was lost, and user %s has a key that may be somebody else's: %s",
				j.What(), j.UserName, strangers[0].describe()),
		})
	}
	lost := strangers[0].AccessKeyID
	if !slices.ContainsFunc(j.Spoilt, func(p Place) bool { return p.Key == lost }) {
		return m.giveUp(ctx, j, lost)
	}
	if err := m.Hands.DeleteKey(ctx, j, lost); err != nil && !errors.Is(err, ErrGone) {
		return m.failed(ctx, j, err)
	}
	return m.nothingMade(ctx, j)
}

// giveUp writes down which key is about to be deleted because nobody knows its
// secret. The vault may have got it, though the file did not: a disk was full.
// Once IAM has forgotten the key nobody could tell whose it is, and such an item
// is neither written over nor deleted.
func (m *Machine) giveUp(ctx context.Context, j Journal, accessKeyID string) (Journal, Next, error) {
	next := j
	next.Places, next.Spoilt = m.renamed(j, accessKeyID)
	return m.step(ctx, j, next)
}

// Announced reports whether a key that IAM made at that time may be the one that
// j has asked for, and has no answer about.
func (j Journal) Announced(made time.Time) bool {
	if !j.Open() {
		return false
	}
	after := made.Sub(*j.Sent)
	return after > -window && after < window
}

// Made returns those of a user's keys that the announcement of j may have made.
func (j Journal) Made(keys []Key) (accessKeyIDs []string) {
	for _, k := range keys {
		if !slices.Contains(j.Before, k.AccessKeyID) && j.Announced(k.CreateDate) {
			accessKeyIDs = append(accessKeyIDs, k.AccessKeyID)
		}
	}
	return accessKeyIDs
}

// Open reports whether j has asked for a key that nobody can name.
func (j Journal) Open() bool { return j.Sent != nil && j.New == "" }

// Settled reports whether a key that was asked for would have come to light by now,
// which is AWS's time.
func (j Journal) Settled(now time.Time) bool {
	return j.Sent == nil || !now.Before(j.Sent.Add(settle))
}

// ours reports whether a key without a secret is the one that was announced: it
// was made then, nobody has used it, and the rest is as it was.
func (m *Machine) ours(j Journal, keys []Key, k Key) bool {
	old, there := find(keys, j.Old)
	return (j.Creating() || there && old.Active) && k.LastUsed == nil && k.Profile == "" && j.Announced(k.CreateDate)
}

// nothingMade goes back to before the announcement.
func (m *Machine) nothingMade(ctx context.Context, j Journal) (Journal, Next, error) {
	switch {
	case j.Back:
		return m.undone(ctx, j)
	case j.Attempts >= attempts:
		return m.end(ctx, j, Aborted, j.newItems(), m.problem(&Error{
			Kind: Refused, Code: "aws_unreachable", Hint: "nothing has changed; try again: " + j.again(),
			Err: fmt.Errorf("%s: IAM was asked for a new key %d times, and no answer came", j.What(), j.Attempts),
		}))
	}
	next := j
	next.Sent, next.Before = nil, nil
	return m.step(ctx, j, next)
}
