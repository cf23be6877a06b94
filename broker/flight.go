// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"credbroker/internal/ipc"
)

const (
	// coolDown is how long background callers fail at once after the user
	// cancelled: SDKs ask again and again.
	coolDown = time.Minute
	// The repeats after a code that AWS refused, one that was lost on the way,
	// and one that was never sent.
	maxWrong, maxSpent, maxUnsent = 2, 2, 5
)

// flight gets one session that needs a code. It belongs to the daemon: callers
// wait for it and leave as they like.
type flight struct {
	b     *Broker
	plan  *plan
	since time.Time
	lock  uint64                  // see locks
	end   context.CancelCauseFunc // ends the asking, not a call under way
	timer *time.Timer             // ends it when nobody has come for [mfa] timeout

	codes chan typed    // codes from conversations that have no prompt to answer
	poke  chan struct{} // surfaces changed; holds one token
	done  chan struct{} // closed by fly when entry and err are set

	nobody   chan struct{} // closed by deserted, once there is nothing left that asks by itself
	deserted sync.Once

	entry *entry
	err   error

	// Guarded by Broker.mu.
	life         time.Duration // of the session: the longest that anybody asked for
	waiters      map[*waiter]bool
	surfaces     []*surface
	attempt      int
	reason       string
	asking       string // the surface that asks now
	deadline     time.Time
	commands     int           // times that mfa_command ran
	commandEnd   time.Time     // of its last run; zero before
	inTurn       bool          // it has the device
	dialog       bool          // a window may be tried
	dialogFailed bool          // one was, in vain
	poppedUp     bool          // the last question came up unasked
	later        *time.Timer   // wakes it when it may ask unasked again; or nil
	laterAt      time.Duration // when that is, by the boot clock
}

// waiter is one caller of a flight.
type waiter struct{ profile string }

// typed is a code, and where to say what became of it.
type typed struct {
	code    string
	refused chan error // takes one error if another code is needed; else the flight ends
}

// await joins the flight for p, starting it if there is none, and returns what
// it brings. A background caller waits for helper_wait only.
func (b *Broker) await(ctx context.Context, p *plan, c caller) (*entry, error) {
	if err := b.somebodyToAsk(p, c); err != nil {
		return nil, err
	}
	f, err := b.join(ctx, p, c)
	if err != nil {
		return nil, err
	}
	w := &waiter{p.profile}
	var s *surface
	if c.prompt != nil {
		s = newSurface(c)
	}
	b.attach(f, w, s)
	defer b.leave(f, w, s)
	if c.unattended != "" {
		return f.waitUnattended(ctx, p.profile, b.patience(ctx, c))
	}
	return f.wait(ctx, p.profile, b.patience(ctx, c))
}

// join returns the flight for p. While a cancellation is fresh it refuses
// background callers, which would only make the next prompt.
func (b *Broker) join(ctx context.Context, p *plan, c caller) (*flight, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.openedLocked(); err != nil {
		return nil, wrap(err, "profile %s", p.profile)
	}
	if err := b.servable(p); err != nil {
		return nil, err
	}
	if f := b.flights[p.id]; f != nil {
		f.life = max(f.life, p.duration)
		return f, nil
	}
	if until, ok := b.cooling[p.id]; ok && c.ask != ipc.AskTerminal {
		if b.opts.Clock.Boot() < until {
			return nil, fail(ipc.CodeMFACancelled, answerLater(p),
				"profile %s needs an MFA code, and the prompt was cancelled a moment ago", p.profile)
		}
		delete(b.cooling, p.id)
	}
	return b.launchLocked(ctx, p), nil
}

func (b *Broker) launchLocked(ctx context.Context, p *plan) *flight {
	f := &flight{
		b: b, plan: p, since: b.opts.Clock.Now(), lock: b.locks.of(p.id.accessKeyID), life: p.duration,
		codes: make(chan typed), poke: make(chan struct{}, 1), done: make(chan struct{}), nobody: make(chan struct{}),
		waiters: map[*waiter]bool{},
	}
	b.flights[p.id] = f
	asking, end := context.WithCancelCause(context.WithoutCancel(ctx))
	f.end = end
	timeout := b.files.current().settings.MFA.Timeout
	f.timer = time.AfterFunc(timeout, func() {
		end(fail(ipc.CodeMFATimeout, answerLater(p), "no MFA code for profile %s came within %v", p.profile, timeout))
	})
	f.deadline = f.since.Add(timeout)
	b.tasks.start(ctx, func(ctx context.Context) {
		stop := context.AfterFunc(ctx, func() { end(fail(ipc.CodeDeadline, "", "the daemon ends")) })
		defer stop()
		f.fly(ctx, asking)
	})
	return f
}

// prolongLocked lets the flight wait its full time from now on.
func (f *flight) prolongLocked() {
	timeout := f.b.files.current().settings.MFA.Timeout
	f.deadline = f.b.opts.Clock.Now().Add(timeout)
	f.timer.Reset(timeout)
}

func (b *Broker) attach(f *flight, w *waiter, s *surface) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w != nil {
		f.waiters[w] = true
	}
	if s != nil {
		f.surfaces = append(f.surfaces, s)
	}
	f.prolongLocked()
	f.wake()
}

// leave takes a caller out of the flight. When it returns the caller's
// conversation is no longer used.
func (b *Broker) leave(f *flight, w *waiter, s *surface) {
	b.mu.Lock()
	delete(f.waiters, w)
	f.surfaces = slices.DeleteFunc(f.surfaces, func(have *surface) bool { return have == s })
	b.mu.Unlock()
	if s != nil {
		s.close()
	}
}

// wake makes ask look at the surfaces again.
func (f *flight) wake() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// wait returns the result of the flight, or an error after patience, if that
// is positive. profile is what the caller asked for.
func (f *flight) wait(ctx context.Context, profile string, patience time.Duration) (*entry, error) {
	var enough <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		enough = t.C
	}
	select {
	case <-f.done:
		return f.entry, f.err
	case <-enough:
		return nil, fail(ipc.CodeMFARequired, "give a code in any terminal, then try again: broker mfa", "profile %s needs an MFA code", profile)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// patience returns how long a caller waits for a code: a helper must answer
// before its SDK loses patience, and everybody before their own deadline, in
// time to say why. Zero is as long as the flight.
func (b *Broker) patience(ctx context.Context, c caller) time.Duration {
	var d time.Duration
	if c.ask != ipc.AskTerminal {
		d = max(b.files.current().settings.MFA.HelperWait, time.Millisecond)
	}
	if end, ok := ctx.Deadline(); ok {
		left := end.Sub(b.opts.Clock.Now())
		left = max(left-min(time.Second, left/4), time.Millisecond)
		if d == 0 || left < d {
			d = left
		}
	}
	return d
}

// fly runs the flight to its end and tells everybody. ctx ends with the
// daemon; asking ends when the flight is cancelled.
func (f *flight) fly(ctx, asking context.Context) {
	e, err := f.run(ctx, asking)
	f.timer.Stop()
	b := f.b
	b.mu.Lock()
	id := f.plan.id
	for now, have := range b.flights { // a switch may have moved it, and a lock taken it away
		if have == f {
			id = now
			delete(b.flights, now)
		}
	}
	switch {
	case err == nil:
		delete(b.cooling, id)
	case hasCode(err, ipc.CodeMFACancelled):
		b.cooling[id] = b.opts.Clock.Boot() + coolDown
	}
	f.entry, f.err = e, err
	close(f.done)
	b.mu.Unlock()
	f.end(nil) // frees the context
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "no session", slog.String("access_key_id", f.plan.id.accessKeyID),
			slog.String("serial_number", f.plan.id.serial), slog.Any("error", err))
	}
}

// run waits for the device, makes sure that a code would get through, and asks
// until one does.
func (f *flight) run(ctx, asking context.Context) (*entry, error) {
	d := f.b.device(f.plan.id.serial)
	select {
	case <-d.turn:
	case <-asking.Done():
		return nil, context.Cause(asking)
	}
	defer func() { d.turn <- struct{}{} }()
	f.b.mu.Lock()
	f.inTurn = true
	f.b.mu.Unlock()
	if err := context.Cause(asking); err != nil {
		return nil, err // it ended while it waited
	}
	err := f.b.prepare(asking, f.plan)
	if cause := context.Cause(asking); cause != nil {
		err = cause
	}
	if err != nil {
		return nil, err
	}
	var wrong, spent, unsent int
	for reason := ""; ; {
		t, err := f.ask(asking, reason)
		if err != nil {
			return nil, err
		}
		e, err := f.try(ctx, d, t.code)
		switch {
		case err == nil:
			return e, nil
		case hasCode(err, ipc.CodeMFAUsed), hasCode(err, ipc.CodeUsage):
			unsent++
			reason = ipc.ReasonUsedCode
			if hasCode(err, ipc.CodeUsage) {
				reason = ipc.ReasonWrongCode
			}
		case hasCode(err, ipc.CodeMFAWrong):
			wrong++
			reason = ipc.ReasonWrongCode
		case lostOnTheWay(err):
			spent++
			reason = ipc.ReasonUsedCode
		default:
			return nil, err
		}
		if wrong > maxWrong {
			return nil, fail(ipc.CodeMFAWrong, answerLater(f.plan),
				"AWS refused %d MFA codes for profile %s (device %s)", wrong, f.plan.profile, f.plan.id.serial)
		}
		if spent > maxSpent || unsent > maxUnsent {
			return nil, err
		}
		t.refused <- err
		if err := backOff(asking, spent, err); err != nil {
			return nil, err
		}
	}
}

// lostOnTheWay reports whether a code was sent and nothing is known of it: the
// next code may well work.
func lostOnTheWay(err error) bool {
	return coded(err).Spent && hasCode(err, ipc.CodeAWSThrottled, ipc.CodeAWSUnreachable, ipc.CodeAWSSlow, ipc.CodeAWSUnavailable,
		ipc.CodeAWSGarbage, ipc.CodeAWSFailed, ipc.CodeInternal, ipc.CodeDeadline)
}

// backOff waits a moment after AWS was in trouble.
func backOff(asking context.Context, spent int, err error) error {
	if !lostOnTheWay(err) {
		return nil
	}
	t := time.NewTimer(time.Duration(spent) * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-asking.Done():
		return context.Cause(asking)
	}
}

// try sends a code, unless AWS has seen it.
func (f *flight) try(ctx context.Context, d *device, code string) (*entry, error) {
	if !isCode(code) {
		return nil, fail(ipc.CodeUsage, "", "an MFA code has six digits")
	}
	if !f.b.claim(d, code) {
		return nil, fail(ipc.CodeMFAUsed, "wait for the next one", "this MFA code was used before")
	}
	e, err := f.send(ctx, code)
	if err != nil && !coded(err).Spent && !hasCode(err, ipc.CodeMFAWrong) {
		f.b.release(d, code)
	}
	return e, err
}

// send makes the call. The clock may have been set while the user looked for
// the device: AWS would refuse the signature, and the code with it.
func (f *flight) send(ctx context.Context, code string) (*entry, error) {
	if f.b.clockMoved() {
		if err := f.b.reach(ctx, f.plan); err != nil {
			return nil, err
		}
	}
	e, err := f.b.sessionToken(ctx, f.longest(), code, f.lock)
	if hasCode(err, ipc.CodeMFAWrong) {
		wrong := *coded(err)
		wrong.Hint = "check that the code is of " + f.plan.id.serial + ", and that the phone's clock is right"
		err = &wrong
	}
	return e, err
}
