// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// ended is the cause of a context that a signal has ended.
type ended struct{ signal syscall.Signal }

func (e ended) Error() string { return fmt.Sprintf("ended by signal %d", int(e.signal)) }

// Is has it taken for what it is to whoever returns the cause of a context.
func (ended) Is(err error) bool { return err == context.Canceled }

// UntilSignal returns a context that ends with the first signal that asks this
// program to. The second one ends the program at once: it may be where no context is
// looked at, as when a pipe is opened that nobody writes into. What the caller had it
// ignore, as nohup does with SIGHUP, goes on being ignored, here and in what exec starts.
func UntilSignal(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	heard := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(heard, s)
		}
	}
	go func() {
		select {
		case s := <-heard:
			signal.Stop(heard)
			number, _ := s.(syscall.Signal) // always one
			cancel(ended{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(heard)
		cancel(nil)
	}
}

// StatusUntil is the exit status of a program whose status would be the given one:
// 128 and the number of the signal, if one has interrupted it.
func StatusUntil(ctx context.Context, status int) int {
	if by, ok := context.Cause(ctx).(ended); ok && status == ExitInterrupted { //nolint:errorlint // it is ours, as it is
		return 128 + int(by.signal)
	}
	return status
}
