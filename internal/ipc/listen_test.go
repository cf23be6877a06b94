// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve starts a daemon in the test's own process.
func serve(t *testing.T, dir string, log *logBuffer) (*Listener, <-chan error) {
	t.Helper()
	l, err := Listen(options(dir, log))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- l.Serve(ctx, testHandler) }()
	t.Cleanup(func() {
		cancel()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, done
}

func socketInode(t *testing.T, dir string) inode {
	t.Helper()
	n := at(filepath.Join(dir, "broker.sock"))
	if n == (inode{}) {
		t.Fatalf("no socket in %s", dir)
	}
	return n
}

func TestServeEndsWithItsContext(t *testing.T) {
	dir := filepath.Join(testDir(t), "deep", "broker")
	l, err := Listen(options(dir, t.Output()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- l.Serve(ctx, testHandler) }()
	waiting := make(chan error)
	client := &Client{Socket: filepath.Join(dir, "broker.sock")}
	go func() { waiting <- client.Call(t.Context(), "wait", nil, nil) }()
	hello(t, dir)
	cancel(errors.New("SIGTERM")) // as signal.NotifyContext does
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := <-waiting; !errors.Is(err, &Error{Code: CodeNoDaemon}) {
		t.Errorf("a client that waited: %v, want %s", err, CodeNoDaemon)
	}
	if at(client.Socket) != (inode{}) {
		t.Error("the socket is left behind")
	}
	if _, err := Listen(options(dir, t.Output())); !errors.Is(err, ErrServed) {
		t.Errorf("Listen before Close: %v, want %v", err, ErrServed)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := l.Check(); err != nil {
		t.Errorf("Check after Close: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "brokerd.lock")); err != nil {
		t.Errorf("the lock file is gone: %v", err)
	}
	again, err := Listen(options(dir, t.Output()))
	if err != nil {
		t.Fatalf("Listen after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestListenOptions(t *testing.T) {
	dir := testDir(t)
	ok := options(dir, t.Output())
	for _, tt := range []struct {
		name string
		edit func(*ListenOptions)
	}{
		{"no log", func(o *ListenOptions) { o.Log = nil }},
		{"no name", func(o *ListenOptions) { o.Name = "" }},
		{"relative socket", func(o *ListenOptions) { o.Socket = "broker.sock" }},
		{"lock elsewhere", func(o *ListenOptions) { o.LockFile = "/tmp/brokerd.lock" }},
		{"socket path too long", func(o *ListenOptions) { o.Socket = filepath.Join(dir, strings.Repeat("x", 120)) }},
		{"a file on the way", func(o *ListenOptions) { o.Socket, o.LockFile = "/dev/null/b/s", "/dev/null/b/l" }},
	} {
		o := ok
		tt.edit(&o)
		if l, err := Listen(o); err == nil {
			_ = l.Close()
			t.Errorf("%s: Listen accepts it", tt.name)
		}
	}
}

// P6: a daemon that was replaced leaves the socket of its successor alone.
func TestP06OldDaemonLeavesTheNewOneAlone(t *testing.T) {
	dir := filepath.Join(testDir(t), "broker")
	old, ended := serve(t, dir, &logBuffer{})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, &logBuffer{})
	before := socketInode(t, dir)
	if err := old.Check(); !errors.Is(err, ErrServed) {
		t.Errorf("Check: %v, want %v", err, ErrServed)
	}
	if err := old.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if after := socketInode(t, dir); after != before {
		t.Errorf("the socket is inode %d, was %d", after.ino, before.ino)
	}
	hello(t, dir)
}

func TestCheckBindsAnew(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(dir string) error
	}{
		{"nothing happened", func(string) error { return nil }},
		{"socket removed", func(dir string) error { return os.Remove(filepath.Join(dir, "broker.sock")) }},
		{"lock removed", func(dir string) error { return os.Remove(filepath.Join(dir, "brokerd.lock")) }},
		{"directory removed", os.RemoveAll},
		{"directory moved", func(dir string) error { return os.Rename(dir, dir+".old") }},
		{"socket replaced", func(dir string) error {
			path := filepath.Join(dir, "broker.sock")
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + "2"})
			if err == nil {
				err = errors.Join(os.Rename(path+"2", path), l.Close())
			}
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(testDir(t), "broker")
			l, _ := serve(t, dir, &logBuffer{})
			if err := tt.harm(dir); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(l.Check(), l.Check()); err != nil {
				t.Fatalf("Check: %v", err)
			}
			hello(t, dir)
			if _, err := Listen(options(dir, t.Output())); tt.name != "lock removed" && !errors.Is(err, ErrServed) {
				t.Errorf("a second daemon: %v, want %v", err, ErrServed)
			}
		})
	}
}

func TestCheckRefusesWhatIsNotOurs(t *testing.T) {
	dir := filepath.Join(testDir(t), "broker")
	l, _ := serve(t, dir, &logBuffer{})
	path := filepath.Join(dir, "broker.sock")
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := l.Check(); !errors.Is(err, ErrUnsafe) {
		t.Errorf("Check: %v, want %v", err, ErrUnsafe)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(path); string(data) != "precious" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

func TestF35KilledDaemonIsReplaced(t *testing.T) {
	t.Parallel()
	exe := testExe(t)
	daemon, dir := startDaemon(t, exe, 0)
	waiting := make(chan error)
	client := &Client{Socket: filepath.Join(dir, "broker.sock")}
	go func() { waiting <- client.Call(t.Context(), "wait", nil, nil) }()
	hello(t, dir)
	daemon.kill()
	// F36: the client that waited is told at once.
	// If it came only then, nobody listened.
	if err := <-waiting; !errors.Is(err, &Error{Code: CodeNoDaemon}) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a client that waited: %v, want %s", err, CodeNoDaemon)
	}
	socketInode(t, dir) // stale, and in the way
	next := start(t, exe, 0, "daemon", dir)
	if line := next.line(); line != "ready" {
		t.Fatalf("next daemon says %q, %s", line, next.stderr)
	}
	if hello(t, dir) != next.cmd.Process.Pid {
		t.Error("somebody else serves")
	}
}

func TestF42OutOfDescriptors(t *testing.T) {
	t.Parallel()
	daemon, dir := startDaemon(t, testExe(t), 0, "IPC_TEST_NOFILE=64")
	daemon.tell(t, "hog")
	before := cpuTime(t, daemon)
	begin := time.Now()
	results := make(chan error)
	client := &Client{Socket: filepath.Join(dir, "broker.sock")}
	for range 100 {
		go func() { results <- client.Call(t.Context(), OpHello, nil, nil) }()
	}
	waitFor(t, "the daemon to notice", func() bool {
		return strings.Contains(daemon.stderr.String(), "cannot accept connections")
	})
	waitFor(t, "half a second", func() bool { return time.Since(begin) > 500*time.Millisecond })
	if used, passed := cpuTime(t, daemon)-before, time.Since(begin); used > max(passed/2, 500*time.Millisecond)/2 {
		t.Errorf("out of descriptors the daemon spins: %v of CPU time in %v", used, time.Since(begin))
	}
	if n := strings.Count(daemon.stderr.String(), "cannot accept connections"); n > 2 {
		t.Errorf("the log says %d times that nothing can be accepted", n)
	}
	daemon.tell(t, "free")
	for range 100 {
		if err := <-results; err != nil {
			t.Errorf("a client that waited: %v", err)
		}
	}
	hello(t, dir)
}

// cpuTime returns the time that the process has computed.
func cpuTime(t testing.TB, p *process) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var user, system int
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks, proc_pid_stat(5)
}

func TestF43OthersAreServedBesideASlowClient(t *testing.T) {
	dir := filepath.Join(testDir(t), "broker")
	serve(t, dir, &logBuffer{})
	for range 10 {
		conn, err := net.Dial("unix", filepath.Join(dir, "broker.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, `{"v":1,`); err != nil {
			t.Fatal(err)
		}
	}
	hello(t, dir)
}

func TestIdentify(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pidfd func(fd, pid int) (int, error)
	}{
		{"by socket", socketPidfd},
		{"by number", numberPidfd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, conn := connPair(t)
			p, err := identifyBy(conn, tt.pidfd)
			if err != nil {
				t.Fatal(err)
			}
			if p.UID != os.Geteuid() || p.PID != os.Getpid() || p.StartTime == 0 || !p.Alive() {
				t.Errorf("peer %+v, alive %v", p, p.Alive())
			}
			p.close()
			if p.Alive() {
				t.Error("a peer whose handle is closed is called alive")
			}
		})
	}
	_, conn := connPair(t)
	if _, err := identifyBy(conn, func(int, int) (int, error) { return 0, unix.EMFILE }); !errors.Is(err, unix.EMFILE) {
		t.Errorf("without a pidfd: %v", err)
	}
	if (Peer{}).Alive() {
		t.Error("the zero Peer is alive")
	}
}

func TestPeerThatHasExitedIsRefused(t *testing.T) {
	exe, dir := testExe(t), testDir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "broker.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client := start(t, exe, 0, "raw", dir)
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	p, err := identify(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.PID != client.cmd.Process.Pid || !p.Alive() {
		t.Errorf("peer %+v, want pid %d", p, client.cmd.Process.Pid)
	}
	client.kill()
	if p.Alive() {
		t.Error("a process that was killed is called alive")
	}
	for _, pidfd := range []func(fd, pid int) (int, error){socketPidfd, numberPidfd} {
		if p, err := identifyBy(conn, pidfd); err == nil {
			t.Errorf("a process that was killed is identified as %+v", p)
		}
	}
}

func TestParseStartTime(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
	for _, tt := range []struct {
		stat string
		want uint64
		ok   bool
	}{
		{"17 (broker)" + rest, 4242, true},
		{"17 (evil) S 1 2) 3)" + rest, 4242, true},
		{"17 (broker) S 1", 0, false},
		{"", 0, false},
	} {
		got, err := parseStartTime([]byte(tt.stat))
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("parseStartTime(%q) = %d, %v, want %d", tt.stat, got, err, tt.want)
		}
	}
}

// BenchmarkConversation is one request of a helper to a warm daemon, as far as
// this package goes.
func BenchmarkConversation(b *testing.B) {
	dir := filepath.Join(testDir(b), "broker")
	l, err := Listen(options(dir, io.Discard))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- l.Serve(ctx, testHandler) }()
	client := &Client{Socket: filepath.Join(dir, "broker.sock"), Name: "broker 1.2.0"}
	for b.Loop() {
		if err := client.Call(b.Context(), OpHello, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := errors.Join(<-done, l.Close()); err != nil {
		b.Fatal(err)
	}
}
