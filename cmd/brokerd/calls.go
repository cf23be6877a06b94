// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"credbroker/internal/ipc"
)

// calls bounds the workers and the calls to AWS that are under way: fifty
// profiles that wake at once must not use up the file descriptors of the
// daemon, nor the machine.
type calls chan struct{}

func newCalls() calls { return make(calls, ipc.Calls()) }

// begin waits for its turn. Nothing was started when it fails.
func (c calls) begin(ctx context.Context) (end func(), err error) {
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, &ipc.Error{
			Code: ipc.CodeDeadline, Message: "the calls before this one did not end in time",
			Hint: "AWS or the keychain is slow: try again",
		}
	}
}
