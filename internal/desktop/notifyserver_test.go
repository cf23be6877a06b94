// SPDX-License-Identifier: Apache-2.0

//go:build linux

package desktop

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"credbroker/internal/testprograms"
	"credbroker/vault/vaulttest"
)

// notificationDaemon is where Debian has the one that needs no desktop.
const notificationDaemon = "/usr/lib/notification-daemon/notification-daemon"

// realServer starts a program that shows notifications on a screen.
func (s *screen) realServer(b *vaulttest.Bus) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(notificationDaemon)
	cmd.Env = append(s.environ(), "DBUS_SESSION_BUS_ADDRESS="+b.Address, "NO_AT_BRIDGE=1", "GTK_THEME=Adwaita")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be dead already
		_ = cmd.Wait()         // of the kill
	})
	conn := must(s.t)(dbus.Connect(b.Address))
	defer conn.Close()
	eventually(s.t, func() bool {
		var owned bool
		return conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, notifications).Store(&owned) == nil && owned
	})
	return cmd
}

// notice waits for the window of a notice and returns where its lower right
// corner is.
func (s *screen) notice() (x, y int) {
	eventually(s.t, func() bool {
		id, _, _ := strings.Cut(s.tool("search", "--onlyvisible", "--name", "."), "\n")
		var left, top, width, height int
		_, err := fmt.Sscanf(s.tool("getwindowgeometry", "--shell", id), "WINDOW="+id+"\nX=%d\nY=%d\nWIDTH=%d\nHEIGHT=%d", &left, &top, &width, &height)
		x, y = left+width, top+height
		return err == nil && width > 100
	})
	return x, y
}

// press clicks a button, which is so far left of the corner, until something
// comes of it: a window listens a moment after it is there.
func (s *screen) press(left int, came <-chan outcome) outcome {
	s.t.Helper()
	var o outcome
	eventually(s.t, func() bool {
		x, y := s.notice()
		s.tool("mousemove", strconv.Itoa(x-left), strconv.Itoa(y-38), "click", "1")
		select {
		case o = <-came:
			return true
		case <-time.After(500 * time.Millisecond):
			return false
		}
	})
	return o
}

// The buttons of notification-daemon: from the right border to their middle.
const (
	lastButton  = 85
	firstButton = 165
)

// TestRealNotification: a real notice on a real X server, and its buttons. The
// next notice comes when the window of the last one has gone.
func TestRealNotification(t *testing.T) {
	t.Parallel()
	s, b := newScreen(t), newBus(t)
	n := newNotifier(t, b)
	s.realServer(b)
	if !n.Ready(t.Context()) {
		t.Error("not ready")
	}
	for left, want := range map[int]string{firstButton: "rotate", lastButton: "snooze"} {
		o := s.press(left, notifying(t.Context(), n, due))
		if o.err != nil || o.answer.Action != want {
			t.Errorf("pressed %s: %+v", want, o)
		}
		eventually(t, func() bool { return s.tool("search", "--onlyvisible", "--name", ".") == "" })
	}
	ctx, cancel := context.WithCancel(t.Context())
	came := notifying(ctx, n, due)
	s.notice()
	cancel()
	if o := await(t, came); !errors.Is(o.err, context.Canceled) {
		t.Errorf("given up: %+v", o)
	}
	eventually(t, func() bool { return s.tool("search", "--onlyvisible", "--name", ".") == "" })
}

// TestF49FrozenServer: a real server that is stopped blocks nothing, and shows
// the next notice when it goes on.
func TestF49FrozenServer(t *testing.T) {
	t.Parallel()
	s, b := newScreen(t), newBus(t)
	server := s.realServer(b)
	n := &Notifier{Bus: b.Address}
	t.Cleanup(n.Close)
	if err := server.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return testprograms.Stopped(server.Process.Pid) })
	for range 3 {
		if o := await(t, notifying(t.Context(), n, due)); !errors.Is(o.err, ErrUnnoticed) {
			t.Errorf("frozen: %+v", o)
		}
	}
	if err := server.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n.bound = patience
	came := notifying(t.Context(), n, due)
	s.notice()
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if o := await(t, came); !errors.Is(o.err, errGone) {
		t.Errorf("it was killed with the notice up: %+v", o)
	}
}
