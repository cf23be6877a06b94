// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// TestOneDaemonForOneIndex: two daemons on two sockets would each write the
// index that it has in memory, and lose what the other has stored.
func TestOneDaemonForOneIndex(t *testing.T) {
	h := newHome(t)
	first := h.start(nil)
	h.serving(first)

	other := []string{"BROKER_SOCKET=" + filepath.Join(h.dir, "other", "broker.sock")}
	second := h.start(other)
	if got := second.status(); got != exitRefused {
		t.Fatalf("a second daemon ended with %d, want %d", got, exitRefused)
	}
	for _, want := range []string{fmt.Sprintf("process %d on %s", first.Process.Pid, h.socket()), "BROKER_SOCKET"} {
		if !strings.Contains(second.said(), want) {
			t.Errorf("it said %q, want %q in it", second.said(), want)
		}
	}
	if _, err := h.hello(); err != nil {
		t.Errorf("the first daemon: %v", err)
	}
	// The lock ends with the process, however it ends.
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.status()
	third := h.start(other)
	eventually(t, "the next daemon serves", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return (&ipc.Client{Socket: strings.TrimPrefix(other[0], "BROKER_SOCKET="), Name: "test"}).Call(ctx, ipc.OpHello, nil, nil)
	})
	if !third.running() {
		t.Error("it ended")
	}
}

// TestHoldState: the lock is free when its holder is done, says whose it is, and
// is not taken through a link.
func TestHoldState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first, err := holdState(dir, "/run/one")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := holdState(dir, "/run/two"); err == nil {
		_ = f.Close() // the test has failed
		t.Fatal("taken twice")
	} else if !errors.Is(err, errKept) || !strings.Contains(err.Error(), "/run/one") {
		t.Errorf("%v does not name the socket of the other", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := holdState(dir, "/run/two")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(dir, stateLock)
	if err := os.Rename(lock, lock+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(lock+".1", lock); err != nil {
		t.Fatal(err)
	}
	if f, err := holdState(dir, "/run/one"); err == nil {
		_ = f.Close() // the test has failed
		t.Error("taken through a link")
	}
}

// TestMovedPlace: a daemon ends when clients would look for it elsewhere.
func TestMovedPlace(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv(paths.EnvSocket, "/run/one/broker.sock")
	p, err := paths.Find(os.Getenv, os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{places: p}
	t.Setenv(paths.EnvSocket, "/run/two/broker.sock")
	if err := d.check(t.Context()); !errors.Is(err, errMoved) || !strings.Contains(err.Error(), "/run/two/broker.sock") {
		t.Errorf("check = %v, want %v", err, errMoved)
	}
}
