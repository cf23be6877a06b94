// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain

import (
	"context"
	"errors"

	"github.com/godbus/dbus"

	"credbroker/vault"
)

// turnName is a name on the bus that whoever asks for a dialog owns, so that
// one dialog serves all workers. The bus gives it to the next in line when the
// one before has ended, however it did.
const turnName = "dev.credbroker.Unlock"

// unlock asks the Secret Service to unlock a collection, once for all workers
// that wait for it. That may show its dialog, for which the context is the
// limit. The library's own way of asking has none, and takes a dialog that was
// cancelled for one that was answered.
func unlock(ctx context.Context, c Config, b bus, at collection) error {
	waited, err := awaitTurn(ctx, c, b)
	if err != nil {
		return err
	}
	defer b.conn.ReleaseName(turnName) //nolint:errcheck // the name goes with the connection
	if waited {
		locked, err := property[bool](ctx, b, at.path, collIface, "Locked")
		if err == nil && locked {
			err = &vault.Error{Kind: vault.ErrDenied, Text: at.name + " stayed locked: its dialog was cancelled, or nobody answered it"}
		}
		return err
	}
	return askToUnlock(ctx, c, b, at)
}

// awaitTurn waits until no other worker asks, and reports whether one did.
func awaitTurn(ctx context.Context, c Config, b bus) (waited bool, err error) {
	signals := make(chan *dbus.Signal, 16)
	b.conn.Signal(signals)
	defer b.conn.RemoveSignal(signals)
	quick, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	var reply dbus.RequestNameReply
	if err := b.call(quick, busName, "/org/freedesktop/DBus", busName+".RequestName", []any{turnName, uint32(0)}, &reply); err != nil {
		return false, err
	}
	if reply == dbus.RequestNameReplyPrimaryOwner || reply == dbus.RequestNameReplyAlreadyOwner {
		return false, nil
	}
	for {
		select {
		case s, open := <-signals:
			switch {
			case !open:
				return true, gone("the session bus went away while the keyring's dialog was up")
			case s.Name == busName+".NameAcquired" && len(s.Body) == 1 && s.Body[0] == turnName:
				return true, nil
			}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return true, ctx.Err()
			}
			return true, &vault.Error{Kind: vault.ErrTimeout, Text: "nobody answered the keyring's dialog"}
		}
	}
}

func askToUnlock(ctx context.Context, c Config, b bus, at collection) error {
	quick, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	var unlocked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	if err := b.service(quick, "Unlock", []any{[]dbus.ObjectPath{at.path}}, &unlocked, &prompt); err != nil {
		return err
	}
	if prompt != "/" {
		if err := answer(ctx, c, b, at, prompt); err != nil {
			return err
		}
	}
	locked, err := property[bool](ctx, b, at.path, collIface, "Locked")
	if err == nil && locked {
		err = &vault.Error{Kind: vault.ErrLocked, Text: at.name + " stayed locked"}
	}
	return err
}

// answer shows a prompt and waits for its end.
func answer(ctx context.Context, c Config, b bus, at collection, prompt dbus.ObjectPath) error {
	signals := make(chan *dbus.Signal, 16)
	b.conn.Signal(signals)
	defer b.conn.RemoveSignal(signals)
	quick, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	if err := b.call(quick, serviceName, prompt, promptIface+".Prompt", []any{""}); err != nil {
		return err
	}
	for {
		select {
		case s, open := <-signals:
			switch {
			case !open:
				return gone("the session bus went away while the keyring's dialog was up")
			case s.Name == busName+".NameOwnerChanged" && ownerLost(s.Body):
				return gone("the keyring went away while its dialog was up")
			case s.Name == promptIface+".Completed" && s.Path == prompt:
				return completed(ctx, c, b, at, s.Body)
			}
		case <-ctx.Done():
			dismiss(ctx, c, b, prompt)
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &vault.Error{Kind: vault.ErrTimeout, Text: "nobody answered the keyring's dialog"}
		}
	}
}

// dismiss takes a dialog down for which nobody waits any more, as well as it
// can. That of gnome-keyring stays up: version 42 ends with a failed assertion
// (gkd-secret-unlock.c, perform_next_unlock) when it is dismissed, and whoever
// answers it late unlocks the keyring for the next call.
func dismiss(ctx context.Context, c Config, b bus, prompt dbus.ObjectPath) {
	if isGnome(context.WithoutCancel(ctx), c, b) {
		return
	}
	b.conn.Object(serviceName, prompt).Go(promptIface+".Dismiss", dbus.FlagNoReplyExpected, nil)
}

// completed reads the end of a prompt.
func completed(ctx context.Context, c Config, b bus, at collection, body []any) error {
	if len(body) > 0 && body[0] == false {
		return nil
	}
	if cannotAsk(ctx, c, b) {
		return &vault.Error{
			Kind: vault.ErrLocked, Text: at.name + " is locked, and there is no desktop to ask for its password",
			Hint: "unlock it by logging in to the desktop, and try again",
		}
	}
	return &vault.Error{Kind: vault.ErrDenied, Text: "the keyring's dialog was cancelled"}
}

// cannotAsk reports whether a dismissal was gnome-keyring's own: without a
// desktop it ends its prompts at once, as if the user had.
func cannotAsk(ctx context.Context, c Config, b bus) bool {
	if !isGnome(ctx, c, b) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	var started uint32
	return b.call(ctx, busName, "/org/freedesktop/DBus", busName+".StartServiceByName", []any{gnomePrompter, uint32(0)}, &started) != nil
}

// isGnome reports whether the keyring is gnome-keyring.
func isGnome(ctx context.Context, c Config, b bus) bool {
	ctx, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	var owned bool
	err := b.call(ctx, busName, "/org/freedesktop/DBus", busName+".NameHasOwner", []any{gnomeKeyring}, &owned)
	return err == nil && owned
}

// ownerLost reads a NameOwnerChanged signal: name, old owner, new owner.
func ownerLost(body []any) bool {
	return len(body) == 3 && body[0] == serviceName && body[2] == ""
}

func gone(text string) error { return &vault.Error{Kind: vault.ErrGone, Text: text} }
