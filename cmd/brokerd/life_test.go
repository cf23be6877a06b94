// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStartsServesAndEnds(t *testing.T) {
	h := newHome(t)
	first := h.start(nil, "--log-level", "debug")
	h.serving(first)

	second := h.start(nil)
	if got := second.status(); got != exitServed {
		t.Errorf("a second one ended with %d, want %d; it said %q", got, exitServed, second.said())
	}
	if !strings.Contains(second.said(), "another daemon serves this user") {
		t.Errorf("a second one said %q", second.said())
	}
	h.serving(first)

	first.signal(syscall.SIGTERM)
	if got := first.status(); got != 0 || first.said() != "" {
		t.Errorf("after SIGTERM: status %d, said %q; want 0 and nothing", got, first.said())
	}
	if _, err := os.Lstat(h.socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there (%v)", err)
	}
	log, err := os.ReadFile(h.logFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"msg=serving", "msg=ended", "socket=" + h.socket()} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(string(log), "another daemon") {
		t.Errorf("the one that did not serve wrote to the log:\n%s", log)
	}
	for path, want := range map[string]os.FileMode{h.logFile(): 0o600, filepath.Dir(h.logFile()): 0o700 | os.ModeDir, filepath.Dir(h.socket()): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v (%v), want %v", path, info.Mode(), err, want)
		}
	}

	third := h.start(nil)
	h.serving(third)
	third.signal(syscall.SIGINT)
	if got := third.status(); got != 0 {
		t.Errorf("after SIGINT: status %d, want 0", got)
	}
}

// TestOneThatEndsIsWaitedFor: between the end of its socket and the end of its
// conversations a daemon holds the lock. Whoever is started then takes over.
func TestOneThatEndsIsWaitedFor(t *testing.T) {
	h := newHome(t)
	if err := os.Mkdir(filepath.Join(h.dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(h.dir, "run", "brokerd.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	next := h.start(nil)
	eventually(t, "it tries to get the lock", func() error {
		// It has come far enough when it has gone to the root directory, or
		// does not show its directory to its own user any more.
		cwd, err := os.Readlink(filepath.Join("/proc", itoa(next.Process.Pid), "cwd"))
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err == nil && cwd != "/" {
			err = errors.New("it is in " + cwd)
		}
		return err
	})
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	h.serving(next)
}

// TestP06LosersNeverBreakTheWinner is the short form of a test that the whole
// system runs fifty times.
func TestP06LosersNeverBreakTheWinner(t *testing.T) {
	h := newHome(t)
	for round := range 3 {
		var all []*daemonProcess
		for range 20 {
			all = append(all, h.start(nil))
		}
		var winner *daemonProcess
		eventually(t, "one is left", func() error {
			var left []*daemonProcess
			for _, d := range all {
				if d.running() {
					left = append(left, d)
				}
			}
			switch len(left) {
			case 0:
				t.Fatalf("round %d: nobody is left", round)
			case 1:
				winner = left[0]
				return nil
			}
			return fmt.Errorf("%d run", len(left))
		})
		for _, d := range all {
			if d != winner && d.status() != exitServed {
				t.Errorf("round %d: one ended with %d, want %d: %s", round, d.status(), exitServed, d.said())
			}
		}
		h.serving(winner)
		winner.signal(syscall.SIGKILL) // leaves its socket and its lock file
		winner.status()
	}
}

func TestF35TheNextOneServes(t *testing.T) {
	h := newHome(t)
	first := h.start(nil)
	h.serving(first)
	first.signal(syscall.SIGKILL)
	first.status()
	if _, err := os.Lstat(h.socket()); err != nil {
		t.Fatalf("kill -9 removed the socket: %v", err)
	}
	h.serving(h.start(nil))
}

func TestRemovedPlaceIsTakenAgain(t *testing.T) {
	for name, remove := range map[string]func(h *home) error{
		"socket": func(h *home) error { return os.Remove(h.socket()) },
		"socket and lock": func(h *home) error {
			for _, path := range []string{h.socket(), filepath.Join(h.dir, "run", "brokerd.lock")} {
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // the daemon has begun to take its place again
					return err
				}
			}
			return nil
		},
		"directory": func(h *home) error {
			h.removeRun()
			return nil
		},
		"directory renamed": func(h *home) error { return os.Rename(filepath.Join(h.dir, "run"), filepath.Join(h.dir, "was")) },
		"socket renamed":    func(h *home) error { return os.Rename(h.socket(), h.socket()+".was") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			d := h.start(nil)
			h.serving(d)
			// Twice: what was watched first is gone by then.
			for range 2 {
				if err := os.RemoveAll(filepath.Join(h.dir, "was")); err != nil {
					t.Fatal(err)
				}
				if err := remove(h); err != nil {
					t.Fatal(err)
				}
				h.serving(d)
				eventually(t, "the log tells", func() error { // a moment later
					log, err := os.ReadFile(h.logFile())
					if err == nil && !strings.Contains(string(log), "listening again") {
						err = fmt.Errorf("it says\n%s", log)
					}
					return err
				})
			}
			d.signal(syscall.SIGTERM)
			if got := d.status(); got != 0 {
				t.Errorf("ended with %d: %s", got, d.said())
			}
		})
	}
}

// removeRun removes the directory of the socket, in which a living daemon may be
// making it again at this moment.
func (h *home) removeRun() {
	h.t.Helper()
	eventually(h.t, "the directory is gone", func() error { return os.RemoveAll(filepath.Join(h.dir, "run")) })
}

// TestLostPlaceEndsTheDaemon: a place that was made unsafe is not used again.
func TestLostPlaceEndsTheDaemon(t *testing.T) {
	h := newHome(t)
	d := h.start(nil)
	h.serving(d)
	elsewhere := filepath.Join(h.dir, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	// A link can be put in place at once, where a directory cannot.
	link := filepath.Join(h.dir, "link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(h.dir, "run")
	if err := os.Rename(run, run+".was"); err != nil {
		t.Fatal(err)
	}
	// The daemon may have made the directory again by now.
	for os.Rename(link, run) != nil {
		h.removeRun()
	}
	if got := d.status(); got != exitRefused {
		t.Errorf("ended with %d, want %d: %s", got, exitRefused, d.said())
	}
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) > 0 {
		t.Errorf("it went through the link: %v (%v)", entries, err)
	}
}

func TestHangupOpensTheLogAnew(t *testing.T) {
	h := newHome(t)
	d := h.start(nil)
	h.serving(d)
	if err := os.Rename(h.logFile(), h.logFile()+".moved"); err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGHUP)
	// Each removal of the socket makes one line in the log.
	eventually(t, "the log is there again", func() error {
		if err := os.Remove(h.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		_, err := os.Stat(h.logFile())
		return err
	})
	h.serving(d)
}

func TestF39BrokenConfigRefusesAColdStart(t *testing.T) {
	h := newHome(t)
	config := filepath.Join(h.dir, ".config", "broker", "config")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[vault]\nbackend = file\n[mfa]\ntimeoutt = 5m\n")
	d := h.start(nil)
	if got := d.status(); got != exitRefused {
		t.Fatalf("ended with %d, want %d", got, exitRefused)
	}
	for _, want := range []string{"brokerd: error: ", config, "4", "timeoutt"} {
		if !strings.Contains(d.said(), want) {
			t.Errorf("it said %q, want %q in it", d.said(), want)
		}
	}
	if log, err := os.ReadFile(h.logFile()); err != nil || !strings.Contains(string(log), "timeoutt") {
		t.Errorf("the log does not tell (%v): %s", err, log)
	}

	write("[mfa]\ntimeout = 5m\n")
	good := h.start(nil)
	h.serving(good)
	write("[mfa]\ntimeoutt = 5m\n")
	late := h.start(nil)
	if got := late.status(); got != exitServed {
		t.Errorf("beside one that serves: status %d, want %d", got, exitServed)
	}
	h.serving(good)
}
