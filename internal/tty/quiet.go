// SPDX-License-Identifier: Apache-2.0

//go:build unix

package tty

import (
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// quiet holds a terminal whose echo is off, and gives it back on a signal.
type quiet struct {
	tty     *TTY
	before  unix.Termios
	signals chan os.Signal
	done    chan struct{} // closed when the signal goroutine has ended
	ended   atomic.Bool
}

// echoOff turns the echo off. A signal that would end the program is held back
// until restore, and wakes wake; after Ctrl-Z and fg the echo is turned off
// once more, since the shell turns it on, and prompt is shown again.
func (t *TTY) echoOff(prompt string, wake *waker) (*quiet, error) {
	before, err := getMode(t.fd)
	if err != nil {
		return nil, fmt.Errorf("read the terminal's mode: %w", err)
	}
	q := &quiet{tty: t, before: *before, signals: make(chan os.Signal, 8), done: make(chan struct{})}
	signal.Notify(q.signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGCONT)
	if err := q.apply(); err != nil {
		signal.Stop(q.signals)
		return nil, err
	}
	go q.watch(prompt, wake)
	return q, nil
}

func (q *quiet) apply() error {
	mode := q.before
	mode.Lflag &^= unix.ECHO
	mode.Lflag |= unix.ICANON | unix.ISIG
	if err := setMode(q.tty.fd, &mode); err != nil {
		return fmt.Errorf("turn the terminal's echo off: %w", err)
	}
	return nil
}

func (q *quiet) watch(prompt string, wake *waker) {
	defer close(q.done)
	for s := range q.signals {
		if s != unix.SIGCONT {
			q.ended.Store(true)
			wake.wake()
			continue
		}
		if !q.tty.foreground() {
			wake.wake() // continued in the background: the reader says so
			continue
		}
		if err := q.apply(); err != nil {
			q.ended.Store(true) // rather no answer than one that is echoed
			wake.wake()
			continue
		}
		_ = q.tty.writePrompt(prompt) // the question is still there, only not repeated
	}
}

func (q *quiet) interrupted() bool { return q.ended.Load() }

// restore gives the terminal back as it was. It must be called once.
func (q *quiet) restore() error {
	signal.Stop(q.signals) // no sends after this
	close(q.signals)
	<-q.done
	if !q.tty.foreground() {
		return nil // tcsetattr from the background would stop us; the shell has its own mode
	}
	if err := setMode(q.tty.fd, &q.before); err != nil {
		return fmt.Errorf("turn the terminal's echo on: %w", err)
	}
	return nil
}
