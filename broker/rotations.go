// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// rotations are the rotations that have not ended. The zero value has none. It
// has a lock of its own, which is never held while something is waited for.
type rotations struct {
	mu     sync.Mutex
	all    map[string]*rotator // by ID
	broken []error             // journals that cannot be read
	going  map[string]bool     // access key IDs: see hands.takeOut
}

// rotator carries one rotation out. It belongs to the daemon: whoever began it
// may leave.
type rotator struct {
	b  *Broker
	id string

	poke chan struct{} // something has changed that run waits for; holds one token
	turn chan struct{} // holds one token while a step is under way

	// Guarded by rotations.mu.
	journal rotation.Journal
	next    rotation.Next
	err     error         // of the last step
	order   *order        // what the user wants next; nil: nothing
	askers  []*caller     // who can give a code, the latest last
	changed chan struct{} // closed when any of the above changes

	abandoned bool // its key was revoked, and then replaced or removed
}

// startRotator runs a rotation whose journal is on the disk. asker can give a
// code; nil: nobody can.
func (b *Broker) startRotator(ctx context.Context, j rotation.Journal, asker *caller) *rotator {
	r := &rotator{b: b, id: j.ID, journal: j, poke: make(chan struct{}, 1), turn: make(chan struct{}, 1), changed: make(chan struct{})}
	b.rotations.mu.Lock()
	if b.rotations.all == nil {
		b.rotations.all = map[string]*rotator{}
	}
	if asker != nil {
		r.askers = []*caller{asker}
	}
	b.rotations.all[j.ID] = r
	b.rotations.mu.Unlock()
	b.tasks.start(ctx, r.run)
	return r
}

// rotating returns the rotation of a key, old or new, or nil.
func (b *Broker) rotating(accessKeyID string) *rotator {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		if accessKeyID != "" && (r.journal.Old == accessKeyID || r.journal.New == accessKeyID) {
			return r
		}
	}
	return nil
}

// describeRotations returns what status shows, the oldest first.
func (b *Broker) describeRotations() []ipc.Rotation {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	list := []ipc.Rotation{}
	for _, r := range b.rotations.all {
		list = append(list, r.describeLocked())
	}
	slices.SortFunc(list, func(x, y ipc.Rotation) int {
		return cmp.Or(x.PlannedAt.Compare(y.PlannedAt), cmp.Compare(x.Old, y.Old))
	})
	return list
}

// onTheWay reports whether a rotation takes its next step within minutes, or
// somebody watches one. Those that wait for a person or the calendar are as well
// in the hands of the next daemon.
func (b *Broker) onTheWay() bool {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		switch r.next.Why {
		case rotation.Nothing, rotation.Propagation, rotation.Settling:
			return true
		}
		if len(r.askers) > 0 {
			return true
		}
	}
	return false
}

func (r *rotator) describeLocked() ipc.Rotation {
	j := r.journal
	out := ipc.Rotation{
		Profiles: j.Profiles(), UserName: j.UserName, State: string(j.State), Old: j.Old, New: j.New,
		Back: j.Back, Hold: j.Hold, Waiting: string(r.next.Why), PlannedAt: j.PlannedAt,
	}
	out.Step, out.Steps = j.Steps()
	if !r.next.At.IsZero() {
		at := r.next.At.UTC()
		out.Until = &at
	}
	switch p := j.Problem; {
	case p != nil:
		out.Problem = &ipc.Error{Code: ipc.Code(p.Code), Message: p.Message, Hint: p.Hint}
	case r.err != nil:
		out.Problem = coded(r.err)
	}
	return out
}

// machine returns the state machine with the settings of now.
func (b *Broker) machine(r *rotator) *rotation.Machine {
	s := b.files.current().settings
	verify := s.Rotation.VerifyFor
	// What AWS needs cannot be shortened; a pretend one on this machine can.
	if !onLoopback(firstOf(s.AWS.IAMEndpointURL, s.AWS.EndpointURL)) {
		verify = max(verify, leastVerify)
	}
	return &rotation.Machine{Hands: hands{b, r}, VerifyFor: verify, KeepDisabled: s.Rotation.KeepDisabled, NewItem: newItem}
}

// leastVerify is how long a key of AWS itself must work: see rotation.Machine.
const leastVerify = 10 * time.Second

// run advances until the rotation or the daemon ends.
func (r *rotator) run(ctx context.Context) {
	failures := 0
	r.learnTime(ctx)
	for ctx.Err() == nil {
		r.obey(ctx)
		r.turn <- struct{}{}
		if next, why := r.revoked(ctx); next.Why != rotation.Nothing {
			r.publish(r.state(), next, why)
			<-r.turn
			if next.Why == rotation.Done {
				return
			}
			r.wait(ctx, next)
			continue
		}
		j, next, err := r.b.machine(r).Advance(ctx, r.state())
		if errors.Is(err, rotation.ErrUnsaved) {
			if again, rerr := r.b.readJournal(r.id); rerr == nil {
				j = again // it may be on the disk all the same
			}
		}
		if err != nil {
			failures++
			r.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "rotation is held up", slog.String("access_key_id", j.Old),
				slog.String("state", string(j.State)), slog.Any("error", err))
		} else {
			failures = 0
		}
		if next.Why == rotation.Retrying {
			next.At = hands{r.b, r}.Now().Add(retryPause(failures))
		}
		if next.Why == rotation.Done {
			r.b.removeJournal(ctx, r.id)
			r.b.outdate(j.Old)
			r.b.outdate(j.New)
		}
		r.publish(j, next, err)
		<-r.turn
		if next.Why == rotation.Done {
			return
		}
		r.wait(ctx, next)
	}
}

// learnTime asks AWS what time it is: a journal that an earlier daemon has
// left is by that clock. Whoever is out of reach now says so with the next step.
func (r *rotator) learnTime(ctx context.Context) {
	h := hands{r.b, r}
	p, err := h.plan(r.state())
	if err == nil {
		err = r.b.reach(ctx, p)
	}
	if err != nil {
		r.b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "a rotation does not know AWS's clock", slog.Any("error", err))
	}
}

// retryPause grows from the patience of a user who watches to that of a laptop
// in a bag.
func retryPause(failures int) time.Duration {
	return min(time.Second<<min(failures, 10), 5*time.Minute)
}

// wait returns when the next step is due by AWS's clock, as everything in a
// journal is, or something has changed. The clock is looked at each minute:
// timers stand still while the machine sleeps. When somebody has set it, AWS is
// asked anew, and what is due is looked at again.
func (r *rotator) wait(ctx context.Context, next rotation.Next) {
	if next.Why == rotation.Nothing {
		return
	}
	for {
		pause := time.Minute
		if !next.At.IsZero() {
			left := next.At.Sub(hands{r.b, r}.Now())
			if left <= 0 {
				return
			}
			pause = min(pause, left)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			if r.b.clockMoved() {
				r.learnTime(ctx)
				return
			}
		case <-r.poke:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// wake makes wait return.
func (r *rotator) wake() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// wakeRotations has every rotation look whether it can go on: one of them may
// wait for the session that there is now.
func (b *Broker) wakeRotations() {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		if r.next.Why == rotation.Retrying {
			r.wake()
		}
	}
}

func (r *rotator) state() rotation.Journal {
	r.b.rotations.mu.Lock()
	defer r.b.rotations.mu.Unlock()
	return r.journal
}

// publish tells everybody who watches. One that has ended is known to nobody
// else from then on.
func (r *rotator) publish(j rotation.Journal, next rotation.Next, err error) {
	r.b.rotations.mu.Lock()
	defer r.b.rotations.mu.Unlock()
	r.journal, r.next, r.err = j, next, err
	close(r.changed)
	r.changed = make(chan struct{})
	if next.Why != rotation.Done {
		return
	}
	delete(r.b.rotations.all, r.id)
	if r.order != nil { // it came too late
		r.order.done <- r.over()
		r.order = nil
	}
}

// newRotation plans the rotation of a key for all profiles that have it.
func (b *Broker) newRotation(ctx context.Context, key record, hold bool, asker *caller) (*rotator, error) {
	keys, err := b.keys()
	if err != nil {
		return nil, err
	}
	var places []rotation.Place
	for profile, k := range keys {
		if k.AccessKeyID == key.AccessKeyID {
			places = append(places, rotation.Place{Profile: profile, OldItem: k.Item, NewItem: newItem()})
		}
	}
	slices.SortFunc(places, func(x, y rotation.Place) int { return cmp.Compare(x.Profile, y.Profile) })
	subject := rotation.Subject{UserName: key.UserName, AccountID: key.AccountID, ARN: key.ARN, AccessKeyID: key.AccessKeyID}
	id := randomID()
	j, err := rotation.Plan(id, subject, newItem(), places, hold, b.opts.Clock.Now())
	if err != nil {
		return nil, err
	}
	if err := b.notRevoked(j.Places[0].Profile, key.AccessKeyID); err != nil {
		return nil, err
	}
	return b.begin(ctx, j, asker, hands{b, nil}.Save)
}

func newItem() string { return "broker.v1." + randomID() }

func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: package rand ends the program instead
	return hex.EncodeToString(id[:])
}
