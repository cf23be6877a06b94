// SPDX-License-Identifier: Apache-2.0

package desktop

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"time"
)

// ErrUnnoticed is wrapped when a notice was not shown, or nobody can tell what
// became of it.
var ErrUnnoticed = errors.New("no notification on the desktop")

// busTime bounds each thing that is asked of a bus or of who is on it. All of
// them are on this machine and answer in a few milliseconds, or are stuck.
const busTime = 500 * time.Millisecond

// maxNotices bounds how many are up at once. A desktop that has more of them
// open has a user who does not look.
const maxNotices = 8

// The longest texts that are shown, in bytes.
const (
	maxTitle = 200
	maxBody  = 1000
)

// Urgency is one of the three that desktops tell apart. The highest stays until
// it is answered.
// https://specifications.freedesktop.org/notification-spec/latest/urgency-levels.html
type Urgency byte

// The urgencies.
const (
	UrgencyLow Urgency = iota
	UrgencyNormal
	UrgencyCritical
)

// Action is a button.
type Action struct {
	ID    string // what Notify returns; not "default", which desktops read as a click on the notice
	Label string
}

// Notice is what a notification shows. Texts are shown without control
// characters but newlines in Body, and no part of them is markup.
type Notice struct {
	ID      string // of notices with the same one, the latest takes the place of the others
	Title   string
	Body    string
	Urgency Urgency
	Actions []Action
	// Instead follows Body on desktops that show no buttons.
	Instead string
}

// Answer is what came of a notice. The zero value: it was closed, or went away.
type Answer struct {
	Action string // the ID of the one that was chosen
	// Activation lets a window that opens because of the answer come to the
	// front, on desktops that would not let it otherwise; may be empty.
	// https://wayland.app/protocols/xdg-activation-v1
	Activation string
}

// Notifier shows notifications of the desktop. Each has a connection of its own
// to the bus, so that a bus that was restarted is found again. Its methods may
// be called by several goroutines.
type Notifier struct {
	// Bus is the address of the user's session bus, "unix:path=/…"; empty: there
	// is none, and no notification.
	Bus string
	// SystemBus is that of the machine, which knows of locked screens; may be
	// empty.
	SystemBus string

	bound time.Duration // in tests: instead of busTime

	mu    sync.Mutex
	shown map[string]*showing // by ID of the notice
	owing map[closer]bool     // connections on which a server has not said in time that a notice is up

	taking sync.WaitGroup // who waits for that
}

type closer interface{ close() }

// showing is a notice that is up, or about to be.
type showing struct {
	replace func()        // ends it, for the next one to take its place
	done    chan struct{} // closed when it has ended

	// What a later notice takes the place of, for who has seen done closed; zero
	// when nothing is left on the screen.
	server string
	number uint32
}

func (n *Notifier) patience() time.Duration { return cmp.Or(n.bound, busTime) }

// body is the text for a server with these capabilities.
// https://specifications.freedesktop.org/notification-spec/latest/protocol.html
func (note Notice) body(buttons, markup bool) string {
	text := note.Body
	if !buttons && note.Instead != "" {
		text = strings.TrimPrefix(text+"\n"+note.Instead, "\n")
	}
	text = shortened(shown(text), maxBody)
	if markup {
		text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	}
	return text
}

// shortened cuts what nobody would read, between characters.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := 0
	for i := range text {
		if i > limit {
			break
		}
		end = i
	}
	return text[:end] + "…"
}

// has reports whether an action is one of the notice's.
func (note Notice) has(action string) bool {
	for _, a := range note.Actions {
		if a.ID == action {
			return true
		}
	}
	return false
}
