// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"time"

	"credbroker/internal/ipc"
)

// grace is how long conversations may go on after a signal asked for the end.
// Their prompts end at once, so that it is enough for what AWS has begun.
const grace = 2 * time.Second

// graceful lets the conversations that are under way when stopping ends go on
// for a while. All other ends of their contexts reach them at once.
func graceful(stopping context.Context, h ipc.Handler) ipc.Handler {
	return func(ctx context.Context, c *ipc.Conversation) (json.RawMessage, error) {
		if c.Request.Op == ipc.OpHolding { // it would never finish
			return h(ctx, c)
		}
		finished := make(chan struct{})
		defer close(finished)
		over := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(over)
			if stopping.Err() == nil {
				return
			}
			timer := time.NewTimer(grace)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-finished:
			}
		})
		defer stop()
		return h(lasting{ctx, over}, c)
	}
}

// lasting is a context that ends when over is closed, and not before.
type lasting struct {
	context.Context
	over <-chan struct{} // closed after Context has ended
}

// Done implements context.Context.
func (l lasting) Done() <-chan struct{} { return l.over }

// Err implements context.Context.
func (l lasting) Err() error {
	select {
	case <-l.over:
		return l.Context.Err()
	default:
		return nil
	}
}
