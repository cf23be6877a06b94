// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/godbus/dbus"

	"credbroker/vault"
)

// Names of the bus and of the Secret Service that broker uses.
// https://specifications.freedesktop.org/secret-service-spec/latest/
const (
	busName       = "org.freedesktop.DBus"
	serviceName   = "org.freedesktop.secrets"
	servicePath   = dbus.ObjectPath("/org/freedesktop/secrets")
	serviceIface  = "org.freedesktop.Secret.Service"
	collIface     = "org.freedesktop.Secret.Collection"
	itemIface     = "org.freedesktop.Secret.Item"
	promptIface   = "org.freedesktop.Secret.Prompt"
	collectionDir = "/org/freedesktop/secrets/collection/"
	gnomeKeyring  = "org.gnome.keyring"                // a name that gnome-keyring has beside the Service's
	gnomePrompter = "org.gnome.keyring.SystemPrompter" // what shows its dialogs
)

// bus is the library's own connection to the session bus: one of this old
// godbus, so that signals which it waits for reach it too.
type bus struct{ conn *dbus.Conn }

// dial returns the connection, which was made before main if it could be.
func dial(ctx context.Context) (bus, error) {
	conn, err := bounded(ctx, "connect to the session bus", dbus.SessionBus)
	var known *vault.Error
	if err != nil && !errors.As(err, &known) && !errors.Is(err, context.Canceled) {
		err = &vault.Error{
			Kind: vault.ErrGone, Text: "connect to the session bus", Err: err,
			Hint: "log in to the desktop, or keep keys in files: broker init --backend file",
		}
	}
	if err != nil {
		return bus{}, err
	}
	b := bus{conn}
	// The library waits for Completed of its prompts without asking the bus to
	// deliver it. Services that broadcast it, as the specification has it,
	// would leave it waiting for ever.
	// https://github.com/gsterjov/go-libsecret/pull/5
	if err := b.match(ctx, "type='signal',interface='"+promptIface+"',member='Completed'"); err != nil {
		return bus{}, err
	}
	return b, b.match(ctx, "type='signal',sender='"+busName+"',interface='"+busName+"',member='NameOwnerChanged',arg0='"+serviceName+"'")
}

func (b bus) match(ctx context.Context, rule string) error {
	return b.call(ctx, busName, "/org/freedesktop/DBus", busName+".AddMatch", []any{rule})
}

// call calls a method and stores its results in out.
func (b bus) call(ctx context.Context, dest string, path dbus.ObjectPath, method string, args []any, out ...any) error {
	// The values are stored only if the call is still waited for.
	act := "ask the keyring (" + method[strings.LastIndexByte(method, '.')+1:] + ")"
	body, err := bounded(ctx, act, func() ([]any, error) {
		c := b.conn.Object(dest, path).Call(method, 0, args...)
		return c.Body, c.Err
	})
	if err != nil {
		return busError(act, err)
	}
	if err := dbus.Store(body, out...); err != nil {
		return &vault.Error{Kind: vault.ErrFailed, Text: act + ": the answer is something else"}
	}
	return nil
}

// service calls a method of the Secret Service itself.
func (b bus) service(ctx context.Context, method string, args []any, out ...any) error {
	return b.call(ctx, serviceName, servicePath, serviceIface+"."+method, args, out...)
}

// property reads a property of an object of the Secret Service.
func property[T any](ctx context.Context, b bus, path dbus.ObjectPath, iface, name string) (T, error) {
	var variant dbus.Variant
	var zero T
	err := b.call(ctx, serviceName, path, "org.freedesktop.DBus.Properties.Get", []any{iface, name}, &variant)
	if err != nil {
		return zero, err
	}
	value, ok := variant.Value().(T)
	if !ok {
		return zero, &vault.Error{Kind: vault.ErrFailed, Text: "property " + name + " of the keyring is something else"}
	}
	return value, nil
}

// errorKinds are the D-Bus errors that say more than that something failed.
var errorKinds = map[string]error{
	"org.freedesktop.Secret.Error.IsLocked":          vault.ErrLocked,
	"org.freedesktop.Secret.Error.NoSuchObject":      vault.ErrGone,
	"org.freedesktop.DBus.Error.AccessDenied":        vault.ErrDenied,
	"org.freedesktop.DBus.Error.AuthFailed":          vault.ErrDenied,
	"org.freedesktop.DBus.Error.Timeout":             vault.ErrTimeout,
	"org.freedesktop.DBus.Error.TimedOut":            vault.ErrTimeout,
	"org.freedesktop.DBus.Error.ServiceUnknown":      vault.ErrGone,
	"org.freedesktop.DBus.Error.NameHasNoOwner":      vault.ErrGone,
	"org.freedesktop.DBus.Error.Disconnected":        vault.ErrGone,
	"org.freedesktop.DBus.Error.NoServer":            vault.ErrGone,
	"org.freedesktop.DBus.Error.Spawn.ExecFailed":    vault.ErrGone,
	"org.freedesktop.DBus.Error.Spawn.ChildExited":   vault.ErrGone,
	"org.freedesktop.DBus.Error.Spawn.ForkFailed":    vault.ErrGone,
	"org.freedesktop.DBus.Error.Spawn.Failed":        vault.ErrGone,
	"org.freedesktop.DBus.Error.Spawn.ChildSignaled": vault.ErrGone,
}

// noReply is what the bus answers in the place of a service that has ended
// meanwhile.
const noReply = "org.freedesktop.DBus.Error.NoReply"

// busError says what an error of the bus, or of the library on it, means for a
// store.
func busError(act string, err error) error {
	var known *vault.Error
	if errors.As(err, &known) {
		return err
	}
	e := &vault.Error{Kind: vault.ErrFailed, Text: act, Err: err}
	var fromBus dbus.Error
	switch {
	case errors.As(err, &fromBus) && fromBus.Name == noReply:
		e.Kind, e.Text, e.Err = vault.ErrGone, act+": the keyring went away", nil
	case errors.As(err, &fromBus):
		if kind, ok := errorKinds[fromBus.Name]; ok {
			e.Kind = kind
		}
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, dbus.ErrClosed), errors.Is(err, io.EOF):
		e.Kind, e.Text, e.Err = vault.ErrGone, act+": the session bus went away", nil
	}
	return e
}
