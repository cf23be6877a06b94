// SPDX-License-Identifier: Apache-2.0

package nag

import "time"

// Level says how urgent a key is. The zero value is: not at all.
type Level string

// The levels, the mildest first.
const (
	None   Level = ""
	Info   Level = "info"   // it will be due soon
	Warn   Level = "warn"   // it is due
	Urgent Level = "urgent" // it has been due for a week
	Unused Level = "unused" // nobody uses it: delete it rather than replace it
)

// urgentAfter is how long after it is due a key is urgent.
const urgentAfter = 7 * 24 * time.Hour

// Due reports whether something is to be done about a key of this level.
func (l Level) Due() bool { return l == Warn || l == Urgent || l == Unused }

// rank orders levels by what to say first.
func (l Level) rank() int {
	switch l {
	case Urgent:
		return 4
	case Warn:
		return 3
	case Unused:
		return 2
	case Info:
		return 1
	}
	return 0
}

// Key is what is known of one access key.
type Key struct {
	AccessKeyID string
	Profiles    []string // that have it, sorted; at least one
	Born        time.Time
	// Certain is false when IAM did not say when the key was made: then Born is
	// when it was stored, and it is at least that old.
	Certain bool
	// UseKnown says that IAM told of its use, and LastUsed when that was; zero
	// for never.
	UseKnown bool
	LastUsed time.Time
	MaxAge   time.Duration // at which it is due; 0: never
	Rotating bool          // it is being replaced: nothing is left to say
	Stuck    bool          // as Rotating, and that waits for a person
}

// Policy is what the config says, for every key.
type Policy struct {
	WarnBefore  time.Duration
	UnusedAfter time.Duration // 0: unused keys are like others
	Repeat      time.Duration // at least a day
	Quiet       func(time.Time) bool
}

// Verdict is how a key stands. The zero Due is never.
type Verdict struct {
	Level Level
	Age   time.Duration
	Due   time.Time
	Idle  time.Duration // since the last use, or since it was made; 0: not known
}

// Judge returns how a key stands at a time.
func (p Policy) Judge(k Key, now time.Time) Verdict {
	v := Verdict{Age: max(now.Sub(k.Born), 0)}
	if k.UseKnown {
		since := k.Born
		if k.LastUsed.After(since) {
			since = k.LastUsed
		}
		v.Idle = max(now.Sub(since), 0)
	}
	if k.MaxAge > 0 {
		v.Due = k.Born.Add(k.MaxAge)
		switch {
		case !now.Before(v.Due.Add(urgentAfter)):
			v.Level = Urgent
		case !now.Before(v.Due):
			v.Level = Warn
		case !now.Before(v.Due.Add(-p.WarnBefore)):
			v.Level = Info
		}
	}
	if p.UnusedAfter > 0 && v.Idle >= p.UnusedAfter {
		v.Level = Unused
	}
	return v
}
