// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// strangerUID is somebody else.
const strangerUID = 1002

func TestP04HostilePlacesAreRefused(t *testing.T) {
	needRoot(t)
	run := func(h *home) string { return filepath.Join(h.dir, "run") }
	mkdir := func(path string, mode os.FileMode) error {
		return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode))
	}
	tests := []struct {
		name string
		make func(h *home) error
		env  []string
	}{
		{name: "directory of another user", make: func(h *home) error {
			return errors.Join(mkdir(run(h), 0o700), os.Chown(run(h), strangerUID, strangerUID))
		}},
		{name: "directory is a link", make: func(h *home) error {
			real := filepath.Join(h.dir, "real")
			return errors.Join(mkdir(real, 0o700), os.Symlink(real, run(h)))
		}},
		{name: "directory is a dangling link", make: func(h *home) error {
			return os.Symlink(filepath.Join(h.dir, "nowhere"), run(h))
		}},
		{name: "directory is a file", make: func(h *home) error { return os.WriteFile(run(h), []byte("victim"), 0o600) }},
		{name: "directory of a group", make: func(h *home) error { return mkdir(run(h), 0o770) }},
		{name: "directory of everybody", make: func(h *home) error { return mkdir(run(h), 0o777) }},
		{name: "directory that others read", make: func(h *home) error { return mkdir(run(h), 0o755) }},
		{name: "parent of everybody without sticky", make: func(h *home) error { return os.Chmod(h.dir, 0o777) }},
		{name: "parent of another user", make: func(h *home) error { return os.Chown(h.dir, strangerUID, strangerUID) }},
		{name: "file at the path", make: func(h *home) error {
			return errors.Join(mkdir(run(h), 0o700), os.WriteFile(h.socket(), []byte("victim"), 0o600))
		}},
		{name: "link at the path", make: func(h *home) error {
			return errors.Join(mkdir(run(h), 0o700), os.Symlink(filepath.Join(h.dir, "target"), h.socket()))
		}},
		{name: "directory at the path", make: func(h *home) error {
			return errors.Join(mkdir(run(h), 0o700), os.Mkdir(h.socket(), 0o700))
		}},
		{name: "socket of another user at the path", make: func(h *home) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(h.dir, "s")})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return errors.Join(l.Close(), mkdir(run(h), 0o700), os.Rename(filepath.Join(h.dir, "s"), h.socket()), os.Lchown(h.socket(), strangerUID, strangerUID))
		}},
		{name: "lock file is a link", make: func(h *home) error {
			return errors.Join(mkdir(run(h), 0o700), os.Symlink(filepath.Join(h.dir, "target"), filepath.Join(run(h), "brokerd.lock")))
		}},
		{name: "relative path", env: []string{"BROKER_SOCKET=run/broker.sock"}},
		{name: "path over 100 bytes", env: []string{"BROKER_SOCKET=/tmp/" + strings.Repeat("x", 100) + "/broker.sock"}},
		{name: "relative home", env: []string{"HOME=tmp"}},
		{name: "relative state directory", env: []string{"BROKER_STATE_DIR=state"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHome(t)
			if test.make != nil {
				if err := test.make(h); err != nil {
					t.Fatal(err)
				}
			}
			before := listing(t, h.dir)
			h.env = overrides(h.env, test.env)
			d := h.start(nil)
			if got := d.status(); got != exitRefused {
				t.Fatalf("ended with %d, want %d: %s", got, exitRefused, d.said())
			}
			if lines := strings.Count(d.said(), "\n"); lines != 1 || !strings.HasPrefix(d.said(), "brokerd: error: ") {
				t.Errorf("it said %q, want one line", d.said())
			}
			if after := listing(t, h.dir); after != before {
				t.Errorf("what is there changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// overrides returns env with the variables of more in place of its own.
func overrides(env, more []string) []string {
	var out []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		replaced := false
		for _, m := range more {
			replaced = replaced || strings.HasPrefix(m, name+"=")
		}
		if !replaced {
			out = append(out, entry)
		}
	}
	return append(out, more...)
}

// listing describes everything below dir but the log, where a refusal is told,
// and the lock file, which comes first and stays.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if rel == ".local" {
			return filepath.SkipDir
		}
		if e.Type().IsRegular() && e.Name() == "brokerd.lock" {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %o uid %d inode %d", rel, st.Mode, st.Uid, st.Ino)
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", data)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestP12NothingListensButTheSocket(t *testing.T) {
	needRoot(t) // a daemon does not show its descriptors to its own user
	h := newHome(t)
	d := h.start(nil)
	h.serving(d)
	inodes := map[string]bool{}
	fds := filepath.Join("/proc", strconv.Itoa(d.Process.Pid), "fd")
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if link, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	if len(inodes) == 0 {
		t.Fatal("brokerd has no socket at all: the test looks at the wrong process")
	}
	own := 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "netlink", "packet", "unix"} {
		data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.Process.Pid), "net", table))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			for _, field := range strings.Fields(line) {
				switch {
				case !inodes[field]:
				case table == "unix" && strings.HasSuffix(strings.TrimSpace(line), h.socket()):
					own++
				case table == "unix" && !strings.Contains(line, "@") && !strings.Contains(line, " /"):
					// The nameless end of a connection.
				default:
					t.Errorf("brokerd has a socket in %s: %s", table, line)
				}
			}
		}
	}
	if own == 0 {
		t.Error("its own socket was not found: the test looks at the wrong tables")
	}
}

// status returns a field of /proc/PID/status, or of one of its threads.
func procStatus(t *testing.T, path, field string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path, "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestHardening(t *testing.T) {
	needRoot(t)
	h := newHome(t)
	d := h.command(nil)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	d.ExtraFiles = []*os.File{write, write}
	d.Dir = h.dir
	d.launch()
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	h.serving(d)

	if _, err := bufio.NewReader(read).ReadByte(); err == nil || !d.running() {
		t.Errorf("reading the pipe that was left to it: %v", err)
	}
	proc := filepath.Join("/proc", strconv.Itoa(d.Process.Pid))
	threads, err := filepath.Glob(filepath.Join(proc, "task", "*"))
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, thread := range threads {
		if got := procStatus(t, thread, "NoNewPrivs"); got != "1" {
			t.Errorf("thread %s: NoNewPrivs is %q", thread, got)
		}
	}
	if got := procStatus(t, proc, "Umask"); got != "0077" {
		t.Errorf("umask is %s", got)
	}
	if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err != nil || cwd != "/" {
		t.Errorf("working directory is %q (%v)", cwd, err)
	}
	limits, err := os.ReadFile(filepath.Join(proc, "limits"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if f := strings.Fields(rest); len(f) < 2 || f[0] != "0" || f[1] != "0" {
				t.Errorf("core limit is %s", rest)
			}
		}
	}
}

// TestP48HostileEnvironmentIsInert starts the daemon with everything that can
// lead it astray. What it runs with is read from the kernel.
func TestP48HostileEnvironmentIsInert(t *testing.T) {
	needRoot(t)
	h := newHome(t)
	bin := filepath.Join(h.dir, "bin")
	fired := filepath.Join(h.dir, "fired")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dbus-launch", "broker-vault", "sh", "env", "pinentry", "zenity", "pass", "gpg"} {
		script := "#!/bin/sh\necho " + name + " >> " + fired + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bus, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	contacted := make(chan struct{})
	go func() {
		conn, err := bus.Accept()
		if err != nil {
			return // the end of the test
		}
		_ = conn.Close()
		close(contacted)
	}()
	address := bus.Addr().String()
	t.Cleanup(func() { _ = bus.Close() })

	h.env = overrides(h.env, []string{
		"PATH=" + bin, "LD_PRELOAD=" + filepath.Join(h.dir, "canary.so"), "LD_LIBRARY_PATH=" + bin,
		"SSL_CERT_FILE=" + fired, "SSL_CERT_DIR=" + bin,
		"HTTPS_PROXY=http://" + address, "https_proxy=http://" + address, "ALL_PROXY=http://" + address,
		"AWS_ENDPOINT_URL=http://" + address, "AWS_PROFILE=canary", "AWS_CONFIG_FILE=" + fired,
		"AWS_ACCESS_KEY_ID=AKIACANARYCANARYCANA", "AWS_SECRET_ACCESS_KEY=canary", "AWS_CA_BUNDLE=" + fired,
		"GODEBUG=http2debug=2,x509roots=0", "GOTRACEBACK=crash", "GOGC=off", "GORACE=log_path=" + fired,
		"DBUS_SESSION_BUS_ADDRESS=tcp:host=127.0.0.1,port=" + address[strings.LastIndexByte(address, ':')+1:],
		"XDG_CONFIG_HOME=" + fired, "XDG_STATE_HOME=" + fired, "TMPDIR=" + fired,
		"BROKER_LIKE=kept", "LC_TIME=C", "LANG=C.UTF-8",
	})
	d := h.start(nil)
	h.serving(d)

	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.Process.Pid), "environ"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(environ), "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		names[name] = true
		switch name {
		case "HOME", "BROKER_SOCKET", "BROKER_LIKE", "LC_TIME", "LANG", "GOCOVERDIR":
		case "PATH":
			if entry != fixedPath {
				t.Errorf("PATH is %s", value)
			}
		default:
			t.Errorf("the daemon sees %s", entry)
		}
	}
	for _, want := range []string{"HOME", "PATH", "LC_TIME", "BROKER_SOCKET"} {
		if !names[want] {
			t.Errorf("the daemon lacks %s: it cannot do its work", want)
		}
	}
	d.signal(syscall.SIGTERM)
	if got := d.status(); got != 0 || d.said() != "" {
		t.Errorf("status %d, said %q; want 0 and nothing", got, d.said())
	}
	if what, err := os.ReadFile(fired); err == nil {
		t.Errorf("a canary fired: %s", what)
	}
	select {
	case <-contacted:
		t.Error("the canary's port was contacted")
	default:
	}
}
