// SPDX-License-Identifier: Apache-2.0

package desktop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/godbus/dbus/v5"
)

// The service that shows notifications.
// https://specifications.freedesktop.org/notification-spec/latest/protocol.html
const (
	notifications     = "org.freedesktop.Notifications"
	notificationsPath = "/org/freedesktop/Notifications"
)

const (
	appName  = "broker"
	appIcon  = "dialog-password"  // of every icon theme
	category = "x-credbroker.key" // the specification has none for this
	byServer = int32(-1)          // the server knows how long its user needs
)

var (
	errLocked   = errors.New("the screen is locked")
	errReplaced = errors.New("a later notice took its place")
	errGone     = errors.New("the notification service has ended")
	errTooMany  = errors.New("too many notices are up")
	errHangs    = errors.New("the notification service takes too long")
	errNoBus    = errors.New("there is no session bus")
	errBroken   = errors.New("the notification service did not answer as it should")
)

// Ready reports whether a notification could be shown now, and somebody might
// see it: not where the screen is known to be locked. It takes at most half a
// second.
func (n *Notifier) Ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, n.patience())
	defer cancel()
	if n.hangs() {
		return false
	}
	c, err := n.connect(ctx, n.Bus)
	if err != nil {
		return false
	}
	defer c.close()
	return c.serves(ctx) && !n.locked(ctx, c)
}

// hangs reports whether a server owes us an answer.
func (n *Notifier) hangs() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.owing) > 0
}

// Notify shows a notice until the user answers or closes it, the desktop takes
// it away, or ctx ends, and returns the answer. It takes the place of an earlier
// one with the same ID, whose Notify then returns the zero Answer. An error wraps
// ErrUnnoticed or is that of ctx; it comes soon, whatever the desktop does.
func (n *Notifier) Notify(ctx context.Context, note Notice) (Answer, error) {
	shown, s, err := n.begin(ctx, note.ID)
	if err == nil {
		defer n.end(note.ID, s)
		var answer Answer
		answer, err = n.show(shown, s, note)
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(context.Cause(shown), errReplaced):
			return Answer{}, nil
		}
	}
	if ctx.Err() != nil {
		return Answer{}, ctx.Err()
	}
	return Answer{}, fmt.Errorf("%w: %w", ErrUnnoticed, err)
}

// begin takes the place of the notice that is up with this ID.
func (n *Notifier) begin(ctx context.Context, id string) (context.Context, *showing, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &showing{replace: func() { cancel(errReplaced) }, done: make(chan struct{})}
	n.mu.Lock()
	before := n.shown[id]
	var err error
	switch {
	case len(n.owing) > 0:
		err = errHangs
	case before == nil && len(n.shown) >= maxNotices:
		err = errTooMany
	}
	if err != nil {
		n.mu.Unlock()
		cancel(nil)
		return nil, nil, err
	}
	if n.shown == nil {
		n.shown = map[string]*showing{}
	}
	n.shown[id] = s
	n.mu.Unlock()
	if before != nil {
		before.replace()
		<-before.done // soon: its context has ended
		s.server, s.number = before.server, before.number
	}
	return ctx, s, nil
}

func (n *Notifier) end(id string, s *showing) {
	s.replace() // gives the context up
	n.mu.Lock()
	if n.shown[id] == s {
		delete(n.shown, id)
	}
	n.mu.Unlock()
	close(s.done)
}

// show puts one notice up and waits for what becomes of it.
func (n *Notifier) show(ctx context.Context, s *showing, note Notice) (Answer, error) {
	c, err := n.connect(ctx, n.Bus)
	if err != nil {
		return Answer{}, err
	}
	kept := false // by somebody who closes it
	defer func() {
		if !kept {
			c.close()
		}
	}()
	server, capabilities, err := n.introduce(ctx, c)
	if err != nil {
		if s.number != 0 {
			c.withdraw(ctx, s.server, s.number)
		}
		return Answer{}, err
	}
	replaces := s.number
	if server != s.server {
		replaces = 0 // the number is another's by now
	}
	s.server, s.number = "", 0
	call := c.start(server, notificationsPath, notifications+".Notify", 0, note.arguments(replaces, capabilities)...)
	var number uint32
	err = c.finish(context.WithoutCancel(ctx), call, &number) // it is shown now, whether or not it is still wanted
	if err == nil && number == 0 {
		err = errBroken
	}
	if err != nil {
		if kept = errors.Is(err, errHangs); kept {
			n.takeBack(ctx, c, server, call)
		}
		return Answer{}, err
	}
	answer, err := c.await(ctx, server, number, note)
	if errors.Is(context.Cause(ctx), errReplaced) {
		s.server, s.number = server, number // it stays until the next one is there
		return Answer{}, errReplaced
	}
	c.withdraw(ctx, server, number) // some servers leave it standing, with buttons that do nothing
	return answer, err
}

// introduce finds out who shows notifications and what it can do, unless nobody
// could see one.
func (n *Notifier) introduce(ctx context.Context, c *connection) (server string, capabilities []string, err error) {
	if n.locked(ctx, c) {
		return "", nil, errLocked
	}
	return c.listen(ctx)
}

// arguments are those of Notify.
func (note Notice) arguments(replaces uint32, capabilities []string) []any {
	buttons := slices.Contains(capabilities, "actions")
	actions := []string{}
	if buttons {
		for _, a := range note.Actions {
			actions = append(actions, a.ID, line(a.Label))
		}
	}
	hints := map[string]dbus.Variant{
		"urgency":  dbus.MakeVariant(byte(note.Urgency)),
		"category": dbus.MakeVariant(category),
	}
	return []any{
		appName, replaces, appIcon, shortened(line(note.Title), maxTitle),
		note.body(buttons, slices.Contains(capabilities, "body-markup")), actions, hints, byServer,
	}
}

// takeBack closes a notice whose server has not said in time that it is there,
// when it does: nobody listens to its buttons. Until then, the server hangs.
func (n *Notifier) takeBack(ctx context.Context, c *connection, server string, call *dbus.Call) {
	n.mu.Lock()
	if n.owing == nil {
		n.owing = map[closer]bool{}
	}
	n.owing[c] = true
	n.mu.Unlock()
	n.taking.Go(func() {
		defer c.close()
		select {
		case <-call.Done:
			var number uint32
			if call.Store(&number) == nil {
				c.withdraw(ctx, server, number)
			}
		case <-c.conn.Context().Done(): // the bus has ended, or we have
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.owing, c)
	})
}

// Close gives up what a server still owes, and returns when nothing of the
// Notifier runs any more. Every Notify must have returned.
func (n *Notifier) Close() {
	n.mu.Lock()
	for c := range n.owing {
		c.close()
	}
	n.mu.Unlock()
	n.taking.Wait()
}
