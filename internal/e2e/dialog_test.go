// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// desktop gives the world an X server that nobody sees, before its daemon
// starts.
func (w *world) desktop() {
	w.t.Helper()
	r, pipe, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	screen := filepath.Join(w.dir, "screen") // its memory, as a file
	if err := os.Mkdir(screen, 0o700); err != nil {
		w.t.Fatal(err)
	}
	// Without -noreset the server begins anew when its last client leaves, and
	// throws out who comes at that moment: the tool that looks for a window comes
	// and goes all the time.
	cmd := exec.Command("Xvfb", "-noreset", "-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-wr", "-fbdir", screen)
	cmd.ExtraFiles = []*os.File{pipe}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	pipe.Close()
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be dead already
		_ = cmd.Wait()         // of the kill
	})
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		w.t.Fatalf("the X server does not start: %v", err)
	}
	w.env = append(w.env, "DISPLAY=:"+strings.TrimSpace(number))
}

// xdotool returns what it prints, or "" if it fails: windows come and go.
func (w *world) xdotool(args ...string) string {
	out, err := w.command("xdotool", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// TestDialogOnADesktop: helpers without a terminal, as an IDE starts them, and a
// real window that the user types one code into.
func TestDialogOnADesktop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.desktop()
	w.ready()
	var helpers []*background
	for range 10 {
		cmd := w.command("broker", "credential-process", "dev")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		helpers = append(helpers, w.startCommand(cmd))
	}
	w.awaitSurface("dialog")
	var window string
	w.eventually("the window is there", func() error {
		all := w.xdotool("search", "--onlyvisible", "--name", "broker")
		if window, _, _ = strings.Cut(all, "\n"); window == "" {
			return errors.New("not yet")
		}
		if strings.Contains(all, "\n") {
			t.Errorf("more than one window: %q", all)
		}
		return nil
	})
	code := w.code()
	w.eventually("the code is typed", func() error {
		w.xdotool("windowfocus", window)
		w.xdotool("key", "ctrl+a")
		w.xdotool("type", code)
		w.xdotool("key", "Return")
		if w.xdotool("search", "--onlyvisible", "--name", "broker") != "" {
			return errors.New("the window is still there")
		}
		return nil
	})
	first := w.document(helpers[0].wait())
	for _, h := range helpers[1:] {
		if got := w.document(h.wait()); got != first {
			t.Errorf("another document: %+v", got)
		}
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts", s.Prompts)
	}
}
