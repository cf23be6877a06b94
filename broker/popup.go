// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"slices"
	"time"
)

// A question that comes up before somebody who does something else is a
// disturbance, and a storm of them trains people to type codes without reading.
// So of the surfaces that nobody turned to, one asks at a time, whatever the
// number of devices, and new questions come at most three times a minute.
// Whoever cannot be asked now waits, for the next free moment or for broker mfa.
//
// The terminal of a command that its user has just started is asked whenever it
// likes. So is mfa_command, which need not be seen by anybody: it may run three
// times a minute for each device, which has no more codes than that to give.
const (
	maxPopUps    = 3
	popUpsWithin = time.Minute
)

// popsUp reports whether a surface asks a user who did not turn to broker.
func popsUp(surface string) bool { return surface == surfaceTTY || surface == surfaceDialog }

// storm is the memory of what came up lately: times of the boot clock.
type storm []time.Duration

// allows returns 0 if another one may come now, else how long it has to wait.
func (s *storm) allows(now time.Duration) time.Duration {
	*s = slices.DeleteFunc(*s, func(at time.Duration) bool { return now-at >= popUpsWithin })
	if len(*s) < maxPopUps {
		return 0
	}
	return (*s)[0] + popUpsWithin - now
}

// mayLocked reports whether the flight may ask on the named surface now. If it
// has to wait for that it is woken in time.
func (f *flight) mayLocked(name string) bool {
	b := f.b
	now := b.opts.Clock.Boot()
	var wait time.Duration
	switch {
	case name == surfaceCommand:
		wait = b.devices[f.plan.id.serial].runs.allows(now)
	case !popsUp(name), b.asksUnasked == f:
		return true
	case b.asksUnasked != nil:
		return false // its end wakes us
	case f.reason == "" || !f.poppedUp: // else its user is there and typed just now
		wait = b.popUps.allows(now)
	}
	if wait == 0 {
		return true
	}
	// Other surfaces may have to wait, too: the first that need not any more counts.
	if at := now + wait; f.later == nil || at < f.laterAt || f.laterAt <= now {
		if f.later != nil {
			f.later.Stop()
		}
		f.later, f.laterAt = time.AfterFunc(wait, f.wake), at
	}
	return false
}

// beginLocked notes that a question comes up on the named surface. The function
// that it returns ends that.
func (f *flight) beginLocked(name string) (end func()) {
	b := f.b
	now := b.opts.Clock.Boot()
	switch {
	case name == surfaceCommand:
		d := b.devices[f.plan.id.serial]
		d.runs = append(d.runs, now)
	case popsUp(name):
		if f.reason == "" || !f.poppedUp {
			b.popUps = append(b.popUps, now)
		}
		b.asksUnasked, f.poppedUp = f, true
		return func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asksUnasked = nil
			for _, other := range b.flights {
				other.wake()
			}
		}
	}
	f.poppedUp = false
	return func() {}
}
