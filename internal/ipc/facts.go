// SPDX-License-Identifier: Apache-2.0

package ipc

import "time"

// The levels of a key. The empty one is: nothing to do.
const (
	LevelInfo   = "info"   // it will be due soon
	LevelWarn   = "warn"   // it is due
	LevelUrgent = "urgent" // it has been due for a week
	LevelUnused = "unused" // nobody uses it: delete it rather than replace it
)

// KeyFacts is how old a stored key is and who uses it, by IAM where it may be
// asked.
type KeyFacts struct {
	// CreateDate and Active are IAM's; nil while IAM has not told.
	CreateDate *time.Time `json:"createDate,omitempty"`
	Active     *bool      `json:"active,omitempty"`
	// LastUsed is nil for a key that was never used, or when IAM has not told:
	// then LastUsedError says why, or there is no LearntAt.
	LastUsed        *time.Time `json:"lastUsed,omitempty"`
	LastUsedService string     `json:"lastUsedService,omitempty"`
	LastUsedRegion  string     `json:"lastUsedRegion,omitempty"`
	LastUsedError   *Error     `json:"lastUsedError,omitempty"`
	// Others are the keys that the user has beside this one: one at most.
	Others []KeyState `json:"others,omitempty"`
	// LearntAt is when IAM told all this; nil: never. FactsError says why it
	// could not be asked the last time.
	LearntAt   *time.Time `json:"learntAt,omitempty"`
	FactsError *Error     `json:"factsError,omitempty"`

	// DueAt is when the key is due for rotation; nil: never. It counts from
	// CreateDate, or where that is not known from AddedAt.
	DueAt *time.Time `json:"dueAt,omitempty"`
	// Level is "", "info", "warn", "urgent" or "unused".
	Level        string     `json:"level,omitempty"`
	SnoozedUntil *time.Time `json:"snoozedUntil,omitempty"`
}

// Born returns since when a key is known to be, and whether IAM said so.
func (k Key) Born() (at time.Time, certain bool) {
	if k.CreateDate != nil {
		return *k.CreateDate, true
	}
	return k.AddedAt, false
}

// Due reports whether something is to be done about a key.
func (k Key) Due() bool {
	return k.Level == LevelWarn || k.Level == LevelUrgent || k.Level == LevelUnused
}

// Notice is one thing to say about a key.
type Notice struct {
	Profile     string `json:"profile"` // the first that has the key
	AccessKeyID string `json:"accessKeyId"`
	Level       string `json:"level"`
	Text        string `json:"text"` // a sentence without its full stop
	Next        string `json:"next"` // a command that does something about it
}

// Notices is what a command is to say. They count as said.
type Notices struct {
	Notices []Notice `json:"notices"`
}

// SnoozeParams keeps broker quiet about a key for a time.
type SnoozeParams struct {
	Profile string `json:"profile"`
	Seconds int    `json:"seconds"` // from now; 0: speak again
}
