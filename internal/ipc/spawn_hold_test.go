// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

// noted returns the pid that a worker has noted, once it has.
func noted(t *testing.T, pids string) int {
	t.Helper()
	var pid int
	waitFor(t, "the worker to note its pid", func() bool {
		data, err := os.ReadFile(pids)
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil
	})
	return pid
}

// What Start leaves behind goes on, in a session of its own.
func TestStartedWorkerStays(t *testing.T) {
	w, pids := worker(t, "worker-stays", &logBuffer{})
	lock := filepath.Join(t.TempDir(), "lock") // what a script has open when it runs broker unlock
	fd, err := unix.Open(lock, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if err := w.Start(t.Context(), OpHold, HoldParams{Key: secret.New(canary)}, "hold"); err != nil {
		t.Fatal(err)
	}
	pid := noted(t, pids)
	defer func() { _ = unix.Kill(pid, unix.SIGKILL) }() // it is gone, if all went well
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d, %v; want its own, %d", sid, err, pid)
	}
	for _, name := range []string{"cmdline", "environ"} {
		data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
		if err != nil || strings.Contains(string(data), canary) {
			t.Errorf("%s: %v, or it holds the secret", name, err)
		}
	}
	files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Error(err)
	}
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "fd", f.Name())); err == nil && to == lock {
			t.Errorf("it has the caller's file open, as %s", f.Name())
		}
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	wantGone(t, pids)
}

// One that refuses, dies or says nothing is gone when Start returns.
func TestStartedWorkerFails(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]Code{
		"worker-fails": CodeAWSDenied, "worker-dies": CodeInternal, "worker-babbles": CodeInternal, "worker-half": CodeInternal,
	} {
		w, _ := worker(t, role, &logBuffer{})
		if err := w.Start(t.Context(), OpHold, nil); !errors.Is(err, &Error{Code: want}) {
			t.Errorf("%s: %v, want %s", role, err, want)
		}
	}
	w, pids := worker(t, "worker-silent", &logBuffer{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C { // until it has begun
			if _, err := os.Stat(pids); err == nil {
				cancel()
			}
		}
	}()
	if err := w.Start(ctx, OpHold, nil); !errors.Is(err, &Error{Code: CodeDeadline}) {
		t.Errorf("one that is silent: %v, want %s", err, CodeDeadline)
	}
	wantGone(t, pids)
	w.Path = filepath.Join(t.TempDir(), "nothing")
	if err := w.Start(t.Context(), OpHold, nil); !errors.Is(err, &Error{Code: CodeInternal}) {
		t.Errorf("one that is not there: %v", err)
	}
}

// A peer that does not end its conversation can be ended.
func TestEndPeer(t *testing.T) {
	dir := testDir(t)
	l, err := Listen(ListenOptions{
		Socket: filepath.Join(dir, "s"), LockFile: filepath.Join(dir, "l"), Name: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = l.Serve(ctx, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
			err := c.EndPeer()
			<-ctx.Done() // it hangs up by ending
			ended <- err
			return nil, nil
		})
	}()
	w, pids := worker(t, "worker-calls", &logBuffer{})
	w.Env = append(w.Env, "IPC_TEST_SOCKET="+filepath.Join(dir, "s"))
	if err := w.Start(ctx, OpHold, nil); !errors.Is(err, &Error{Code: CodeInternal}) {
		t.Errorf("a worker that was killed: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the peer did not end")
	}
	wantGone(t, pids)
	stop()
	<-served
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if (&Conversation{}).EndPeer() == nil {
		t.Error("nobody was ended")
	}
}

// What goes to a worker carries its secret; printed, it does not.
func TestUnlockAndHoldCarryTheirSecrets(t *testing.T) {
	t.Parallel()
	for _, p := range []interface {
		Encode() (json.RawMessage, error)
	}{UnlockParams{Passphrase: secret.New(canary), Daemon: "/d"}, HoldParams{Key: secret.New(canary), IdleLimit: 7}} {
		data, err := p.Encode()
		if err != nil || !strings.Contains(string(data), canary) {
			t.Errorf("%T: %s, %v", p, data, err)
		}
		if plain, err := json.Marshal(p); err != nil || strings.Contains(string(plain), canary) {
			t.Errorf("%T prints its secret: %s, %v", p, plain, err)
		}
	}
}
