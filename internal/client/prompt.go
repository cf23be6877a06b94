// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/tty"
)

// Terminal puts the daemon's prompts to the user on the controlling terminal.
// It is an ipc.Surface.
type Terminal struct {
	TTY *tty.TTY
}

var _ ipc.Surface = (*Terminal)(nil)

// OpenTerminal returns the controlling terminal, only where a question disturbs
// no other program: in canonical mode, and with this program in the foreground.
func OpenTerminal() (*Terminal, bool) {
	t, err := tty.Open()
	if err != nil {
		return nil, false
	}
	if !t.Usable() {
		_ = t.Close() // nothing was written
		return nil, false
	}
	return &Terminal{TTY: t}, true
}

// Prompt asks for one code. The daemon's next line withdraws the question
// through ctx. An empty line cancels what the code is for.
func (t *Terminal) Prompt(ctx context.Context, p ipc.Prompt) (string, error) {
	if p.Kind != ipc.PromptMFA {
		return "", fmt.Errorf("this release cannot ask for %q", p.Kind)
	}
	if why := reasonText(p.Reason); why != "" {
		fmt.Fprintf(t.TTY, "broker: %s\n", why)
	}
	for {
		line, err := t.TTY.ReadLine(ctx, promptText(p))
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		code := strings.TrimSpace(line)
		if code == "" || ValidCode(code) {
			return code, nil
		}
		fmt.Fprintln(t.TTY, "broker: a code has six digits; an empty line cancels")
	}
}

// Event has nothing to show: what reports progress has a surface of its own.
func (t *Terminal) Event(json.RawMessage) {}

// silence is how long a command waits in its terminal without a word. A call
// to AWS takes less; what takes longer is a code that somebody else is asked for.
const silence = 3 * time.Second

// PatientTerminal is a terminal that says so when nothing comes for a while: the daemon
// asks in one place at a time, and this may not be the one.
type PatientTerminal struct {
	*Terminal
	notice *time.Timer
}

// Patient returns the terminal as a surface that says so when nothing comes for a
// while, until Stop.
func (t *Terminal) Patient(profile string) PatientTerminal {
	return PatientTerminal{t, time.AfterFunc(silence, func() {
		fmt.Fprintf(t.TTY, "broker: profile %s waits for a code that is asked for elsewhere, or for AWS: broker status tells; broker mfa, in any terminal, answers\n", Printable(profile))
	})}
}

// Stop has it say nothing more.
func (p PatientTerminal) Stop() { p.notice.Stop() }

// Prompt asks, as a terminal does.
func (p PatientTerminal) Prompt(ctx context.Context, q ipc.Prompt) (string, error) {
	p.notice.Stop()
	return p.Terminal.Prompt(ctx, q)
}

// promptText names the device and what waits for it.
func promptText(p ipc.Prompt) string {
	device := p.SerialNumber
	if p.Profile != "" {
		device += " (" + p.Profile + ")"
	}
	return "MFA code for " + device + ": "
}

// reasonText says why a code is asked for again.
func reasonText(reason string) string {
	switch reason {
	case ipc.ReasonWrongCode:
		return "AWS did not accept that code"
	case ipc.ReasonUsedCode:
		return "that code was used before: wait for the next one"
	}
	return ""
}

// ValidCode reports whether code is what a device shows: six digits.
func ValidCode(code string) bool {
	return len(code) == 6 && strings.Trim(code, "0123456789") == ""
}

// Bystander is the surface of a command that has no terminal: it cannot ask, so
// it says what it waits for, and the daemon turns to the next surface.
type Bystander struct {
	W io.Writer
}

var _ ipc.Surface = Bystander{}

// Prompt declines every question.
func (b Bystander) Prompt(_ context.Context, p ipc.Prompt) (string, error) {
	fmt.Fprintf(b.W, "broker: waiting for an MFA code for profile %s: give it in any terminal: broker mfa\n", Printable(p.Profile))
	return "", ErrNoTerminal
}

// Event has nothing to show.
func (Bystander) Event(json.RawMessage) {}

// ErrNoTerminal reports that there is nobody to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask on")
