// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/secret"
)

const canary = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// worker returns the test binary as a worker in a role, and the file in which
// that notes its pids.
func worker(t *testing.T, role string, log *logBuffer) (WorkerCommand, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(t.TempDir(), "pids")
	return WorkerCommand{
		// The race detector lets a program linger for a second when it exits.
		Path: exe, Env: []string{"IPC_TEST_ROLE=" + role, "IPC_TEST_PIDS=" + pids, "GORACE=atexit_sleep_ms=0"},
		Client: "brokerd 1.2.0", Log: slog.New(slog.NewTextHandler(log, nil)),
	}, pids
}

// wantGone asserts that no process that the worker noted is left.
func wantGone(t *testing.T, pids string) {
	t.Helper()
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(data)) {
		// A child of the worker is a zombie until init has taken notice.
		waitFor(t, "process "+word+" to end", func() bool {
			stat, err := os.ReadFile("/proc/" + word + "/stat")
			return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || bytes.Contains(stat, []byte(") Z "))
		})
	}
}

func TestWorkerAnswers(t *testing.T) {
	w, _ := worker(t, "worker-echo", &logBuffer{})
	put := PutParams{Profile: "dev", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: secret.New(canary)}
	result, err := w.Run(t.Context(), OpPut, put)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Op, Client string
		Params     struct{ SecretAccessKey string }
		Argv, Env  []string
		Leader     bool
	}
	if err := json.Unmarshal(result, &got); err != nil {
		t.Fatal(err)
	}
	if got.Op != OpPut || got.Client != "brokerd 1.2.0" || got.Params.SecretAccessKey != canary || !got.Leader {
		t.Errorf("the worker got %s", result)
	}
	// P30: its arguments and its environment hold nothing but what they must.
	if len(got.Argv) != 0 || !slices.Equal(got.Env, w.Env) {
		t.Errorf("arguments %q, environment %q, want none and %q", got.Argv, got.Env, w.Env)
	}
}

func TestWorkerWithoutEnvironmentGetsNone(t *testing.T) {
	w := WorkerCommand{Path: "/bin/sh"}
	if _, err := w.Run(t.Context(), OpProbe, nil); !errors.Is(err, &Error{Code: CodeInternal}) {
		t.Errorf("a shell as worker: %v", err)
	}
}

func TestWorkerThatFails(t *testing.T) {
	code := SessionTokenParams{TokenCode: "123456"}
	for _, tt := range []struct {
		role   string
		params any
		want   Code // "" is a result
		spent  bool
	}{
		{"worker-fails", nil, CodeAWSDenied, true},
		{"worker-dies", nil, CodeInternal, false},
		{"worker-dies", code, CodeInternal, true},
		{"worker-dies", &code, CodeInternal, true},
		{"worker-dies", SessionTokenParams{}, CodeInternal, false},
		{"worker-half", nil, CodeInternal, false},
		{"worker-babbles", nil, CodeInternal, false},
		{"worker-floods", nil, CodeInternal, false},
		{"worker-status", nil, "", false},
	} {
		t.Run(tt.role, func(t *testing.T) {
			w, _ := worker(t, tt.role, &logBuffer{})
			result, err := w.Run(t.Context(), OpSessionToken, tt.params)
			var e *Error
			switch {
			case tt.want == "":
				if err != nil || string(result) != `{"ok":true}` {
					t.Errorf("Run: %s, %v", result, err)
				}
			case !errors.As(err, &e) || e.Code != tt.want || e.Spent != tt.spent || result != nil:
				t.Errorf("Run: %s, %#v, want %s, spent %v", result, err, tt.want, tt.spent)
			}
		})
	}
}

// P33: what a dying worker prints is logged without what may be a secret.
func TestP33WorkerComplaintsAreRedacted(t *testing.T) {
	log := &logBuffer{}
	w, _ := worker(t, "worker-dies", log)
	if _, err := w.Run(t.Context(), OpSessionToken, nil); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Run: %v", err)
	}
	text := log.String()
	if strings.Contains(text, canary) || strings.Contains(text, "123456") {
		t.Errorf("the log shows a secret: %s", text)
	}
	if !strings.Contains(text, "AKIAIOSFODNN7EXAMPLE") {
		t.Errorf("the log does not show what the worker said: %s", text)
	}
	cut := &capped{buf: []byte("oh: " + canary[:30]), cut: true}
	w.logComplaints("x", cut)
	if strings.Contains(log.String(), canary[:30]) {
		t.Errorf("the log shows half a secret: %s", log)
	}
}

func TestP30HangingWorkerIsKilledWithItsChildren(t *testing.T) {
	w, pids := worker(t, "worker-hangs", &logBuffer{})
	begin := time.Now()
	_, err := w.run(t.Context(), OpSessionToken, 400*time.Millisecond, []byte("{}\n"), true)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeKeychainTimeout || !e.Spent {
		t.Errorf("run: %#v, want %s, spent", err, CodeKeychainTimeout)
	}
	if took := time.Since(begin); took > time.Minute { // what it started would go on for a quarter of an hour
		t.Errorf("run took %v", took)
	}
	wantGone(t, pids)
}

func TestP30WorkerLeavesNobodyBehind(t *testing.T) {
	quickest := time.Hour // a machine that is busy delays one answer or the other, and a child would delay each
	for tries := 0; tries < 10 && quickest > drainTime; tries++ {
		w, pids := worker(t, "worker-leaves-child", &logBuffer{})
		begin := time.Now()
		if result, err := w.Run(t.Context(), OpProbe, nil); err != nil || string(result) != `{"ok":true}` {
			t.Errorf("Run: %s, %v", result, err)
		}
		quickest = min(quickest, time.Since(begin))
		wantGone(t, pids)
	}
	if quickest > drainTime {
		t.Errorf("a child that holds standard output delays the answer by %v", quickest)
	}
}

func TestWorkerChildInAnotherSessionDoesNotHangUs(t *testing.T) {
	w, pids := worker(t, "worker-leaves-session", &logBuffer{})
	begin := time.Now()
	if result, err := w.Run(t.Context(), OpProbe, nil); err != nil || string(result) != `{"ok":true}` {
		t.Errorf("Run: %s, %v", result, err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("a process that left the group delays the answer by %v, want %v", took, drainTime)
	}
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(data))[0])
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
}

func TestWorkerEndsWithItsContext(t *testing.T) {
	w, pids := worker(t, "worker-hangs", &logBuffer{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		waitFor(t, "the worker to begin", func() bool {
			_, err := os.Stat(pids)
			return err == nil
		})
	}()
	_, err := w.Run(ctx, OpSessionToken, SessionTokenParams{TokenCode: "123456"})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeDeadline || !e.Spent || !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %#v, want %s, spent", err, CodeDeadline)
	}
	wantGone(t, pids)
}

func TestWorkerThatCannotStart(t *testing.T) {
	w := WorkerCommand{Path: filepath.Join(t.TempDir(), "broker-vault")}
	_, err := w.Run(t.Context(), OpSessionToken, SessionTokenParams{TokenCode: "123456"})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeInternal || e.Spent || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Run: %#v", err)
	}
	if _, err := w.Run(t.Context(), OpProbe, strings.Repeat("x", MaxLine)); !errors.Is(err, errLineTooLong) {
		t.Errorf("request too long: %v", err)
	}
	if _, err := w.Run(t.Context(), OpProbe, func() {}); err == nil {
		t.Error("a function was sent")
	}
}

func TestLimit(t *testing.T) {
	for op, want := range map[string]time.Duration{
		OpProbe: 30 * time.Second, OpPut: 55 * time.Second, OpDelete: 35 * time.Second,
		OpSessionToken: 30 * time.Second, OpCallerIdentity: 30 * time.Second,
		OpListMFADevices: 30 * time.Second, OpRecover: 10 * time.Minute, "?": 10 * time.Second,
	} {
		if got := Limit(op); got != want {
			t.Errorf("Limit(%q) = %v, want %v", op, got, want)
		}
	}
}
