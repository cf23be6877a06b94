// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"credbroker/internal/ipc"
)

// opMFA answers, or cancels, what waits for a code. Its conversation is the
// surface: the user came to answer. With nothing pending a named profile is
// primed now.
func (b *Broker) opMFA(ctx context.Context, r ipc.Request, c conversation) (any, error) {
	var params ipc.MFAParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if params.Code != "" && !isCode(params.Code) {
		return nil, fail(ipc.CodeUsage, "", "an MFA code has six digits")
	}
	pending, p, err := b.pendingFor(ctx, params.Profile)
	if err != nil {
		return nil, err
	}
	switch {
	case params.Cancel:
		if len(pending) == 0 {
			return nil, notPending()
		}
		return b.cancelAll(ctx, pending)
	case len(pending) == 0 && p == nil:
		return nil, notPending()
	case params.Code == "" && !c.CanAsk() && (p == nil || p.id.serial != ""):
		return nil, fail(ipc.CodeUsage, "give the code as an argument: "+mfaCommand(params.Profile), "there is no terminal to ask on")
	case len(pending) == 0:
		f, err := b.prime(ctx, p)
		if err != nil || f == nil {
			return noResult(), err
		}
		pending = []*flight{f}
	}
	if err := b.oneDevice(pending, params.Code); err != nil {
		return nil, err
	}
	return b.answerAll(ctx, pending, params.Code, callerOf(r, c))
}

// mfaCommand is the command line that brings a code. Where none is waited for
// yet only one with a profile gets anywhere.
func mfaCommand(profile string) string {
	if profile == "" {
		return "broker mfa CODE"
	}
	return "broker mfa CODE -p " + profile
}

// noResult is where a result begins: its lists are never null.
func noResult() ipc.MFAResult {
	return ipc.MFAResult{Answered: []ipc.Pending{}, Cancelled: []ipc.Pending{}}
}

// cancelAll cancels flights, all at once: one that ends hands its device to the
// next, which would ask before it is told. A flight whose code AWS has already
// is not cancelled if AWS takes it.
func (b *Broker) cancelAll(ctx context.Context, pending []*flight) (any, error) {
	result := noResult()
	var were []ipc.Pending
	for _, f := range pending {
		were = append(were, b.describe(f))
		f.end(cancelled(f.plan))
	}
	for i, f := range pending {
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.err != nil {
			result.Cancelled = append(result.Cancelled, were[i])
		}
	}
	return result, nil
}

// answerAll brings a code to one flight, or lets each of them ask through the
// conversation.
func (b *Broker) answerAll(ctx context.Context, pending []*flight, code string, answers caller) (any, error) {
	result := noResult()
	answers.answers = true
	for len(pending) > 0 {
		f := b.nextInTurn(pending)
		was := b.describe(f)
		if err := b.answer(ctx, f, code, answers); err != nil {
			return nil, err
		}
		result.Answered = append(result.Answered, was)
		if code != "" {
			break // one code, one flight
		}
		pending = slices.DeleteFunc(pending, func(have *flight) bool { return have == f })
	}
	return result, nil
}

// oneDevice refuses a code that could be meant for several devices: it would
// be spent on the wrong one. Flights of one device come one after the other.
func (b *Broker) oneDevice(pending []*flight, code string) error {
	if code == "" {
		return nil
	}
	var serials, waiting []string
	for _, f := range pending {
		p := b.describe(f)
		if !slices.Contains(serials, p.SerialNumber) {
			serials = append(serials, p.SerialNumber)
		}
		waiting = append(waiting, fmt.Sprintf("%s (%s)", p.SerialNumber, strings.Join(p.Profiles, ", ")))
	}
	if len(serials) < 2 {
		return nil
	}
	return fail(ipc.CodeUsage, "say whose code it is: broker mfa CODE -p PROFILE",
		"%d MFA devices are waited for: %s", len(serials), strings.Join(waiting, ", "))
}

// nextInTurn returns the flight to answer first: one that has its device. If
// all of them wait for a device it is the one that keeps it from them, because
// until that one is answered no code is of use to the others.
func (b *Broker) nextInTurn(pending []*flight) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range pending {
		if f.inTurn {
			return f
		}
	}
	for _, f := range b.flights {
		if f.inTurn && f.plan.id.serial == pending[0].plan.id.serial {
			return f
		}
	}
	return pending[0]
}

func notPending() error {
	return fail(ipc.CodeMFANotPending, "to get a session now: broker mfa -p PROFILE", "no MFA code is being waited for")
}

// pendingFor returns the flights, the oldest first: all of them, or the one
// that serves profile, and the plan of profile if one is named.
func (b *Broker) pendingFor(ctx context.Context, profile string) ([]*flight, *plan, error) {
	var p *plan
	if profile != "" {
		var err error
		if p, err = b.plan(ctx, profile, caller{ask: ipc.AskTerminal}); err != nil {
			return nil, nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []*flight
	for id, f := range b.flights {
		if p == nil || id == p.id {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(f, g *flight) int { return f.since.Compare(g.since) })
	return list, p, nil
}

func (b *Broker) describe(f *flight) ipc.Pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	return f.pendingLocked()
}

// prime starts a flight for p, or gets the session where that needs no code;
// then the flight is nil.
func (b *Broker) prime(ctx context.Context, p *plan) (*flight, error) {
	if p.id.serial == "" {
		_, err := b.root(ctx, p, caller{})
		return nil, err
	}
	if err := b.youngEnough(p); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.openedLocked(); err != nil {
		return nil, wrap(err, "profile %s", p.profile)
	}
	if err := b.servable(p); err != nil {
		return nil, err
	}
	if f := b.flights[p.id]; f != nil {
		return f, nil
	}
	return b.launchLocked(ctx, p), nil
}

// answer brings a code to f, or lets f ask through the conversation until it
// ends. The error is what became of the code.
func (b *Broker) answer(ctx context.Context, f *flight, code string, c caller) error {
	if code == "" {
		s := newSurface(c)
		b.attach(f, nil, s)
		defer b.leave(f, nil, s)
		_, err := f.wait(ctx, f.plan.profile, 0)
		return err
	}
	t := typed{code: code, refused: make(chan error, 1)}
	select {
	case f.codes <- t:
	case <-f.done:
		return firstOf(f.err, notPending())
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-t.refused:
		return err
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
