// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"credbroker/broker/nag"
	"credbroker/internal/ipc"
)

const (
	// factsLife is how long what IAM told of a key is good for.
	factsLife = 24 * time.Hour
	// factsRetry is how long after a failure that may pass IAM is asked again,
	// and factsLife after one that will not: a permission that is not there.
	factsRetry = time.Hour
	// factsDelay lets whoever waited for a session use it first.
	factsDelay = 3 * time.Second
	// factsKept is how long the facts of a key outlive it in the index: as long
	// as a rotation can be taken back.
	factsKept = 31 * 24 * time.Hour
)

// facts is what IAM told of one key, and when. The zero value is nothing.
type facts struct {
	ipc.KeyState

	Others   []ipc.KeyState `json:"others,omitempty"` // the user's other keys
	LearntAt time.Time      `json:"learntAt,omitzero"`
	TriedAt  time.Time      `json:"triedAt,omitzero"` // the last time, whatever came of it
	Error    *ipc.Error     `json:"error,omitempty"`  // of that time
}

// factsState is what only matters while the daemon runs.
type factsState struct {
	learning sync.Mutex // held while IAM is asked

	mu    sync.Mutex
	soon  bool            // learnSoon has a task under way
	stale map[string]bool // keys that have changed at IAM since: by access key ID
}

// due reports whether IAM is to be asked about a key.
func (f facts) due(now time.Time) bool {
	pause := factsLife
	if f.Error != nil && !denied(f.Error) && f.Error.Code != ipc.CodeKeyGone {
		pause = factsRetry
	}
	since := now.Sub(f.TriedAt)
	return f.TriedAt.IsZero() || since >= pause || since < -factsRetry // the clock was ahead
}

// learnSoon learns, a moment from now, what a new session lets us learn.
func (b *Broker) learnSoon(ctx context.Context) {
	b.facts.mu.Lock()
	defer b.facts.mu.Unlock()
	if b.facts.soon {
		return
	}
	b.facts.soon = true
	b.tasks.start(ctx, func(ctx context.Context) {
		timer := time.NewTimer(factsDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		b.facts.mu.Lock()
		b.facts.soon = false
		b.facts.mu.Unlock()
		b.learnFacts(ctx)
	})
}

// outdate has IAM asked about a key before its facts are old.
func (b *Broker) outdate(accessKeyID string) {
	b.facts.mu.Lock()
	defer b.facts.mu.Unlock()
	if b.facts.stale == nil {
		b.facts.stale = map[string]bool{}
	}
	b.facts.stale[accessKeyID] = true
}

// isStale reports whether outdate was called for a key since it was last learnt.
func (f *factsState) isStale(accessKeyID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stale[accessKeyID]
}

func (f *factsState) fresh(accessKeyID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.stale, accessKeyID)
}

// learnFacts asks IAM about the keys whose facts are old, where that bothers
// nobody: with a session that is there, or with the key of a user without MFA.
func (b *Broker) learnFacts(ctx context.Context) {
	if !b.facts.learning.TryLock() {
		return
	}
	defer b.facts.learning.Unlock()
	pl, err := b.planner()
	if err != nil {
		return
	}
	all, err := b.index.whole()
	if err != nil {
		return
	}
	now := b.trueNow()
	asked := map[string]bool{}
	for _, profile := range slices.Sorted(maps.Keys(pl.keys)) {
		id := pl.keys[profile].AccessKeyID
		if asked[id] || pl.keys[profile].UserName == "" || !all.Facts[id].due(now) && !b.facts.isStale(id) {
			continue
		}
		// A question that the old key of a rotation signs would look like a use
		// by somebody else.
		if b.rotating(id) != nil && pl.keys[profile].SerialNumber == "" {
			continue
		}
		p, err := pl.ofKey(profile)
		if err != nil {
			continue
		}
		params, ok := b.quietSigner(p)
		if !ok {
			continue
		}
		asked[id] = true
		b.learnKey(ctx, p, params)
		if ctx.Err() != nil {
			return
		}
	}
}

// quietSigner returns what a call of IAM is signed with if nobody has to be
// asked for anything, and reports whether that is so.
func (b *Broker) quietSigner(p *plan) (ipc.IAMParams, bool) {
	if b.servable(p) != nil {
		return ipc.IAMParams{}, false
	}
	params := ipc.IAMParams{ItemParams: b.item(p), UserName: p.key.UserName}
	params.Store.Silent = true
	if p.id.serial == "" {
		return params, b.opened() == nil
	}
	b.mu.Lock()
	e := b.sessions[p.id]
	b.mu.Unlock()
	if !e.valid(b.opts.Clock) || e.left(b.opts.Clock) < leastSession {
		return params, false
	}
	document, err := e.creds.Encode()
	params.Session = document
	return params, err == nil
}

// learnKey asks IAM about one key, and keeps what it says.
func (b *Broker) learnKey(ctx context.Context, p *plan, params ipc.IAMParams) {
	id := p.key.AccessKeyID
	states, err := b.opts.Worker.ListKeys(ctx, params)
	if ctx.Err() != nil {
		return
	}
	if hasCode(err, ipc.CodeAWSExpired) {
		b.mu.Lock()
		delete(b.sessions, p.id)
		b.mu.Unlock()
	}
	now := b.trueNow().UTC()
	if err == nil && !slices.ContainsFunc(states.Keys, func(k ipc.KeyState) bool { return k.AccessKeyID == id }) {
		err = fail(ipc.CodeKeyGone, "", "IAM user %s has no key %s any more", p.key.UserName, id)
	}
	b.facts.fresh(id)
	made := b.lastMade(p.id)
	uerr := b.index.update(func(s *state) error {
		before := s.Facts[id]
		f := before
		f.TriedAt, f.Error = now, nil
		if err != nil {
			f.Error = coded(err)
		} else {
			f = factsOf(id, states, now).usedSince(before, len(params.Session) == 0)
			if f.LastUsedError == nil && made.After(f.lastUse()) {
				f.LastUsed, f.ServiceName, f.Region = &made, "sts", p.aws.Region
			}
		}
		s.setFacts(id, f, now)
		return nil
	})
	if err == nil {
		err = uerr
	}
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "age and use of a key not learnt", slog.String("access_key_id", id), slog.Any("error", err))
	}
}

// factsOf picks one key from what IAM says of its user.
func factsOf(accessKeyID string, states ipc.KeyStates, now time.Time) facts {
	f := facts{LearntAt: now, TriedAt: now}
	for _, k := range states.Keys {
		if k.AccessKeyID == accessKeyID {
			f.KeyState = k
		} else {
			f.Others = append(f.Others, k)
		}
	}
	return f
}

// lastUse is zero for never, or when it is not known.
func (f facts) lastUse() time.Time {
	if f.LastUsed == nil {
		return time.Time{}
	}
	return *f.LastUsed
}

// ownCall is how far from our own question about a key IAM may put the use that
// the question was.
const ownCall = time.Hour

// usedSince keeps the last use that was known, where IAM knows less: it is hours
// late, and a question that the key itself signed is no use of anybody's. Else
// a key that nobody uses would be used each day.
func (f facts) usedSince(before facts, signedItself bool) facts {
	if f.LastUsedError != nil || before.LearntAt.IsZero() || before.LastUsedError != nil {
		return f
	}
	ours := signedItself && f.ServiceName == "iam" &&
		(f.lastUse().Sub(before.TriedAt).Abs() < ownCall || f.TriedAt.Sub(f.lastUse()) < ownCall)
	if ours || before.lastUse().After(f.lastUse()) {
		f.LastUsed, f.ServiceName, f.Region = before.LastUsed, before.ServiceName, before.Region
	}
	return f
}

// lastMade is when the session of a key that is cached was made: IAM tells of
// that use hours later. Zero: there is none.
func (b *Broker) lastMade(id sessionID) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.sessions[id]
	if e == nil {
		return time.Time{}
	}
	return e.wall.Add(b.clockOffset() - e.lifetime).UTC().Truncate(time.Second)
}

// setFacts keeps facts, and forgets those of keys that left the index long ago.
func (s *state) setFacts(accessKeyID string, f facts, now time.Time) {
	owned := map[string]bool{}
	for _, r := range s.Keys {
		owned[r.AccessKeyID] = true
	}
	if s.Facts == nil {
		s.Facts = map[string]facts{}
	}
	maps.DeleteFunc(s.Facts, func(id string, f facts) bool { return !owned[id] && now.Sub(f.TriedAt) > factsKept })
	maps.DeleteFunc(s.Marks, func(id string, _ nag.Mark) bool { return !owned[id] && s.Facts[id].TriedAt.IsZero() })
	s.Facts[accessKeyID] = f
}

// switchFacts notes that one key has taken the place of another. That it was
// made just now needs no IAM to tell; one that comes back has facts of before,
// and the one that it takes its place back from is about to be deleted.
func (s *state) switchFacts(from, to string, back bool, now time.Time) {
	f, known := s.Facts[to]
	if !known {
		f = facts{KeyState: ipc.KeyState{AccessKeyID: to, Active: true, CreateDate: now}, LearntAt: now, TriedAt: now}
	}
	if back {
		f.Others = slices.DeleteFunc(slices.Clone(f.Others), func(k ipc.KeyState) bool { return k.AccessKeyID == from })
	} else if was, ok := s.Facts[from]; ok && !was.LearntAt.IsZero() {
		f.Others = []ipc.KeyState{was.KeyState}
	}
	s.setFacts(to, f, now)
}
