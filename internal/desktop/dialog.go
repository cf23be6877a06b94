// SPDX-License-Identifier: Apache-2.0

package desktop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
	"unicode"
)

// ErrUnavailable is wrapped when no window could be shown, or the program that
// showed it did not do what it should. The user has not been asked, or has not
// answered.
var ErrUnavailable = errors.New("no window for the question")

// setupTime is how long the program may take until it is ready to ask.
const setupTime = 10 * time.Second

// Question is what a window shows. Texts are shown without control characters
// but newlines in Text.
type Question struct {
	Title string
	Text  string // what is asked, and for what
	Error string // why it is asked again; may be empty
	Label string // beside the field
}

// Dialog asks in a window. Its methods may be called by several goroutines.
type Dialog struct {
	// Programs are the absolute paths at which a pinentry may be, the best
	// first. See Programs.
	Programs []string
	// Environ returns the environment of the user's desktop session.
	Environ func() []string
	// Start starts a program so that it ends with all that it started when the
	// context of cmd does, and returns what waits for it.
	Start func(cmd *exec.Cmd) (wait func() error, err error)
	// Trust says whether a program may be run; nil is Trusted.
	Trust func(path string) error

	setup time.Duration // in tests: instead of setupTime
}

// Programs returns where Linux distributions install the graphical pinentries.
// The plain name comes last: it may be one for terminals, which says so and is
// passed over.
func Programs() []string {
	return []string{
		"/usr/bin/pinentry-gtk", "/usr/bin/pinentry-gtk-2", "/usr/bin/pinentry-qt", "/usr/bin/pinentry-qt5",
		"/usr/bin/pinentry-gnome3", "/usr/bin/pinentry",
	}
}

// Ready reports whether there is a desktop to ask on, and a program to ask with.
func (d *Dialog) Ready() bool {
	return hasDisplay(d.Environ()) && d.program() != ""
}

func hasDisplay(environ []string) bool {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" && (name == "DISPLAY" || name == "WAYLAND_DISPLAY") {
			return true
		}
	}
	return false
}

// program returns the first program that may be run, or "".
func (d *Dialog) program() string {
	trust := d.Trust
	if trust == nil {
		trust = Trusted
	}
	for _, path := range d.Programs {
		if trust(path) == nil {
			return path
		}
	}
	return ""
}

// Ask shows the question and returns what the user typed; "" is a question that
// the user closed or left empty. The window goes when ctx ends, whose error is
// then returned. Any other error wraps ErrUnavailable, and holds nothing that
// the program printed.
func (d *Dialog) Ask(ctx context.Context, q Question) (string, error) {
	environ, program := d.Environ(), d.program()
	if program == "" || !hasDisplay(environ) {
		return "", ErrUnavailable
	}
	answer, err := d.converse(ctx, program, environ, q)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", fmt.Errorf("%w: %s: %w", ErrUnavailable, program, err)
}

func (d *Dialog) converse(ctx context.Context, program string, environ []string, q Question) (string, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env, cmd.Dir, cmd.WaitDelay = environ, "/", time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	wait, err := d.Start(cmd)
	if err != nil {
		return "", err
	}
	defer func() {
		end()
		_ = wait() // it was told to end, or has
	}()
	slow := time.AfterFunc(cmp.Or(d.setup, setupTime), end)
	defer slow.Stop()
	a := newAssuan(out, in)
	if err := setUp(a, q); err != nil {
		return "", err
	}
	if !slow.Stop() {
		return "", context.DeadlineExceeded
	}
	code, err := a.command("GETPIN", "")
	var refused *assuanError
	if errors.As(err, &refused) && (refused.code == gpgCanceled || refused.code == gpgFullyCanceled) {
		return "", nil
	}
	return code, err
}

// setUp tells the program what to show.
func setUp(a *assuan, q Question) error {
	if _, err := a.answer(); err != nil { // the greeting
		return err
	}
	for _, c := range [][2]string{
		{"SETTITLE", line(q.Title)}, {"SETDESC", shown(q.Text)}, {"SETPROMPT", line(q.Label)}, {"SETERROR", line(q.Error)},
	} {
		if c[1] == "" {
			continue
		}
		if _, err := a.command(c[0], c[1]); err != nil {
			return err
		}
	}
	return nil
}

// shown returns text without what could move or disguise its parts.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, text)
}

// line is shown for what must be one line.
func line(text string) string { return strings.ReplaceAll(shown(text), "\n", " ") }
