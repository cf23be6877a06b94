// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"credbroker/internal/ipc"
)

// The surfaces, as [mfa] surfaces and status name them.
const (
	surfaceCommand  = "command"
	surfaceTerminal = "terminal"
	surfaceDialog   = "dialog"
	surfaceTTY      = "tty"
	surfaceWait     = "wait"
)

// caller is the other end of a conversation.
type caller struct {
	ask ipc.Ask
	// prompt puts a question to the caller's user. Its context withdraws the
	// question. nil: the caller cannot ask.
	prompt func(ctx context.Context, p ipc.Prompt) (string, error)
	// sit asks for leave to wait, see ipc.Conversation.Sit. nil: it is given.
	sit func() error
	// answers is true for broker mfa, whose user came to answer.
	answers bool
	// unattended says what the caller waits for: see somebodyToAsk.
	unattended ipc.Unattended
}

// surface is a place where a flight can ask. It comes and goes with its caller.
type surface struct {
	caller
	gone chan struct{} // closed by close

	using sync.Mutex // held while the caller's conversation is used
}

func newSurface(c caller) *surface {
	return &surface{caller: c, gone: make(chan struct{})}
}

// close withdraws what is asked and waits until the conversation is free.
func (s *surface) close() {
	close(s.gone)
	s.using.Lock()
	defer s.using.Unlock()
}

func (s *surface) name() string {
	if s.ask == ipc.AskTTY {
		return surfaceTTY
	}
	return surfaceTerminal
}

// put asks, unless the caller has gone.
func (s *surface) put(ctx context.Context, p ipc.Prompt) (string, error) {
	s.using.Lock()
	defer s.using.Unlock()
	select {
	case <-s.gone:
		return "", context.Canceled
	default:
	}
	return s.prompt(ctx, p)
}

// reply is what came of asking one surface.
type reply struct {
	text  string
	given bool // false: the surface could not ask, or the question was withdrawn
}

// ask gets one code from the first surface that can, or from whoever brings
// one unasked. It fails when the flight is cancelled.
func (f *flight) ask(asking context.Context, reason string) (typed, error) {
	b := f.b
	ready := b.opts.Dialog != nil && b.opts.Dialog.Ready()
	b.mu.Lock()
	f.dialog = ready && !f.dialogFailed
	f.attempt++
	f.reason = reason
	f.prolongLocked()
	counted := false
	b.mu.Unlock()
	defer f.setAsking("")
	for {
		if asking.Err() != nil { // a code that comes now was not waited for
			return typed{}, context.Cause(asking)
		}
		b.mu.Lock()
		s, name := f.chooseLocked()
		f.asking = name
		if name != surfaceCommand && !counted {
			b.prompts++ // one for each code, whatever surfaces it wanders through
			counted = true
		}
		p := f.promptLocked()
		end := f.beginLocked(name)
		if name == surfaceWait && f.desertedLocked() {
			f.deserted.Do(func() { close(f.nobody) })
		}
		b.mu.Unlock()
		t, again, err := f.askOne(asking, s, name, p)
		end()
		if !again {
			return t, err
		}
	}
}

func (f *flight) setAsking(name string) {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.asking = name
}

func (f *flight) promptLocked() ipc.Prompt {
	return ipc.Prompt{
		Kind: ipc.PromptMFA, SerialNumber: f.plan.id.serial, Profile: f.plan.profile,
		AccessKeyID: f.plan.id.accessKeyID, Attempt: f.attempt, Reason: f.reason, Deadline: f.deadline.UTC(),
	}
}

// chooseLocked returns the first surface that can ask: the user who came to
// answer, then the order of [mfa] surfaces.
func (f *flight) chooseLocked() (*surface, string) {
	for _, s := range f.surfaces {
		if s.answers {
			return s, s.name()
		}
	}
	for _, name := range f.b.files.current().settings.MFA.Surfaces {
		if name == surfaceCommand && f.plan.command != nil && f.commands < maxCommands && f.mayLocked(name) {
			return nil, surfaceCommand
		}
		if name == surfaceDialog && f.dialog && f.mayLocked(name) {
			return nil, surfaceDialog
		}
		i := slices.IndexFunc(f.surfaces, func(s *surface) bool { return s.name() == name })
		if i >= 0 && f.mayLocked(name) {
			return f.surfaces[i], name
		}
	}
	return nil, surfaceWait
}

// askOne asks one surface. again says that there is no code and another
// surface is to be tried.
func (f *flight) askOne(asking context.Context, s *surface, name string, p ipc.Prompt) (t typed, again bool, err error) {
	ctx, withdraw := context.WithCancel(asking)
	defer withdraw()
	replies := make(chan reply, 1)
	var gone <-chan struct{}
	switch {
	case s != nil:
		gone = s.gone
		go func() {
			text, err := s.put(ctx, p)
			replies <- reply{text, err == nil}
		}()
	case name == surfaceCommand:
		go func() {
			text, err := f.runCommand(ctx, p.Reason)
			replies <- reply{text, err == nil}
		}()
	case name == surfaceDialog:
		go func() {
			text, err := f.showDialog(ctx, p)
			replies <- reply{text, err == nil}
		}()
	default:
		replies = nil // nobody to ask: wait for a surface or a code
	}
	// Whatever happens, the surface is done with before the next one is asked:
	// one prompt at a time.
	finish := func() reply {
		withdraw()
		if replies == nil {
			return reply{}
		}
		return <-replies
	}
	for {
		select {
		case r := <-replies:
			if !r.given {
				f.forget(s)
			}
			return f.take(r)
		case t := <-f.codes:
			finish()
			return t, false, nil
		case <-gone:
			return f.take(finish())
		case <-f.poke:
			if f.keeps(s, name) {
				continue
			}
			return f.take(finish())
		case <-asking.Done():
			finish()
			return typed{}, false, context.Cause(asking)
		}
	}
}

// keeps reports whether s goes on asking now that the surfaces have changed: a
// prompt that stands is not moved, except to a user who came to answer, and
// from where nobody turned to broker to a terminal in which a user has just run
// a command.
func (f *flight) keeps(s *surface, name string) bool {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	best, bestName := f.chooseLocked()
	if best == s && bestName == name {
		return true
	}
	if best != nil && best.answers && (s == nil || !s.answers) {
		return false
	}
	if popsUp(name) && bestName == surfaceTerminal {
		return false
	}
	return name != surfaceWait && (s == nil || slices.Contains(f.surfaces, s))
}

// forget drops a surface that failed: nobody is there any more.
func (f *flight) forget(s *surface) {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.surfaces = slices.DeleteFunc(f.surfaces, func(have *surface) bool { return have == s })
}

// take turns the reply of a surface into a code. An empty line cancels the
// flight.
func (f *flight) take(r reply) (t typed, again bool, err error) {
	if !r.given {
		return typed{}, true, nil
	}
	code := strings.ReplaceAll(strings.TrimSpace(r.text), " ", "")
	if code == "" {
		return typed{}, false, cancelled(f.plan)
	}
	return typed{code: code, refused: make(chan error, 1)}, false, nil
}

func cancelled(p *plan) error {
	return fail(ipc.CodeMFACancelled, answerLater(p), "the MFA prompt for profile %s was cancelled", p.profile)
}

// answerLater is the hint for a code that did not come.
func answerLater(p *plan) string {
	return fmt.Sprintf("when you are ready: broker mfa -p %s", p.profile)
}

// isCode reports whether text is a code: six ASCII digits.
func isCode(text string) bool {
	return len(text) == 6 && strings.Trim(text, "0123456789") == ""
}
