// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// TestConversationsMayFinish runs a handler that takes as long as it is let.
func TestConversationsMayFinish(t *testing.T) {
	errGone := errors.New("the client is gone")
	tests := []struct {
		name string
		work time.Duration                                     // what the handler needs
		end  func(stop func(), hangUp context.CancelCauseFunc) // after a second
		took time.Duration
		err  error // what the handler sees; nil if it finished
	}{
		{"nothing happens", 3 * time.Second, func(func(), context.CancelCauseFunc) {}, 3 * time.Second, nil},
		{"short work at a stop", 2 * time.Second, func(stop func(), _ context.CancelCauseFunc) { stop() }, 2 * time.Second, nil},
		{"long work at a stop", time.Minute, func(stop func(), _ context.CancelCauseFunc) { stop() }, time.Second + grace, context.Canceled},
		{"the client hangs up", time.Minute, func(_ func(), hangUp context.CancelCauseFunc) { hangUp(errGone) }, time.Second, context.Canceled},
		{"the client's deadline", time.Hour, func(func(), context.CancelCauseFunc) {}, 10 * time.Minute, context.DeadlineExceeded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				serving, stop := context.WithCancel(t.Context())
				defer stop()
				ctx, hangUp := context.WithCancelCause(serving)
				defer hangUp(nil)
				ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
				defer cancel()
				time.AfterFunc(time.Second, func() { test.end(stop, hangUp) })

				begin := time.Now()
				h := graceful(serving, func(ctx context.Context, _ *ipc.Conversation) (json.RawMessage, error) {
					select {
					case <-time.After(test.work):
						return json.RawMessage("{}"), ctx.Err()
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				})
				if _, err := h(ctx, &ipc.Conversation{}); !errors.Is(err, test.err) {
					t.Errorf("the handler ended with %v, want %v", err, test.err)
				}
				if took := time.Since(begin); took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
			})
		})
	}
}
