// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"credbroker/internal/ipc"
)

// A job of cron's, or of launchd's, has nobody who could read that a code is
// wanted and run broker mfa: it waits where a program or a window asks for the
// code, and nowhere else.

// somebodyToAsk refuses to have an unattended caller wait for a code that nobody
// would bring.
func (b *Broker) somebodyToAsk(p *plan, c caller) error {
	if c.unattended == "" {
		return nil
	}
	surfaces := b.files.current().settings.MFA.Surfaces
	command := p.command != nil && slices.Contains(surfaces, surfaceCommand)
	window := c.unattended == ipc.UnattendedWindow && slices.Contains(surfaces, surfaceDialog) && b.opts.Dialog != nil && b.opts.Dialog.Ready()
	if command || window {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.flights[p.id]; f != nil && len(f.surfaces) > 0 { // somebody else's terminal has the question
		return nil
	}
	return nobodyToAsk(p.profile)
}

func nobodyToAsk(profile string) error {
	return fail(ipc.CodeMFARequired, "in a terminal: broker rotate "+profile+"; or have a program bring its codes: mfa_command in broker's config",
		"profile %s needs an MFA code, and nobody is there to be asked for it", profile)
}

// desertedLocked reports whether nothing is left that would ask by itself, now or when
// its turn comes.
func (f *flight) desertedLocked() bool {
	surfaces := f.b.files.current().settings.MFA.Surfaces
	command := f.plan.command != nil && f.commands < maxCommands && slices.Contains(surfaces, surfaceCommand)
	return !command && !(f.dialog && slices.Contains(surfaces, surfaceDialog)) && len(f.surfaces) == 0
}

// waitUnattended is wait for who does not wait for codes that nobody is asked for.
func (f *flight) waitUnattended(ctx context.Context, profile string, patience time.Duration) (*entry, error) {
	asked, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-f.nobody:
			cancel()
		case <-asked.Done():
		}
	}()
	e, err := f.wait(asked, profile, patience)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return nil, nobodyToAsk(profile)
	}
	return e, err
}

// mayRotateUnattended refuses to begin what would stop at once for want of a
// code: a rotation that is begun leaves traces in the vault, if only for a moment.
func (b *Broker) mayRotateUnattended(profile string, c caller) error {
	if c.unattended == "" {
		return nil
	}
	pl, err := b.planner()
	if err != nil {
		return err
	}
	p, err := pl.ofKey(profile)
	if err != nil || p.id.serial == "" || b.warm(p) != nil {
		return err
	}
	return b.somebodyToAsk(p, c)
}
