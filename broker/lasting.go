// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"slices"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// want is what a caller says of the life of the credentials it wants. The zero
// want leaves it to the profile.
type want struct {
	life      time.Duration // when AWS makes them
	remaining time.Duration // when they are handed out
	// insists says that the caller is a user in a terminal, who would rather
	// type a code than get less than what was asked for.
	insists bool
	// revokes says that a session is for revoking its key, or for taking that back.
	revokes bool
}

// settlesFor reports whether e, which is valid, will do after a renewal that
// went wrong. A user who wants more, or has just cancelled, is told instead.
func (w want) settlesFor(e *entry, err error) bool {
	return !w.insists || e.asked >= w.life && !hasCode(err, ipc.CodeMFACancelled)
}

// lasting returns p for a caller that says how long its credentials are to
// live. What AWS would refuse is refused here, before any call and any code.
// Only AWS's own limits hold: the lengths in the config are defaults, and the
// word of the caller comes before them.
func (p *plan) lasting(params ipc.CredentialsParams, terminal bool) (*plan, error) {
	seconds := params.DurationSeconds
	if seconds == 0 && params.RemainingSeconds == 0 {
		return p, nil
	}
	what, most := "a session of a key", awsconfig.MaxSessionDuration
	if n := len(p.roles); n > 0 {
		what, most = "a role", awsconfig.MaxRoleDuration
		if p.roles[n-1].chained {
			what, most = "a role that is reached from a role", hourOnly
		}
	}
	least := awsconfig.MinSessionDuration
	if seconds < int(least/time.Second) || seconds > int(most/time.Second) {
		return nil, fail(ipc.CodeUsage, "ask for "+awsconfig.FormatLife(least)+" to "+awsconfig.FormatLife(most),
			"profile %s: %s lasts from %s to %s", p.profile, what, awsconfig.FormatLife(least), awsconfig.FormatLife(most))
	}
	if params.RemainingSeconds < 0 || params.RemainingSeconds > seconds {
		return nil, fail(ipc.CodeUsage, "", "remainingSeconds is not between 0 and durationSeconds")
	}
	long := *p
	long.want = want{
		life:      time.Duration(seconds) * time.Second,
		remaining: time.Duration(params.RemainingSeconds) * time.Second,
		insists:   terminal && params.RemainingSeconds > 0,
	}
	if n := len(p.roles); n > 0 {
		long.roles = slices.Clone(p.roles)
		long.roles[n-1].input.DurationSeconds = seconds
	} else {
		long.duration = long.want.life
	}
	return &long, nil
}

// enough reports whether e, of the last step of p, is to be served as it is.
func (p *plan) enough(c Clock, e *entry) bool {
	return e.fresh(c, p.minRemaining) && e.asked >= p.want.life && e.left(c) >= p.want.remaining
}

// longest returns the plan of a flight for the longest life that anybody who
// has joined it asked for.
func (f *flight) longest() *plan {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	p := *f.plan
	p.duration = f.life
	return &p
}

// bearsNoPrompt reports whether whatever is valid is to be served because more
// would cost a code.
func (p *plan) bearsNoPrompt() bool { return p.id.serial != "" && !p.want.insists }
