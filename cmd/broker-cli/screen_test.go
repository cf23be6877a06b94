// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// screen is the user's side of a terminal.
type screen struct {
	file *os.File
	done chan struct{} // closed when the program's side is closed

	mu    sync.Mutex
	shown bytes.Buffer
	seen  int // what expect has gone past
}

func newScreen(file *os.File) *screen {
	s := &screen{file: file, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		buf := make([]byte, 4096)
		for {
			n, err := file.Read(buf)
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return // EIO: the last process has closed the terminal
			}
		}
	}()
	return s
}

// close reads to the end, unless something keeps the terminal open, and closes.
func (s *screen) close() {
	_ = eventually(func() error {
		select {
		case <-s.done:
			return nil
		default:
			return errors.New("the terminal is open")
		}
	})
	_ = s.file.Close() // nothing is written any more
	<-s.done
}

// echoes reports whether the terminal shows what is typed.
func (s *screen) echoes() bool {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return false
	}
	var mode *unix.Termios
	cerr := raw.Control(func(fd uintptr) { mode, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	return cerr == nil && err == nil && mode.Lflag&unix.ECHO != 0
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// expect waits until text is shown, after what was expected before.
func (s *screen) expect(text string) error {
	return eventually(func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := strings.Index(s.shown.String()[s.seen:], text)
		if i < 0 {
			return fmt.Errorf("the terminal does not show %q", text)
		}
		s.seen += i + len(text)
		return nil
	})
}

// play acts out a dialogue.
func (s *screen) play(ts *testscript.TestScript, dialogue string) error {
	for line := range strings.Lines(dialogue) {
		act, text, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		text = os.Expand(text, ts.Getenv)
		var err error
		switch act {
		case "":
		case "<":
			err = s.expect(text)
		case ">":
			_, err = s.file.WriteString(text + "\n")
		case "^C":
			_, err = s.file.WriteString("\x03")
		case "^D":
			_, err = s.file.WriteString("\x04")
		case "$":
			err = ts.Exec("/bin/sh", "-c", text)
		default:
			err = fmt.Errorf("no line of a dialogue: %q", line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
