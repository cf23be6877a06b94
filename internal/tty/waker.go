// SPDX-License-Identifier: Apache-2.0

//go:build unix

package tty

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// waker ends a wait for a terminal from another goroutine. It is a pipe beside
// poll(2): /dev/tty cannot be registered with every system's event queue, so
// that the deadlines of os.File are not to be relied upon.
type waker struct {
	r, w *os.File
}

func newWaker() (*waker, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &waker{r: r, w: w}, nil
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
		if err != nil {
			return err
		}
		if fds[1].Revents != 0 {
			_, err = k.r.Read(make([]byte, 16))
		}
		return err
	}
}

func (k *waker) close() {
	_ = k.r.Close() // a pipe to ourselves: nothing is lost
	_ = k.w.Close()
}

// waitStopped waits until the function registered with context.AfterFunc will
// not touch wake any more.
func waitStopped(stop func() bool, wake *waker) {
	if !stop() {
		// It has begun. Its only act is one write to the pipe: read that.
		_ = wake.wait(-1)
	}
}
