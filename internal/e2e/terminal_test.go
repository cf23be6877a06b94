// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// theQuestion begins what a terminal shows when it asks.
const theQuestion = "MFA code for "

// terminal is a pseudo-terminal, and what it shows.
type terminal struct {
	w      *world
	master *os.File
	slave  *os.File

	mu     sync.Mutex
	screen strings.Builder
}

// terminal opens a terminal that nobody uses yet.
func (w *world) terminal() *terminal {
	w.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		w.t.Fatal(err)
	}
	// Opened anew, so that closing it ends the read of it.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err := errors.Join(err, unix.SetNonblock(fd, true), master.Close()); err != nil {
		w.t.Fatal(err)
	}
	term := &terminal{w: w, master: os.NewFile(uintptr(fd), "ptmx"), slave: slave}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := term.master.Read(buf)
			term.mu.Lock()
			term.screen.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return // closed below: the slave end keeps it alive until then
			}
		}
	}()
	w.t.Cleanup(func() {
		if err := errors.Join(term.master.Close(), slave.Close()); err != nil {
			w.t.Error(err)
		}
		<-ended
	})
	return term
}

// shows returns what the terminal shows.
func (term *terminal) shows() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

// await waits until the terminal has shown text so many times.
func (term *terminal) await(text string, times int) {
	term.w.t.Helper()
	term.w.eventually(fmt.Sprintf("the terminal shows %q %d times", text, times), func() error {
		if screen := term.shows(); strings.Count(screen, text) != times {
			return fmt.Errorf("it shows %q", screen)
		}
		return nil
	})
}

// write types.
func (term *terminal) write(keys string) {
	term.w.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.w.t.Fatal(err)
	}
}

// run starts a program in a session of its own, with term as its controlling
// terminal. Its standard output and error are kept apart from the terminal.
func (term *terminal) run(cmd *exec.Cmd) *background {
	cmd.Stdin = term.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return term.w.startCommand(cmd)
}

// exec runs broker exec in the foreground of a new terminal.
func (w *world) exec() (*terminal, *background) {
	w.t.Helper()
	term := w.terminal()
	return term, term.run(w.command("broker", "exec", "dev", "--", "true"))
}

// surfaces returns where each pending code is asked for.
func (w *world) surfaces() []string {
	w.t.Helper()
	r := w.must(w.run("broker", "status", "--json"))
	var s struct {
		Pending []struct {
			Surface string `json:"surface"`
		} `json:"pending"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, p := range s.Pending {
		names = append(names, p.Surface)
	}
	return names
}

// awaitSurface waits until one code is asked for, on that surface.
func (w *world) awaitSurface(want string) {
	w.t.Helper()
	w.eventually("the code is asked for on "+want, func() error {
		if got := w.surfaces(); w.status().Prompts == 0 || !slices.Equal(got, []string{want}) {
			return fmt.Errorf("it is asked for on %q", got)
		}
		return nil
	})
}

// TestForegroundCommandAsks: helpers that cannot ask wait already; the user who
// comes is asked, told why again, and serves everybody.
func TestForegroundCommandAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.quickCodes()
	helpers := []*background{w.start("broker", "credential-process", "dev"), w.start("broker", "credential-process", "dev")}
	w.awaitPending(2)
	w.awaitSurface("wait")
	term, command := w.exec()
	term.await(theQuestion+w.user("ann").Devices[0].SerialNumber, 1)
	w.awaitSurface("terminal")
	term.write("12345\n")
	term.await("a code has six digits", 1)
	term.await(theQuestion, 2)
	term.write(wrongCode(1) + "\n")
	term.await("AWS did not accept that code", 1)
	term.await(theQuestion, 3)
	code := w.code()
	term.write(code + "\n")
	w.must(command.wait())
	for _, h := range helpers {
		w.document(h.wait())
	}
	if !strings.Contains(term.shows(), code) {
		t.Error("the code is not echoed: it works once, and typing blindly helps nobody")
	}
	if calls := w.log("GetSessionToken"); len(calls) != 2 {
		t.Errorf("%d GetSessionToken calls, want 2", len(calls))
	}
}

// TestSecondTerminalIsNotSilent: one terminal is asked, the other is told that
// it waits, and both are served by one code.
func TestSecondTerminalIsNotSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	first, one := w.exec()
	first.await(theQuestion, 1)
	second, two := w.exec()
	second.await("broker: profile dev waits", 1)
	if strings.Contains(second.shows(), theQuestion) || strings.Contains(first.shows(), "waits") {
		t.Errorf("the first terminal shows %q, the second %q", first.shows(), second.shows())
	}
	first.write(w.code() + "\n")
	w.must(one.wait())
	w.must(two.wait())
}

// TestEmptyLineCancelsForAll: one answer for everybody, and no call.
func TestEmptyLineCancelsForAll(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{"Enter": "\n", "Ctrl-D": "\x04"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			var helpers []*background
			for range 3 {
				helpers = append(helpers, w.start("broker", "credential-process", "dev"))
			}
			w.awaitPending(3)
			term, command := w.exec()
			term.await(theQuestion, 1)
			term.write(keys)
			if r := command.wait(); r.status != 125 || !strings.Contains(r.stderr, "cancelled") {
				t.Errorf("exec ended with status %d, stderr %q; want 125 and why", r.status, r.stderr)
			}
			for _, h := range helpers {
				if r := h.wait(); r.status != 4 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
					t.Errorf("a waiter got status %d, stdout %q, stderr %q; want 4, nothing, one line", r.status, r.stdout, r.stderr)
				}
			}
			if r := w.run("broker", "credential-process", "dev"); r.status != 4 {
				t.Errorf("a helper after the cancellation: status %d, want 4 at once", r.status)
			}
			if calls := w.log("GetSessionToken"); len(calls) != 0 {
				t.Errorf("%d GetSessionToken calls, want none", len(calls))
			}
		})
	}
}

// TestInterruptHandsThePromptOn: Ctrl-C ends the caller in whose terminal it is
// pressed. The next one is asked, and nobody else notices.
func TestInterruptHandsThePromptOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	first, one := w.exec()
	first.await(theQuestion, 1)
	second, two := w.exec()
	helper := w.start("broker", "credential-process", "dev")
	w.awaitPending(3)
	if screen := second.shows(); strings.Contains(screen, theQuestion) {
		t.Fatalf("two terminals are asked at once: %q", screen)
	}
	first.write("\x03")
	if r := one.wait(); r.status == 0 {
		t.Error("the interrupted command succeeded")
	}
	second.await(theQuestion, 1)
	w.awaitPending(2)
	second.write(w.code() + "\n")
	w.must(two.wait())
	w.document(helper.wait())
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts, want the one that wandered", s.Prompts)
	}
	if mode, err := unix.IoctlGetTermios(int(first.slave.Fd()), unix.TCGETS); err != nil || mode.Lflag&unix.ICANON == 0 || mode.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left without echo or lines: %+v, %v", mode, err)
	}
}

// TestMFATakesThePromptFromATerminal: who runs broker mfa came to answer; the
// terminal that was asked is told that it no longer is.
func TestMFATakesThePromptFromATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	asked, command := w.exec()
	asked.await(theQuestion, 1)
	term := w.terminal()
	mfa := term.run(w.command("broker", "mfa"))
	term.await(theQuestion, 1)
	term.write(w.code() + "\n")
	w.must(mfa.wait())
	w.must(command.wait())
}

// TestHelperAsksOnlyWhereItDisturbsNobody: the terminal of a helper is used if
// it reads lines and the helper is in its foreground; otherwise the helper
// waits for broker mfa.
func TestHelperAsksOnlyWhereItDisturbsNobody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		raw     bool
		command []string
		want    string
	}{
		{"in the foreground", false, []string{"broker", "credential-process", "dev"}, "tty"},
		{"in raw mode", true, []string{"broker", "credential-process", "dev"}, "wait"},
		{"in the background", false, []string{"/bin/sh", "-c", "set -m; broker credential-process dev & wait $!"}, "wait"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ready()
			terminal := w.terminal()
			if tc.raw {
				if _, err := term.MakeRaw(int(terminal.slave.Fd())); err != nil {
					t.Fatal(err)
				}
			}
			helper := terminal.run(w.command(tc.command[0], tc.command[1:]...))
			w.awaitPending(1)
			w.awaitSurface(tc.want)
			if tc.want == "wait" {
				w.must(w.run("broker", "mfa", w.code()))
			} else {
				terminal.await(theQuestion, 1)
				terminal.write(w.code() + "\n")
			}
			w.document(helper.wait())
			if screen := terminal.shows(); tc.want == "wait" && screen != "" {
				t.Errorf("the terminal shows %q, want nothing", screen)
			}
		})
	}
}

// TestHelperThatIsAskedGivesUp: after helper_wait the question goes from its
// terminal and the helper says why; the code can still come.
func TestHelperThatIsAskedGivesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready("[mfa]", "helper_wait = 5s")
	term := w.terminal()
	begin := time.Now()
	helper := term.run(w.command("broker", "credential-process", "dev"))
	r := helper.wait()
	if r.status != 4 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("status %d, stdout %q, stderr %q; want 4, nothing, one line", r.status, r.stdout, r.stderr)
	}
	if took := time.Since(begin); took < 5*time.Second {
		t.Errorf("it gave up after %v", took)
	}
	term.await(theQuestion, 1)
	w.must(w.run("broker", "mfa", w.code()))
	w.credentials("dev")
}
