// SPDX-License-Identifier: Apache-2.0

//go:build unix

package tty

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// waker ends a wait for a terminal from another goroutine. It is a pipe beside
// poll(2): /dev/tty cannot be registered with every system's event queue, so
// that the deadlines of os.File are not to be relied upon.
type waker struct {
	r, w *os.File
	stop func() bool   // takes back the wake that the context's end brings
	done chan struct{} // closed when that wake has happened
}

// newWaker returns a waker that wakes once when ctx ends.
func newWaker(ctx context.Context) (*waker, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	k := &waker{r: r, w: w, done: make(chan struct{})}
	k.stop = context.AfterFunc(ctx, func() {
		defer close(k.done)
		k.wake()
	})
	return k, nil
}

// wake ends the present wait, or the next one.
func (k *waker) wake() { _, _ = k.w.Write([]byte{0}) } // a few bytes in its whole life: never full

// wait returns when fd can be read, or wake was called since the last wait.
func (k *waker) wait(fd int) error {
	fds := []unix.PollFd{
		{Fd: int32(fd), Events: unix.POLLIN},
		{Fd: int32(k.r.Fd()), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && fds[1].Revents != 0 {
			_, err = k.r.Read(make([]byte, 16))
		}
		return err
	}
}

// close frees the pipe. Nobody else may call wake any more.
func (k *waker) close() {
	if !k.stop() {
		<-k.done
	}
	_ = k.r.Close() // a pipe to ourselves: nothing is lost
	_ = k.w.Close()
}
