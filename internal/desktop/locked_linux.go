// SPDX-License-Identifier: Apache-2.0

package desktop

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// savers are the programs that lock screens and say so on the session bus: those
// of KDE and Xfce by the common name, GNOME, Cinnamon and MATE by their own.
var savers = [][2]string{
	{"org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"},
	{"org.freedesktop.ScreenSaver", "/ScreenSaver"},
	{"org.gnome.ScreenSaver", "/org/gnome/ScreenSaver"},
	{"org.cinnamon.ScreenSaver", "/org/cinnamon/ScreenSaver"},
	{"org.mate.ScreenSaver", "/org/mate/ScreenSaver"},
	{"org.xfce.ScreenSaver", "/org/xfce/ScreenSaver"},
}

// logind knows of locked sessions on the system bus. "auto" is the user's own,
// the one with the screen for a caller that is in none.
const (
	logind      = "org.freedesktop.login1"
	sessionPath = "/org/freedesktop/login1/session/auto"
)

// locked reports whether anybody who could know says that the screen is locked.
// Who is not there, or does not answer in time, says nothing.
func (n *Notifier) locked(ctx context.Context, c *connection) bool {
	if n.sessionLocked(ctx) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, n.patience())
	defer cancel()
	var calls []*dbus.Call
	for _, saver := range savers {
		calls = append(calls, c.start(saver[0], saver[1], saver[0]+".GetActive", dbus.FlagNoAutoStart))
	}
	for _, call := range calls {
		var active bool
		if c.finish(ctx, call, &active) == nil && active {
			return true
		}
	}
	return false
}

func (n *Notifier) sessionLocked(ctx context.Context) bool {
	if n.SystemBus == "" {
		return false
	}
	c, err := n.connect(ctx, n.SystemBus)
	if err != nil {
		return false
	}
	defer c.close()
	var locked dbus.Variant
	err = c.call(ctx, logind, sessionPath, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart,
		[]any{logind + ".Session", "LockedHint"}, &locked)
	value, ok := locked.Value().(bool)
	return err == nil && ok && value
}
