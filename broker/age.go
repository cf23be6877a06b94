// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"maps"
	"slices"
	"time"

	"credbroker/broker/nag"
	"credbroker/broker/rotation"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// trueNow is the time by AWS's clock, as far as it is known: what IAM says of a
// key is held against that.
func (b *Broker) trueNow() time.Time { return b.opts.Clock.Now().Add(b.clockOffset()) }

// localNow is trueNow as the user's clock shows it.
func (b *Broker) localNow() time.Time {
	if b.opts.Zone == nil {
		return b.trueNow().Local()
	}
	return b.trueNow().In(b.opts.Zone())
}

// born returns since when a key is known to be, and whether IAM said so.
func (s *state) born(r record) (time.Time, bool) {
	if f := s.Facts[r.AccessKeyID]; !f.LearntAt.IsZero() && !f.CreateDate.IsZero() {
		return f.CreateDate, true
	}
	return r.AddedAt, false
}

// youngEnough refuses to make a session with a key that is too old. Rotation
// does not ask: it is the way out.
func (b *Broker) youngEnough(p *plan) error {
	limit := b.files.current().settings.Rotation.RefuseAfter
	if limit == awsconfig.Off {
		return nil
	}
	s, err := b.index.whole()
	if err != nil {
		return err
	}
	at, _ := s.born(p.key)
	if age := b.trueNow().Sub(at); age >= limit {
		return fail(ipc.CodeKeyTooOld, "replace it: broker rotate "+p.owner,
			"key %s of profile %s is %s old, and refuse_after is %s", p.key.AccessKeyID, p.owner, nag.Days(age), nag.Days(limit))
	}
	return nil
}

// policy is what the config says about nagging.
func (v *view) policy() nag.Policy {
	r, n := v.settings.Rotation, v.settings.Nag
	return nag.Policy{WarnBefore: r.WarnBefore, UnusedAfter: max(r.UnusedAfter, 0), Repeat: n.Repeat, Quiet: n.Quiet.Contains}
}

// maxAge is the age at which the key of a profile is due; 0 is never. Nobody is
// refused a session without having been told before, so refuse_after counts too.
func (v *view) maxAge(profile string, keys map[string]record) time.Duration {
	on := awsconfig.ProfileSettings{Profile: profile}
	if v.aws != nil {
		has := func(name string) (string, bool) { return keys[name].AccessKeyID, keys[name].AccessKeyID != "" }
		if route, err := v.aws.Route(profile, has); err == nil && len(route.Path) == 1 {
			on = route.Profile()
		}
	}
	r := v.settings.Rotation
	age := first(own(on, "max_age", v.settings.Profile(profile).MaxAge), inFile(on, "max_age", on.MaxAge),
		general("rotation", "max_age", r.MaxAge)).value
	return strictest(age, r.RefuseAfter)
}

// strictest returns the lower of two ages, of which Off and 0 are none.
func strictest(x, y time.Duration) time.Duration {
	switch {
	case x <= 0:
		return max(y, 0)
	case y <= 0:
		return x
	}
	return min(x, y)
}

// nagKeys returns what is known of each key, by access key ID. One that several
// profiles have is due by the strictest of them.
func (b *Broker) nagKeys(v *view, s *state) map[string]nag.Key {
	all := map[string]nag.Key{}
	for _, profile := range slices.Sorted(maps.Keys(s.Keys)) {
		r := s.Keys[profile]
		if b.notRevoked(profile, r.AccessKeyID) != nil {
			continue // it is out of use already
		}
		f := s.Facts[r.AccessKeyID]
		k, seen := all[r.AccessKeyID]
		if !seen {
			k = nag.Key{AccessKeyID: r.AccessKeyID, UseKnown: !f.LearntAt.IsZero() && f.LastUsedError == nil}
			if f.LastUsed != nil {
				k.LastUsed = *f.LastUsed
			}
			k.Rotating, k.Stuck = b.rotationStands(r.AccessKeyID)
		}
		if at, certain := s.born(r); !seen || at.Before(k.Born) {
			k.Born, k.Certain = at, certain
		}
		k.Profiles = append(k.Profiles, profile)
		k.MaxAge = strictest(k.MaxAge, v.maxAge(profile, s.Keys))
		all[r.AccessKeyID] = k
	}
	return all
}

// rotationStands reports whether a key is being replaced, and whether that waits
// for a person.
func (b *Broker) rotationStands(accessKeyID string) (rotating, stuck bool) {
	rot := b.rotating(accessKeyID)
	if rot == nil {
		return false, false
	}
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	switch rot.next.Why {
	case rotation.Stuck:
		return true, true
	case rotation.Held, rotation.Retrying:
		keep := b.files.current().settings.Rotation.KeepDisabled
		return true, b.trueNow().Sub(rot.journal.Since(keep)) > waitsLong
	}
	return true, false
}

// waitsLong is after which time a rotation that is held, or waits for a code or
// for the vault, counts as one that stands still: its user may have forgotten it.
const waitsLong = 24 * time.Hour

// describeKeys returns the stored keys with all that is known of them, sorted
// by profile.
func (b *Broker) describeKeys(v *view) []ipc.Key {
	list := []ipc.Key{}
	s, err := b.index.whole()
	if err != nil {
		return list
	}
	known, policy, now := b.nagKeys(v, s), v.policy(), b.trueNow()
	for _, key := range keyList(s.Keys) {
		key.KeyFacts = b.describeFacts(s, key.AccessKeyID)
		verdict := policy.Judge(known[key.AccessKeyID], now)
		key.Level = string(verdict.Level)
		if !verdict.Due.IsZero() {
			at := verdict.Due.UTC()
			key.DueAt = &at
		}
		if until := s.Marks[key.AccessKeyID].Snoozed; now.Before(until) {
			until = until.UTC()
			key.SnoozedUntil = &until
		}
		if r, ok := b.revoked.of(key.AccessKeyID); ok { // nobody need be told that it is old
			described := r.describe(b.opts.Clock.Now())
			key.Revoked, key.Level, key.DueAt = &described, "", nil
		}
		list = append(list, key)
	}
	return list
}

// describeFacts returns what IAM told of a key. A key that broker itself is
// about to delete is none of its user's other keys.
func (b *Broker) describeFacts(s *state, accessKeyID string) ipc.KeyFacts {
	f := s.Facts[accessKeyID]
	out := ipc.KeyFacts{FactsError: f.Error}
	if f.LearntAt.IsZero() {
		return out
	}
	out.LearntAt, out.Active = &f.LearntAt, &f.Active
	if !f.CreateDate.IsZero() {
		out.CreateDate = &f.CreateDate
	}
	out.LastUsed, out.LastUsedService, out.LastUsedRegion, out.LastUsedError = f.LastUsed, f.ServiceName, f.Region, f.LastUsedError
	for _, k := range f.Others {
		if b.rotating(k.AccessKeyID) == nil {
			out.Others = append(out.Others, k)
		}
	}
	return out
}
