// SPDX-License-Identifier: Apache-2.0

package tty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"credbroker/internal/secret"
)

// TTY is an open console. Its methods may be used by one goroutine at a time,
// but for Close.
type TTY struct {
	in, out *os.File
}

// Open opens the console of the process. It fails if there is none: in a
// service, in a detached process.
func Open() (*TTY, error) {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the terminal: %w", err)
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the terminal: %w", err), in.Close())
	}
	return &TTY{in: in, out: out}, nil
}

// Close closes the console. It must not be called during a read.
func (t *TTY) Close() error { return errors.Join(t.in.Close(), t.out.Close()) }

// Write writes to the console.
func (t *TTY) Write(p []byte) (int, error) { return t.out.Write(p) }

// Usable reports whether a question may be put: the console is in line mode, so
// no editor or pager is using it.
func (t *TTY) Usable() bool {
	var mode uint32
	err := windows.GetConsoleMode(windows.Handle(t.in.Fd()), &mode)
	return err == nil && mode&windows.ENABLE_LINE_INPUT != 0
}

// ReadLine writes prompt and returns the line that the user types, with echo
// and without its end. When ctx ends it returns the cause. It returns io.EOF
// for Ctrl-Z on an empty line.
func (t *TTY) ReadLine(ctx context.Context, prompt string) (string, error) {
	return t.ask(ctx, prompt, true)
}

// ReadSecret is ReadLine without echo. It also returns ErrInterrupted when
// Ctrl-C is typed or the console is closed.
func (t *TTY) ReadSecret(ctx context.Context, prompt string) (secret.String, error) {
	ctx, done := interruptible(ctx)
	defer done()
	line, err := t.ask(ctx, prompt, false)
	return secret.New(line), err
}

// interruptible ends with ErrInterrupted when a signal that ends programs
// arrives.
func interruptible(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-signals:
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-ended
	}
}

// ask reads keys, not lines: a read of a whole line cannot be withdrawn. So the
// console's own mode is never changed, and nothing is to be put right after us.
func (t *TTY) ask(ctx context.Context, prompt string, echo bool) (string, error) {
	if _, err := io.WriteString(t.out, printable(prompt)); err != nil {
		return "", fmt.Errorf("write to the terminal: %w", err)
	}
	withdrawn, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return "", fmt.Errorf("read the terminal: %w", err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = windows.SetEvent(withdrawn) // an event of ours
	})
	defer func() {
		if !stop() {
			<-woken
		}
		_ = windows.CloseHandle(withdrawn) // as above
	}()
	var l line
	defer l.clear()
	for !l.ended {
		if err := t.key(ctx, withdrawn, &l, echo); err != nil {
			// The cursor stands behind the question: what comes next begins a line.
			_, _ = io.WriteString(t.out, "\r\n") // the read's error is the one to report
			return "", err
		}
	}
	_, _ = io.WriteString(t.out, "\r\n") // the answer is there all the same
	return l.text(), nil
}

// key waits for one event of the console and gives it to the line.
func (t *TTY) key(ctx context.Context, withdrawn windows.Handle, l *line, echo bool) error {
	in := windows.Handle(t.in.Fd())
	if _, err := windows.WaitForMultipleObjects([]windows.Handle{withdrawn, in}, false, windows.INFINITE); err != nil {
		return fmt.Errorf("read the terminal: %w", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	record, err := readInput(in)
	if err != nil {
		return fmt.Errorf("read the terminal: %w", err)
	}
	show, err := l.key(record)
	if echo && show != "" {
		_, _ = io.WriteString(t.out, show) // what was typed counts, seen or not
	}
	return err
}

// input is INPUT_RECORD with a KEY_EVENT_RECORD in it (wincontypes.h).
type input struct {
	kind    uint16
	_       uint16
	down    int32
	repeat  uint16
	virtual uint16
	_       uint16 // scan code
	unit    uint16 // of UTF-16
	_       uint32 // shift, control and so on
}

// readInput returns the next event. There is one: the console was waited for.
func readInput(console windows.Handle) (input, error) {
	read := windows.NewLazySystemDLL("kernel32.dll").NewProc("ReadConsoleInputW")
	var record input
	var count uint32
	ok, _, err := read.Call(uintptr(console), uintptr(unsafe.Pointer(&record)), 1, uintptr(unsafe.Pointer(&count)))
	if ok == 0 {
		return input{}, err
	}
	return record, nil
}
