// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Users that need no passwd entry.
const (
	ann = 1001
	bob = 1002
)

// needRoot lets a test that needs other users skip on a developer's own
// account, and nowhere else.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root to act as other users")
	}
	t.Skip("this test needs root to act as other users")
}

// homeOf returns a directory of uid, or of whoever runs the test if that is 0,
// that everybody can enter.
func homeOf(t testing.TB, uid int) string {
	t.Helper()
	dir := testDir(t)
	if uid != 0 {
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startDaemon starts a daemon of uid and returns it with the directory of its
// socket.
func startDaemon(t testing.TB, exe string, uid int, env ...string) (*process, string) {
	t.Helper()
	dir := filepath.Join(homeOf(t, uid), "broker")
	d := start(t, exe, uid, "daemon", dir, env...)
	if line := d.line(); line != "ready" {
		t.Fatalf("daemon says %q, %s", line, d.stderr)
	}
	return d, dir
}

// loosen opens the socket to everybody, as no daemon of ours does.
func loosen(t testing.TB, dir string) {
	t.Helper()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, "broker.sock"), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func TestP01AnotherUserIsRefused(t *testing.T) {
	needRoot(t)
	t.Parallel()
	exe := testExe(t)
	daemon, dir := startDaemon(t, exe, ann)
	if got := start(t, exe, ann, "hello", dir).line(); !strings.HasPrefix(got, "pid ") {
		t.Fatalf("the daemon's own user: %s", got)
	}
	if got := start(t, exe, bob, "raw", dir).line(); strings.Contains(got, "bytes") {
		t.Errorf("another user could connect to a private socket: %s", got)
	}
	loosen(t, dir)
	if got := start(t, exe, bob, "raw", dir).line(); !strings.HasPrefix(got, "0 bytes") {
		t.Errorf("another user received %s", got)
	}
	waitFor(t, "the refusal in the log", func() bool {
		return strings.Contains(daemon.stderr.String(), `msg="peer refused" uid=1002`)
	})
	if got := start(t, exe, bob, "hello", dir).line(); !strings.HasPrefix(got, string(CodeForeignDaemon)) {
		t.Errorf("the client of another user says %s", got)
	}
}

func TestP02RootIsRefused(t *testing.T) {
	needRoot(t)
	t.Parallel()
	exe := testExe(t)
	daemon, dir := startDaemon(t, exe, ann)
	if got := start(t, exe, 0, "raw", dir).line(); !strings.HasPrefix(got, "0 bytes") {
		t.Errorf("root received %s", got)
	}
	waitFor(t, "the refusal in the log", func() bool {
		return strings.Contains(daemon.stderr.String(), `msg="peer refused" uid=0`)
	})
}

func TestP03SocketIsNeverOpenToOthers(t *testing.T) {
	t.Parallel()
	exe := testExe(t)
	umasks := []string{"000", "022"}
	if os.Geteuid() == 0 {
		umasks = append(umasks, "777") // nobody else can enter what it makes
	}
	for _, umask := range umasks {
		t.Run(umask, func(t *testing.T) {
			for range 5 {
				watchStart(t, exe, umask)
			}
		})
	}
}

// watchStart looks at the modes all the time while a daemon starts.
func watchStart(t *testing.T, exe, umask string) {
	t.Helper()
	dir := filepath.Join(testDir(t), "broker")
	d := start(t, exe, 0, "daemon", dir, "IPC_TEST_UMASK="+umask)
	ready := make(chan string)
	go func() { ready <- d.line() }()
	seen := map[string]int{}
	for done := false; !done; {
		select {
		case line := <-ready:
			if line != "ready" {
				t.Fatalf("daemon says %q, %s", line, d.stderr)
			}
			done = true // and one last look
		default:
		}
		for _, path := range []string{dir, filepath.Join(dir, "broker.sock")} {
			if info, err := os.Lstat(path); err == nil {
				seen[fmt.Sprintf("%s %v", filepath.Base(path), info.Mode())]++
			}
		}
	}
	for what := range seen {
		switch what {
		case "broker drwx------", "broker.sock Srw-------":
		case "broker d---------", "broker.sock S---------":
			if umask != "777" { // closed even to us, until the mode is set
				t.Errorf("seen under umask %s: %s", umask, what)
			}
		default:
			t.Errorf("seen under umask %s: %s", umask, what)
		}
	}
	if seen["broker drwx------"] == 0 || seen["broker.sock Srw-------"] == 0 {
		t.Errorf("under umask %s the daemon was seen as %v", umask, seen)
	}
}

// tree describes everything below dir, to compare before and after.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		var content []byte
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			content, err = os.ReadFile(path)
		}
		target, _ := os.Readlink(path)
		fmt.Fprintf(&b, "%s ino %d mode %o uid %d %q %q\n", path, st.Ino, st.Mode, st.Uid, content, target)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestP04HostileDirectoryIsRefused(t *testing.T) {
	needRoot(t)
	t.Parallel()
	mkdir := func(mode fs.FileMode, uid int) func(dir string) error {
		return func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, uid, uid), os.Chmod(dir, mode))
		}
	}
	inside := func(plant func(dir string) error) func(dir string) error {
		return func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), plant(dir)) }
	}
	for _, tt := range []struct {
		name  string
		plant func(dir string) error
		want  string
	}{
		{"owned by another", mkdir(0o700, bob), "belongs to uid 1002"},
		{"open to a group", mkdir(0o770, 0), "mode 0770"},
		{"open to all", mkdir(0o777, 0), "mode 0777"},
		{"readable", mkdir(0o755, 0), "mode 0755"},
		{"symlink", func(dir string) error {
			return errors.Join(os.Mkdir(dir+"-real", 0o700), os.Symlink(dir+"-real", dir))
		}, "link"},
		{"dangling symlink", func(dir string) error { return os.Symlink(dir+"-nowhere", dir) }, "link"},
		{"file", func(dir string) error { return os.WriteFile(dir, []byte("x"), 0o600) }, "not a directory"},
		{"parent open to all", func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "rename"},
		{"parent of another", func(dir string) error { return os.Chown(filepath.Dir(dir), bob, bob) }, "belongs to uid 1002"},
		{"lock is a symlink", inside(func(dir string) error {
			return os.Symlink(filepath.Join(dir, "victim"), filepath.Join(dir, "brokerd.lock"))
		}), "symbolic link"},
		{"lock of another", inside(func(dir string) error {
			lock := filepath.Join(dir, "brokerd.lock")
			return errors.Join(os.WriteFile(lock, nil, 0o666), os.Chown(lock, bob, bob))
		}), "not a file of ours"},
		{"lock is a FIFO", inside(func(dir string) error {
			return unix.Mkfifo(filepath.Join(dir, "brokerd.lock"), 0o600)
		}), "not a file of ours"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(testDir(t), "broker")
			if err := tt.plant(dir); err != nil {
				t.Fatal(err)
			}
			refuses(t, dir, tt.want)
		})
	}
}

// refuses asserts that Listen wraps ErrUnsafe and changes nothing.
func refuses(t *testing.T, dir, want string) {
	t.Helper()
	before := tree(t, filepath.Dir(dir))
	l, err := Listen(options(dir, t.Output()))
	if err == nil {
		_ = l.Close()
		t.Fatal("Listen accepts the place")
	}
	if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), want) {
		t.Errorf("Listen: %v, want one with %q", err, want)
	}
	if after := tree(t, filepath.Dir(dir)); after != before {
		t.Errorf("the refusal changed the place:\n%s\nbefore:\n%s", after, before)
	}
}

func TestP05WhatStandsAtThePathIsLeftAlone(t *testing.T) {
	needRoot(t)
	t.Parallel()
	listen := func(path string) error {
		l, err := net.Listen("unix", path)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
			err = os.Chown(path, bob, bob)
		}
		return err
	}
	for _, tt := range []struct {
		name  string
		plant func(path string) error
		want  string
	}{
		{"file", func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) }, "not a socket"},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, "not a socket"},
		{"dangling symlink", func(path string) error { return os.Symlink(path+"-target", path) }, "not a socket"},
		{"symlink to a file", func(path string) error {
			return errors.Join(os.WriteFile(path+"-target", []byte("precious"), 0o600), os.Symlink(path+"-target", path))
		}, "not a socket"},
		{"socket of another", listen, "belongs to uid 1002"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(testDir(t), "broker")
			lock := filepath.Join(dir, "brokerd.lock")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(lock, nil, 0o600),
				tt.plant(filepath.Join(dir, "broker.sock"))); err != nil {
				t.Fatal(err)
			}
			refuses(t, dir, tt.want)
		})
	}
}

func TestP06OneDaemonOfTwenty(t *testing.T) {
	t.Parallel()
	exe := testExe(t)
	for range 3 {
		dir := filepath.Join(testDir(t), "broker")
		daemons := make([]*process, 20)
		for i := range daemons {
			daemons[i] = start(t, exe, 0, "daemon", dir)
		}
		var winner *process
		for _, d := range daemons {
			if line := d.line(); line == "ready" {
				if winner != nil {
					t.Fatal("two daemons serve")
				}
				winner = d
			} else if got := d.status(t); got != 75 {
				t.Errorf("a daemon that does not serve ends with %d: %s", got, d.stderr)
			}
		}
		if winner == nil {
			t.Fatal("no daemon serves")
		}
		if got, want := hello(t, dir), winner.cmd.Process.Pid; got != want {
			t.Errorf("served by %d, want %d", got, want)
		}
	}
}

// hello returns the pid of the daemon in dir.
func hello(t testing.TB, dir string) int {
	t.Helper()
	var pid int
	c := Client{Socket: filepath.Join(dir, "broker.sock"), Name: "broker 1.2.0"}
	if err := c.Call(t.Context(), "pid", nil, &pid); err != nil {
		t.Fatalf("hello: %v", err)
	}
	return pid
}

func TestP07ClientRefusesFakeDaemon(t *testing.T) {
	needRoot(t)
	t.Parallel()
	exe := testExe(t)
	dir := homeOf(t, bob)
	fake := start(t, exe, bob, "fake", dir)
	if line := fake.line(); line != "ready" {
		t.Fatalf("fake daemon says %q, %s", line, fake.stderr)
	}
	err := (&Client{Socket: filepath.Join(dir, "broker.sock")}).Call(t.Context(), OpHello, nil, nil)
	if !errors.Is(err, &Error{Code: CodeForeignDaemon}) {
		t.Errorf("Call: %v, want %s", err, CodeForeignDaemon)
	}
	if got := fake.line(); !strings.HasPrefix(got, "0 bytes") {
		t.Errorf("the fake daemon received %s", got)
	}
}

// P7, for a listener that is ours behind a path that is not.
func TestP07ClientRefusesForeignSocketFile(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for _, tt := range []struct {
		name  string
		plant func(real, path string) error
	}{
		{"symlink", os.Symlink},
		{"owned by another", func(real, path string) error {
			return errors.Join(os.Link(real, path), os.Lchown(path, bob, bob))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := testDir(t)
			l, err := net.Listen("unix", filepath.Join(dir, "real.sock"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			path := filepath.Join(dir, "broker.sock")
			if err := tt.plant(filepath.Join(dir, "real.sock"), path); err != nil {
				t.Fatal(err)
			}
			err = (&Client{Socket: path}).Call(t.Context(), OpHello, nil, nil)
			if !errors.Is(err, &Error{Code: CodeForeignDaemon}) {
				t.Errorf("Call: %v, want %s", err, CodeForeignDaemon)
			}
		})
	}
}

func TestP12NoListenerButOneSocket(t *testing.T) {
	t.Parallel()
	daemon, dir := startDaemon(t, testExe(t), 0)
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", daemon.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	sockets := 0
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(link, "socket:[") {
			continue
		}
		sockets++
		ino := strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")
		row := ""
		for line := range bytes.Lines(table) {
			if f := strings.Fields(string(line)); len(f) > 6 && f[6] == ino {
				row = strings.Join(f[7:], " ")
			}
		}
		if row != filepath.Join(dir, "broker.sock") {
			t.Errorf("the daemon has a socket that is not its own: %s %q", link, row)
		}
	}
	if sockets != 1 {
		t.Errorf("the daemon has %d sockets, want 1", sockets)
	}
}

func TestP45ManyConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	daemon, dir := startDaemon(t, testExe(t), 0)
	hello(t, dir)
	before := rss(t, daemon)
	half := bytes.Repeat([]byte("x"), MaxLine-1)
	for i := range 1000 {
		conn, err := net.Dial("unix", filepath.Join(dir, "broker.sock"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(half) // those over the budget are refused
	}
	growth := rss(t, daemon) - before
	t.Logf("RSS grows by %d KiB", growth)
	limit := 32 << 10
	if raceDetector {
		limit *= 2 // what it notes about memory is memory too
	}
	if growth > limit {
		t.Errorf("1000 connections with half a line each: RSS grows by %d KiB, want at most 32 MiB", growth)
	}
	waitFor(t, "service beside 1000 connections", func() bool {
		err := (&Client{Socket: filepath.Join(dir, "broker.sock")}).Call(t.Context(), OpHello, nil, nil)
		return err == nil
	})
}

// rss returns the resident memory of the process in KiB.
func rss(t testing.TB, p *process) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var kib int
	for line := range strings.Lines(string(data)) {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
