// SPDX-License-Identifier: Apache-2.0

//go:build unix

package tty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

// TTY is an open terminal. Its methods may be used by one goroutine at a time,
// but for Close.
type TTY struct {
	file *os.File
	fd   int // of file, taken before os.File had a chance to make it block
}

// Open opens the controlling terminal of the process. It fails if there is
// none: under cron, in a service, after setsid.
func Open() (*TTY, error) {
	// O_NONBLOCK holds for this open file only: it does not change the
	// terminal for the shell. See readLine for what it is good for.
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the terminal: %w", err)
	}
	return &TTY{file: os.NewFile(uintptr(fd), "/dev/tty"), fd: fd}, nil
}

// Close closes the terminal. It must not be called during a read.
func (t *TTY) Close() error { return t.file.Close() }

// Write writes to the terminal.
func (t *TTY) Write(p []byte) (int, error) { return t.file.Write(p) }

// Usable reports whether a question may be put: the terminal is in canonical
// mode, so no editor or pager is using it, and the process group is in its
// foreground, so what is typed is meant for us.
func (t *TTY) Usable() bool {
	mode, err := getMode(t.fd)
	return err == nil && mode.Lflag&unix.ICANON != 0 && t.foreground()
}

// ReadLine writes prompt and returns the line that the user types, with echo
// and without its end. When ctx ends it returns the cause. It returns io.EOF
// for Ctrl-D on an empty line, and ErrBackground if the terminal's foreground
// moves on to another program.
func (t *TTY) ReadLine(ctx context.Context, prompt string) (string, error) {
	if !t.foreground() {
		return "", ErrBackground
	}
	wake, err := newWaker(ctx)
	if err != nil {
		return "", err
	}
	defer wake.close()
	if err := t.writePrompt(prompt); err != nil {
		return "", err
	}
	line, err := t.readLine(func() error { return context.Cause(ctx) }, wake)
	if err != nil {
		// The cursor stands behind the question: what comes next begins a line.
		_, _ = io.WriteString(t.file, "\n") // the read's error is the one to report
	}
	return line, err
}

// ReadSecret is ReadLine without echo. It also returns ErrInterrupted when
// SIGINT, SIGTERM, SIGHUP or SIGQUIT arrives, after the echo is back.
func (t *TTY) ReadSecret(ctx context.Context, prompt string) (secret.String, error) {
	if !t.foreground() {
		return secret.String{}, ErrBackground
	}
	wake, err := newWaker(ctx)
	if err != nil {
		return secret.String{}, err
	}
	defer wake.close()
	quiet, err := t.echoOff(prompt, wake)
	if err != nil {
		return secret.String{}, err
	}
	if err := t.writePrompt(prompt); err != nil {
		return secret.String{}, errors.Join(err, quiet.restore())
	}
	line, err := t.readLine(func() error {
		if quiet.interrupted() {
			return ErrInterrupted
		}
		return context.Cause(ctx)
	}, wake)
	if rerr := quiet.restore(); rerr != nil && err == nil {
		err = rerr
	}
	_, _ = io.WriteString(t.file, "\n") // the user's own newline was not echoed
	return secret.New(line), err
}

// readLine returns one line. ended is asked each time that wake fires.
func (t *TTY) readLine(ended func() error, wake *waker) (string, error) {
	buf := make([]byte, maxLine)
	defer clear(buf)
	for {
		if err := ended(); err != nil {
			return "", err
		}
		if err := wake.wait(t.fd); err != nil {
			return "", fmt.Errorf("read the terminal: %w", err)
		}
		if err := ended(); err != nil {
			return "", err
		}
		// Reading from the background would stop the process (SIGTTIN), and
		// would steal a line from the program in front.
		if !t.foreground() {
			return "", ErrBackground
		}
		n, err := unix.Read(t.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue // not a whole line yet, or somebody else was faster
		case err != nil:
			return "", fmt.Errorf("read the terminal: %w", err)
		case n == 0:
			return "", io.EOF
		}
		return strings.TrimRight(string(buf[:n]), "\r\n"), nil
	}
}

// writePrompt shows prompt, printable.
func (t *TTY) writePrompt(prompt string) error {
	if _, err := io.WriteString(t.file, printable(prompt)); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

func (t *TTY) foreground() bool {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
