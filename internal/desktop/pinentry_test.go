// SPDX-License-Identifier: Apache-2.0

//go:build linux

package desktop

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// screen is a real X server that nobody sees.
type screen struct {
	t       *testing.T
	display string
	server  *exec.Cmd
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// Without -noreset the server begins anew when its last client leaves, and
	// throws out who comes at that moment: the tool that looks for a window comes
	// and goes all the time.
	cmd := exec.Command("Xvfb", "-noreset", "-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be dead already
		_ = cmd.Wait()         // of the kill
	})
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("the X server does not start: %v", err)
	}
	return &screen{t: t, display: ":" + strings.TrimSpace(number), server: cmd}
}

func (s *screen) environ() []string {
	return []string{"DISPLAY=" + s.display, "PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "LANG=C.UTF-8"}
}

// tool runs xdotool and returns what it prints; "" if it fails.
func (s *screen) tool(args ...string) string {
	cmd := exec.Command("xdotool", args...)
	cmd.Env = s.environ()
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// window waits for the window of the question.
func (s *screen) window() string {
	var id string
	eventually(s.t, func() bool {
		id, _, _ = strings.Cut(s.tool("search", "--onlyvisible", "--name", "broker"), "\n")
		return id != ""
	})
	return id
}

// keys sends keys to a window until done is closed: without a window manager
// the first ones may come before the window listens.
func (s *screen) keys(window string, done <-chan struct{}, actions ...[]string) {
	for {
		s.tool("windowfocus", window)
		for _, action := range actions {
			s.tool(action...)
		}
		select {
		case <-done:
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// asked puts a question to a real pinentry.
func (s *screen) asked(ctx context.Context, q Question) (answer func() (string, error), done <-chan struct{}) {
	d := &Dialog{Programs: []string{"/usr/bin/pinentry-gtk-2"}, Environ: s.environ, Start: start}
	if !d.Ready() {
		s.t.Fatal("pinentry-gtk-2 is not ready")
	}
	var text string
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		text, err = d.Ask(ctx, q)
	}()
	return func() (string, error) { <-ended; return text, err }, ended
}

var mfaQuestion = Question{
	Title: "broker", Text: "MFA code for profile dev\nDevice: arn:aws:iam::111122223333:mfa/ann", Label: "Code:",
	Error: "That code was used before: wait for the next one.",
}

// TestRealPinentry: a real window on a real X server, typed into and closed.
func TestRealPinentry(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, done := s.asked(ctx, mfaQuestion)
	s.keys(s.window(), done, []string{"key", "ctrl+a"}, []string{"type", "123456"}, []string{"key", "Return"})
	if got, err := answer(); err != nil || got != "123456" {
		t.Errorf("typed: %q, %v", got, err)
	}
	answer, done = s.asked(ctx, mfaQuestion)
	s.keys(s.window(), done, []string{"key", "Escape"})
	if got, err := answer(); err != nil || got != "" {
		t.Errorf("escaped: %q, %v", got, err)
	}
}

// TestF50WindowWithoutFocus: what is typed elsewhere is no answer, and the
// window goes with the question.
func TestF50WindowWithoutFocus(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	ctx, withdraw := context.WithCancel(t.Context())
	answer, done := s.asked(ctx, mfaQuestion)
	s.window()
	select {
	case <-done:
		t.Error("answered, and nobody typed")
	case <-time.After(300 * time.Millisecond):
	}
	withdraw()
	if got, err := answer(); !errors.Is(err, context.Canceled) || got != "" {
		t.Errorf("withdrawn: %q, %v", got, err)
	}
	eventually(t, func() bool { return s.tool("search", "--onlyvisible", "--name", "broker") == "" })
}

// TestF50ScreenDies: the desktop goes while the question is up.
func TestF50ScreenDies(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	answer, _ := s.asked(t.Context(), mfaQuestion)
	s.window()
	if err := s.server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got, err := answer(); !errors.Is(err, ErrUnavailable) || got != "" {
		t.Errorf("the screen is gone: %q, %v", got, err)
	}
}
