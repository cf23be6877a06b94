// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"credbroker/broker"
	"credbroker/broker/nag"
	"credbroker/internal/desktop"
)

// systemBus is where the bus of the machine is, on every Linux distribution. It
// knows whether the screen is locked, and is told nothing.
const systemBus = "unix:path=/run/dbus/system_bus_socket"

// notifier shows notices on the desktop.
type notifier struct {
	notices *desktop.Notifier
	pressed *activation
}

var _ broker.Notifier = notifier{}

func newNotifier(bus string) notifier {
	return notifier{&desktop.Notifier{Bus: bus, SystemBus: systemBus}, &activation{now: time.Now}}
}

// Ready implements broker.Notifier.
func (n notifier) Ready() bool { return n.notices.Ready(context.Background()) }

// Notify implements broker.Notifier.
func (n notifier) Notify(ctx context.Context, notice broker.Notice) (string, error) {
	answer, err := n.notices.Notify(ctx, asShown(notice))
	n.pressed.keep(answer.Activation)
	return answer.Action, err
}

// asShown puts a notice into the form of the desktop. Whatever it is about, no
// button does what its command would not.
func asShown(n broker.Notice) desktop.Notice {
	out := desktop.Notice{ID: n.AccessKeyID, Title: n.Title, Body: sentence(n.Text), Urgency: urgency(n.Level)}
	var instead []string
	switch n.Next {
	case "":
	case "broker rotate " + n.Profile:
		out.Actions = append(out.Actions, desktop.Action{ID: broker.ActionRotate, Label: "Rotate now"})
		instead = append(instead, n.Next)
	default:
		out.Body += "\n" + n.Next
	}
	if n.Level != nag.None { // else it says how something ended
		out.Actions = append(out.Actions, desktop.Action{ID: broker.ActionSnooze, Label: "Snooze for a week"})
		instead = append(instead, "broker snooze "+n.Profile)
	}
	out.Instead = strings.Join(instead, "\n")
	return out
}

func urgency(l nag.Level) desktop.Urgency {
	switch l {
	case nag.Info:
		return desktop.UrgencyLow
	case nag.Urgent:
		return desktop.UrgencyCritical
	}
	return desktop.UrgencyNormal
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// activationLife is how long after a button was pressed a window may come to the
// front because of it.
const activationLife = 30 * time.Second

// activation is what a desktop gave with the press of a button.
type activation struct {
	now func() time.Time

	mu    sync.Mutex
	given string
	until time.Time
}

func (a *activation) keep(given string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given, a.until = given, a.now().Add(activationLife)
}

// environ is what a program is started with whose window is to come to the
// front: nothing, unless somebody has just pressed a button.
func (a *activation) environ() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.given == "" || strings.Contains(a.given, "\x00") || !a.now().Before(a.until) {
		return nil
	}
	return []string{"XDG_ACTIVATION_TOKEN=" + a.given, "DESKTOP_STARTUP_ID=" + a.given}
}
