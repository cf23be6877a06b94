// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary also is the daemon, client or worker of its own tests.
func TestMain(m *testing.M) {
	if role := os.Getenv("IPC_TEST_ROLE"); role != "" {
		if err := playRole(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testDir returns a private directory whose path is short enough for sockets.
func testDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "b-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// waitFor polls until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		<-tick.C
	}
}

// connPair returns both ends of a connected unix socket.
func connPair(t testing.TB) (client, server *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return conns[0], conns[1]
}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func options(dir string, log io.Writer) ListenOptions {
	return ListenOptions{
		Socket:   filepath.Join(dir, "broker.sock"),
		LockFile: filepath.Join(dir, "brokerd.lock"),
		Name:     "brokerd 1.2.0",
		Log:      slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

const testSerial = "arn:aws:iam::111122223333:mfa/ann"

func testPrompt(attempt int, reason string) Prompt {
	return Prompt{
		Kind: PromptMFA, SerialNumber: testSerial, Attempt: attempt, Reason: reason,
		Deadline: time.Date(2026, 1, 2, 3, 9, 5, 0, time.UTC),
	}
}

// testHandler is a small daemon.
func testHandler(ctx context.Context, c *Conversation) (json.RawMessage, error) {
	switch c.Request.Op {
	case OpHello:
		return json.Marshal(Hello{Version: "1.2.0", Protocol: Protocol, PID: c.Peer.PID})
	case OpCredentials:
		return testCredentials(ctx, c)
	case "pid":
		return json.Marshal(os.Getpid())
	case "echo":
		return c.Request.Params, nil
	case "rows":
		for i := range 3 {
			if err := c.Event(map[string]int{"row": i}); err != nil {
				return nil, err
			}
		}
		return json.RawMessage("{\n  \"rows\": 3\n}\n"), nil
	case "sit":
		if err := c.Sit(); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	case "wait":
		<-ctx.Done()
		return nil, fmt.Errorf("wait: %w", ctx.Err())
	case "fail":
		return nil, fmt.Errorf("profile dev: %w", &Error{Code: CodeNoKey, Message: "no key is stored", Hint: "run broker add dev"})
	case "defect":
		return nil, errors.New("a shelf fell down")
	case "panic":
		return panics(nil)
	case "garbage":
		return json.RawMessage("{"), nil
	case "huge":
		return json.Marshal(strings.Repeat("x", maxResult))
	}
	return nil, c.UnknownOp()
}

func testCredentials(ctx context.Context, c *Conversation) (json.RawMessage, error) {
	var p CredentialsParams
	if err := c.Decode(&p); err != nil {
		return nil, err
	}
	reason := ""
	for attempt := 1; ; attempt++ {
		answer, err := c.Prompt(ctx, testPrompt(attempt, reason))
		switch {
		case errors.Is(err, ErrCannotAsk):
			return nil, &Error{Code: CodeMFARequired, Message: "nobody can be asked", Hint: "run broker mfa"}
		case err != nil:
			return nil, err
		case answer == "":
			return nil, &Error{Code: CodeMFACancelled, Message: "cancelled"}
		case answer == "123456":
			return json.RawMessage(`{"Version":1,"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"c2VjcmV0",` +
				`"SessionToken":"dG9rZW4+","Expiration":"2026-01-02T15:04:05Z"}` + "\n"), nil
		}
		reason = ReasonWrongCode
	}
}
