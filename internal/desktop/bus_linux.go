// SPDX-License-Identifier: Apache-2.0

package desktop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// The bus itself.
const (
	theBus  = "org.freedesktop.DBus"
	busPath = "/org/freedesktop/DBus"
)

// maxSignals is how many signals wait for us. Those of one notice are three.
const maxSignals = 64

// connection is one of ours to a bus.
type connection struct {
	conn    *dbus.Conn
	raw     net.Conn
	bound   time.Duration
	signals chan *dbus.Signal
}

// listener keeps what there is room for. A server that floods us loses its own.
type listener chan *dbus.Signal

// DeliverSignal implements dbus.SignalHandler.
func (l listener) DeliverSignal(_, _ string, s *dbus.Signal) {
	select {
	case l <- s:
	default:
	}
}

// connect introduces us to the bus at an address. The library would wait for it
// without end, and run a program to find one; so the socket is ours.
func (n *Notifier) connect(ctx context.Context, address string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, n.patience())
	defer cancel()
	path, ok := strings.CutPrefix(address, "unix:path=")
	if !ok {
		return nil, errNoBus
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	hangUp := context.AfterFunc(ctx, func() { _ = raw.Close() }) // to end what waits for it
	c := &connection{raw: raw, bound: n.patience(), signals: make(chan *dbus.Signal, maxSignals)}
	c.conn, err = dbus.NewConn(raw, dbus.WithSignalHandler(listener(c.signals)))
	if err != nil {
		_ = raw.Close() // the error that matters is the other
		return nil, err
	}
	if err = c.conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err == nil {
		err = c.conn.Hello()
	}
	if !hangUp() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("connect to the session bus: %w", err)
	}
	return c, nil
}

// close ends all that uses the connection. The socket goes first: the library
// would wait for what it writes.
func (c *connection) close() {
	_ = c.raw.Close()  // it may be closed already
	_ = c.conn.Close() // as above
}

// start sends a call. A bus that takes no more loses the connection.
func (c *connection) start(to, path, method string, flags dbus.Flags, args ...any) *dbus.Call {
	stuck := time.AfterFunc(c.bound, func() { _ = c.raw.Close() }) // to end the write
	defer stuck.Stop()
	return c.conn.Object(to, dbus.ObjectPath(path)).Go(method, flags, nil, args...)
}

// finish waits for the answer and stores it.
func (c *connection) finish(ctx context.Context, call *dbus.Call, results ...any) error {
	late := time.NewTimer(c.bound)
	defer late.Stop()
	select {
	case <-call.Done:
	case <-late.C:
		return errHangs
	case <-c.conn.Context().Done():
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
	err := call.Store(results...)
	var refused dbus.Error
	switch {
	case !errors.As(err, &refused):
		return err
	case slices.Contains(unanswered, refused.Name):
		return errGone
	default: // its text is the other's, and not kept
		return fmt.Errorf("%s: answered with %q", call.Method, refused.Name)
	}
}

// unanswered is what the bus says in the place of who ended before it answered, or
// before it was asked (D-Bus Specification, "Message Bus Messages").
var unanswered = []string{"org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"}

func (c *connection) call(ctx context.Context, to, path, method string, flags dbus.Flags, args []any, results ...any) error {
	return c.finish(ctx, c.start(to, path, method, flags, args...), results...)
}

// ofBus calls a method of the bus itself.
func (c *connection) ofBus(ctx context.Context, method string, args []any, results ...any) error {
	return c.call(ctx, theBus, busPath, theBus+"."+method, 0, args, results...)
}

// serves reports whether somebody shows notifications, or would if asked.
func (c *connection) serves(ctx context.Context) bool {
	var owned bool
	if err := c.ofBus(ctx, "NameHasOwner", []any{notifications}, &owned); err != nil || owned {
		return owned
	}
	var names []string
	err := c.ofBus(ctx, "ListActivatableNames", nil, &names)
	return err == nil && slices.Contains(names, notifications)
}

// listen asks for the signals of who shows notifications, and for the end of
// it. It returns its name on the bus, which nobody else can have, and what it
// can do.
func (c *connection) listen(ctx context.Context) (server string, capabilities []string, err error) {
	for _, rule := range []string{
		"type='signal',sender='" + notifications + "',interface='" + notifications + "'",
		"type='signal',sender='" + theBus + "',interface='" + theBus + "',member='NameOwnerChanged',arg0='" + notifications + "'",
	} {
		if err := c.ofBus(ctx, "AddMatch", []any{rule}); err != nil {
			return "", nil, err
		}
	}
	// This starts the service where the bus knows how to.
	if err := c.call(ctx, notifications, notificationsPath, notifications+".GetCapabilities", 0, nil, &capabilities); err != nil {
		return "", nil, err
	}
	if err := c.ofBus(ctx, "GetNameOwner", []any{notifications}, &server); err != nil {
		return "", nil, err
	}
	return server, capabilities, nil
}

// await returns what becomes of a notice that is up. Signals go to everybody on
// the bus, about everybody's notices, and anybody can send them.
func (c *connection) await(ctx context.Context, server string, number uint32, note Notice) (Answer, error) {
	var answer Answer
	for {
		var s *dbus.Signal
		select {
		case s = <-c.signals:
		case <-c.conn.Context().Done():
			return Answer{}, errGone
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
		if s.Sender == theBus && s.Name == theBus+".NameOwnerChanged" {
			return Answer{}, errGone // and the notice with it
		}
		if s.Sender != server || s.Path != notificationsPath || len(s.Body) != 2 || s.Body[0] != number {
			continue
		}
		text, _ := s.Body[1].(string)
		switch s.Name {
		case notifications + ".ActivationToken":
			answer.Activation = text
		case notifications + ".ActionInvoked":
			if note.has(text) {
				answer.Action = text
				return answer, nil
			}
		case notifications + ".NotificationClosed":
			return Answer{}, nil
		}
	}
}

// withdraw takes a notice off the screen, if it is there.
func (c *connection) withdraw(ctx context.Context, server string, number uint32) {
	call := c.start(server, notificationsPath, notifications+".CloseNotification", dbus.FlagNoAutoStart, number)
	// Whether it was there does not matter. The answer does: by then it was read.
	_ = c.finish(context.WithoutCancel(ctx), call)
}
