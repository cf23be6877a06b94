// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/vault/vaulttest"

	"credbroker/internal/testprograms"
)

// notificationDaemon shows notifications, and needs no desktop to do so.
const notificationDaemon = "/usr/lib/notification-daemon/notification-daemon"

// noticeWorld is a world with a screen, a real notification service on it, and
// ann's key as dev, of the given age as IAM tells it. No daemon runs.
func noticeWorld(t *testing.T, age time.Duration) (*world, *vaulttest.Bus, *background) {
	t.Helper()
	w, bus := desktopWorld(t)
	w.desktop()
	service := w.start(notificationDaemon)
	w.quickCodes()
	w.ready(append(quickly, "unused_after = off", "[nag]", "quiet_hours = off")...)
	w.prime("dev")
	w.eventually("IAM has told of the key", func() error {
		if r := w.must(w.run("broker", "list", "--json")); !strings.Contains(r.stdout, "createDate") {
			return errors.New(r.stdout)
		}
		return nil
	})
	w.killDaemon()
	w.agedBy(age)
	return w, bus, service
}

// agedBy makes the key of dev older than it is, in what the daemon remembers.
func (w *world) agedBy(age time.Duration) {
	w.t.Helper()
	path := filepath.Join(w.home, ".local", "state", "broker", "state.json")
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(data, &state); err != nil {
		w.t.Fatal(err)
	}
	born := time.Now().Add(-age - time.Minute).UTC().Format(time.RFC3339)
	key := state["keys"].(map[string]any)["dev"].(map[string]any)
	key["addedAt"] = born
	state["facts"].(map[string]any)[key["accessKeyId"].(string)].(map[string]any)["createDate"] = born
	if data, err = json.Marshal(state); err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// notice waits for the window of a notice and returns where it is.
func (w *world) notice() image.Rectangle {
	w.t.Helper()
	var at image.Rectangle
	w.eventually("a notice is on the screen", func() error {
		id, _, _ := strings.Cut(w.xdotool("search", "--onlyvisible", "--class", "notification-daemon"), "\n")
		var x, y, width, height int
		shape := w.xdotool("getwindowgeometry", "--shell", id)
		_, err := fmt.Sscanf(shape, "WINDOW="+id+"\nX=%d\nY=%d\nWIDTH=%d\nHEIGHT=%d", &x, &y, &width, &height)
		if err == nil && width < 100 {
			err = fmt.Errorf("it is %d wide", width)
		}
		at = image.Rect(x, y, x+width, y+height)
		return err
	})
	return at
}

// The buttons of notification-daemon: from the right border, and from below.
const (
	lastButton  = 110
	firstButton = 220
	buttonLine  = 38
)

// press clicks a button of the notice until something comes of it: a window
// listens a moment after it is there.
func (w *world) press(left int, done func() bool) {
	w.t.Helper()
	w.eventually("the button is pressed", func() error {
		at := w.notice()
		w.xdotool("mousemove", itoa(at.Max.X-left), itoa(at.Max.Y-buttonLine), "click", "1")
		for range 50 {
			if done() {
				return nil
			}
			<-time.After(20 * time.Millisecond)
		}
		return errors.New("nothing came of it")
	})
}

// TestNotificationRotates: a key is due, the desktop says so, and its button
// rotates it: with one code, typed into a window, and a second notice at the end.
func TestNotificationRotates(t *testing.T) {
	t.Parallel()
	w, _, _ := noticeWorld(t, 94*24*time.Hour)
	old := w.stored("dev") // this starts the daemon
	at := w.notice()
	if path := os.Getenv("PICTURE"); path != "" {
		w.picture(path, at)
	}
	asked := func() bool { return w.xdotool("search", "--onlyvisible", "--name", "^broker$") != "" }
	w.press(firstButton, asked)
	code := w.code()
	w.eventually("the code is typed", func() error {
		window, _, _ := strings.Cut(w.xdotool("search", "--onlyvisible", "--name", "^broker$"), "\n")
		w.xdotool("windowfocus", window)
		w.xdotool("key", "ctrl+a")
		w.xdotool("type", code)
		w.xdotool("key", "Return")
		if asked() {
			return errors.New("the window is still there")
		}
		return nil
	})
	w.eventually("the key is replaced", func() error {
		if fresh := w.stored("dev"); fresh == old || fresh == "" {
			return fmt.Errorf("dev has %q", fresh)
		}
		return nil
	})
	if calls := w.log("CreateAccessKey"); len(calls) != 1 || calls[0].Result != "ok" {
		t.Errorf("IAM was asked for %+v", calls)
	}
	w.notice() // of how it went
	w.credentials("dev")
	w.codesLoggedOnce()
}

// TestNotificationIsWithdrawn: a key that was dealt with in a terminal needs no
// notice any more.
func TestNotificationIsWithdrawn(t *testing.T) {
	t.Parallel()
	w, _, _ := noticeWorld(t, 94*24*time.Hour)
	w.prime("dev") // this starts the daemon
	w.notice()
	w.must(w.run("broker", "revoke", "dev"))
	w.eventually("the notice is gone", func() error {
		if id := w.xdotool("search", "--onlyvisible", "--class", "notification-daemon"); id != "" {
			return errors.New("it is there: " + id)
		}
		return nil
	})
}

// TestNotificationSnoozes: the other button, which a restart does not undo.
func TestNotificationSnoozes(t *testing.T) {
	t.Parallel()
	w, _, _ := noticeWorld(t, 98*24*time.Hour)
	w.status0()
	snoozed := func() bool {
		return strings.Contains(w.must(w.run("broker", "list", "--json")).stdout, "snoozedUntil")
	}
	w.press(lastButton, snoozed)
	w.forget()
	if !snoozed() {
		t.Error("the next daemon knows nothing of it")
	}
	if calls := w.log("CreateAccessKey"); len(calls) != 0 {
		t.Errorf("IAM was asked for %+v", calls)
	}
}

// TestF49NotificationService: absent, stopped, killed while it shows something,
// and a bus that says nothing: a command in a terminal says it instead, codes and
// credentials come as ever, and the daemon ends when it is told to.
func TestF49NotificationService(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w *world, bus *vaulttest.Bus, service *background){
		"absent": func(w *world, _ *vaulttest.Bus, service *background) {
			w.signal(service.Process.Pid, syscall.SIGKILL)
			<-service.done
			w.status0()
		},
		"stopped": func(w *world, _ *vaulttest.Bus, service *background) {
			w.signal(service.Process.Pid, syscall.SIGSTOP)
			w.status0()
		},
		"killed": func(w *world, _ *vaulttest.Bus, service *background) {
			w.status0()
			w.notice()
			w.signal(service.Process.Pid, syscall.SIGKILL)
		},
		"silent bus": func(w *world, bus *vaulttest.Bus, _ *background) {
			bus.Freeze()
			w.t.Cleanup(bus.Thaw)
			w.status0()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, bus, service := noticeWorld(t, 94*24*time.Hour)
			fault(w, bus, service)
			w.prime("dev")
			w.credentials("dev")
			term := w.terminal()
			w.eventually("a command says it", func() error {
				list := w.command("broker", "list")
				list.Stderr = term.slave
				if err := list.Run(); err != nil {
					return err
				}
				if text := term.shows(); !strings.Contains(text, "due for rotation: broker rotate dev") {
					return fmt.Errorf("the terminal shows %q", text)
				}
				return nil
			})
			pid := w.daemonPID()
			w.signal(pid, syscall.SIGTERM)
			w.eventually("the daemon ends", func() error {
				if testprograms.Alive(pid) {
					return errors.New("it runs")
				}
				return nil
			})
		})
	}
}

// picture keeps what is on a part of the screen.
func (w *world) picture(path string, part image.Rectangle) {
	w.t.Helper()
	<-time.After(time.Second) // a window that is there is drawn a moment later, and nobody says when
	data, err := os.ReadFile(filepath.Join(w.dir, "screen", "Xvfb_screen0"))
	if err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, screenshot(data, part)); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// screenshot reads the memory of an X server in the format of xwd: 32-bit words
// of which the first 25 describe the picture, then 12 bytes for each color of a
// map that 24-bit screens do not need, then lines of blue, green, red and nothing.
func screenshot(data []byte, part image.Rectangle) image.Image {
	word := func(i int) int { return int(binary.BigEndian.Uint32(data[4*i:])) }
	pixels, line := data[word(0)+12*word(19):], word(12)
	out := image.NewRGBA(image.Rect(0, 0, part.Dx(), part.Dy()))
	for y := range part.Dy() {
		for x := range part.Dx() {
			p := pixels[(y+part.Min.Y)*line+4*(x+part.Min.X):]
			out.Set(x, y, color.RGBA{p[2], p[1], p[0], 255})
		}
	}
	return out
}
