// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"
)

// idleLimit is how long the key of a vault is held without being asked for. It
// is asked for when a session is made, twice a day as a rule: a working day
// does not end it, a night does.
const idleLimit = 8 * time.Hour

// idleCheck is how often the time is looked at: Go's timers stand still while
// the machine is suspended.
const idleCheck = 30 * time.Second

// idle measures how long something has not been used, by a clock that counts
// suspend.
type idle struct {
	limit time.Duration
	boot  func() time.Duration

	mu   sync.Mutex
	used time.Duration // the last use, by boot
}

func newIdle(limit time.Duration, boot func() time.Duration) *idle {
	return &idle{limit: limit, boot: boot, used: boot()}
}

// use reports whether the limit still allows a use, and notes it. Once over,
// it stays over.
func (i *idle) use() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.boot()
	if now-i.used >= i.limit {
		return false
	}
	i.used = now
	return true
}

// wait returns when the limit is reached, or ctx ends.
func (i *idle) wait(ctx context.Context) {
	tick := time.NewTicker(min(idleCheck, i.limit))
	defer tick.Stop()
	for !i.over() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (i *idle) over() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.boot()-i.used >= i.limit
}
