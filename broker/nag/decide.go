// SPDX-License-Identifier: Apache-2.0

package nag

import (
	"cmp"
	"slices"
	"time"
)

// Channel is a way to the user.
type Channel string

// The channels, as the config spells them.
const (
	Desktop Channel = "desktop" // a notification
	CLI     Channel = "cli"     // a line under the output of a command
)

const (
	// gap is between two notices of the desktop, about whichever keys.
	gap = time.Hour
	// daytime is the least between two notices about one key: the next day may
	// begin early for who flies east.
	daytime = 12 * time.Hour
	// disbelief is how far ahead of the clock a note may be for the clock to have
	// been set back a little. Beyond that it was wrong when the note was made.
	disbelief = 48 * time.Hour
)

// Mark is what is remembered about a key. Told keeps its zone: the day on which
// something was said is that of the clock on the wall.
type Mark struct {
	Told    time.Time `json:"told,omitzero"`
	Snoozed time.Time `json:"snoozed,omitzero"` // until then nothing is said
}

// Memory is what is remembered, by access key ID. It may be nil.
type Memory map[string]Mark

// Notice is one thing to say.
type Notice struct {
	AccessKeyID string
	Profile     string // the first that has the key
	Level       Level
	Channel     Channel
	Title       string // a few words
	Text        string // a sentence without its full stop
	Next        string // a command that does something about it
}

// Decide returns what to say now on a channel, the most urgent first. On the
// desktop that is one notice at most.
func (p Policy) Decide(keys []Key, m Memory, now time.Time, c Channel) []Notice {
	if p.Quiet != nil && p.Quiet(now) || c == Desktop && m.spokeSince(now.Add(-gap), now) {
		return nil
	}
	type candidate struct {
		key     Key
		verdict Verdict
	}
	var due []candidate
	for _, k := range keys {
		v := p.Judge(k, now)
		if k.Stuck && v.Level == None {
			v.Level = Warn // it may be young: the old one is not gone yet
		}
		if v.Level != None && (!k.Rotating || k.Stuck) && p.mayTell(m[k.AccessKeyID], now) {
			due = append(due, candidate{k, v})
		}
	}
	slices.SortFunc(due, func(a, b candidate) int {
		return cmp.Or(b.verdict.Level.rank()-a.verdict.Level.rank(), a.verdict.Due.Compare(b.verdict.Due),
			cmp.Compare(a.key.AccessKeyID, b.key.AccessKeyID))
	})
	if c == Desktop && len(due) > 1 {
		due = due[:1]
	}
	var notices []Notice
	for _, d := range due {
		notices = append(notices, notice(d.key, d.verdict, c))
	}
	return notices
}

// mayTell reports whether enough time has passed.
func (p Policy) mayTell(m Mark, now time.Time) bool {
	if now.Before(m.Snoozed) {
		return false
	}
	since := now.Sub(m.Told)
	switch {
	case m.Told.IsZero() || since < -disbelief:
		return true
	case since < max(p.Repeat-daytime, daytime):
		return false
	}
	return date(now) != date(m.Told)
}

// date is a calendar day, by the zone of t.
func date(t time.Time) string { return t.Format(time.DateOnly) }

// spokeSince reports whether anything was said in a time.
func (m Memory) spokeSince(begin, now time.Time) bool {
	for _, mark := range m {
		if mark.Told.After(begin) && mark.Told.Before(now.Add(disbelief)) {
			return true
		}
	}
	return false
}

// Tell returns a mark that remembers that something was said at a time.
func (m Mark) Tell(now time.Time) Mark {
	m.Told = now.Round(0).Truncate(time.Second)
	return m
}
