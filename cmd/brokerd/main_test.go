// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// patience bounds every wait: a loaded machine is slow.
const patience = 2 * time.Minute

// programs holds brokerd, and a copy of this test binary as "prober".
var programs string

// asProber makes the test binary do something else than testing, see proberMain.
const asProber = "BROKERD_TEST_PROBER"

func TestMain(m *testing.M) {
	if target := os.Getenv(asProber); target != "" {
		proberMain(target)
		testprograms.Exit(0)
	}
	if os.Getenv(asWorker) != "" {
		workerMain()
		testprograms.Exit(0)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := testprograms.Build()
	if err == nil {
		defer os.RemoveAll(dir)
		err = copyFile("/proc/self/exe", filepath.Join(dir, "prober"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	programs = dir
	status := m.Run()
	for _, line := range testprograms.End(dir) {
		fmt.Fprintln(os.Stderr, "left running:", line)
		status = max(status, 1)
	}
	return status
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// needRoot skips a test that only root can run, where nobody promised that it
// runs.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root")
	}
}

// home is one user's home, with nothing in it, and a directory for the socket.
type home struct {
	t   *testing.T
	dir string
	env []string
	uid uint32
}

func newHome(t *testing.T) *home {
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
	h := &home{t: t, dir: dir, uid: uint32(os.Getuid())}
	h.env = []string{"HOME=" + dir, "BROKER_SOCKET=" + h.socket(), fixedPath}
	if d := os.Getenv("GOCOVERDIR"); d != "" {
		h.env = append(h.env, "GOCOVERDIR="+d)
	}
	return h
}

func (h *home) socket() string { return filepath.Join(h.dir, "run", "broker.sock") }
func (h *home) logFile() string {
	return filepath.Join(h.dir, ".local", "state", "broker", "brokerd.log")
}

// daemonProcess is a brokerd that the test has started.
type daemonProcess struct {
	*exec.Cmd
	t      *testing.T
	stderr bytes.Buffer
	ended  chan struct{}
}

// start starts brokerd with more variables and arguments.
func (h *home) start(env []string, args ...string) *daemonProcess {
	h.t.Helper()
	d := h.command(env, args...)
	d.launch()
	return d
}

func (h *home) command(env []string, args ...string) *daemonProcess {
	d := &daemonProcess{Cmd: exec.Command(filepath.Join(programs, "brokerd"), args...), t: h.t, ended: make(chan struct{})}
	d.Env = append(append([]string{}, h.env...), env...)
	d.Stderr = &d.stderr
	d.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if h.uid != uint32(os.Getuid()) {
		d.SysProcAttr.Credential = &syscall.Credential{Uid: h.uid, Gid: h.uid}
	}
	return d
}

func (d *daemonProcess) launch() {
	d.t.Helper()
	if err := d.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		_ = d.Wait() // how it ended is in ProcessState
	}()
	d.t.Cleanup(func() {
		_ = d.Process.Kill() // it may have ended
		<-d.ended
	})
}

func (d *daemonProcess) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// status waits for the end and returns the exit status, -1 for a signal.
func (d *daemonProcess) status() int {
	d.t.Helper()
	select {
	case <-d.ended:
		return d.ProcessState.ExitCode()
	case <-time.After(patience):
		d.t.Fatalf("brokerd does not end; it said %q", d.said())
		return 0
	}
}

// said returns the standard error of a daemon that has ended.
func (d *daemonProcess) said() string {
	select {
	case <-d.ended:
		return d.stderr.String()
	default:
		return "(it still runs)"
	}
}

func (d *daemonProcess) running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// hello asks who serves.
func (h *home) hello() (ipc.Hello, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var hello ipc.Hello
	err := (&ipc.Client{Socket: h.socket(), Name: "test"}).Call(ctx, ipc.OpHello, nil, &hello)
	return hello, err
}

// serving waits until d serves.
func (h *home) serving(d *daemonProcess) {
	h.t.Helper()
	eventually(h.t, "brokerd serves", func() error {
		if !d.running() {
			h.t.Fatalf("brokerd ended with %d: %s", d.status(), d.said())
		}
		hello, err := h.hello()
		if err == nil && hello.PID != d.Process.Pid {
			err = fmt.Errorf("pid %d answers, want %d", hello.PID, d.Process.Pid)
		}
		return err
	})
}

func TestCommandLine(t *testing.T) {
	h := newHome(t)
	tests := []struct {
		args           []string
		status         int
		stdout, stderr string // how they begin
	}{
		{[]string{"--version"}, 0, "brokerd 0.0.0-dev\n", ""},
		{[]string{"--help"}, 0, "brokerd answers broker", ""},
		{[]string{"--nonsense"}, 2, "", "brokerd: error: flag provided but not defined"},
		{[]string{"--log-level", "loud"}, 2, "", "brokerd: error: invalid value"},
		{[]string{"serve"}, 2, "", "brokerd: error: unexpected argument \"serve\"\nbrokerd: hint: brokerd --help\n"},
	}
	for _, test := range tests {
		d := h.command(nil, test.args...)
		var stdout bytes.Buffer
		d.Stdout = &stdout
		d.launch()
		if got := d.status(); got != test.status {
			t.Errorf("%q ended with %d, want %d", test.args, got, test.status)
		}
		if !strings.HasPrefix(stdout.String(), test.stdout) || (test.stdout == "") != (stdout.Len() == 0) {
			t.Errorf("%q printed %q, want %q", test.args, stdout.String(), test.stdout)
		}
		if !strings.HasPrefix(d.said(), test.stderr) || (test.stderr == "") != (d.said() == "") {
			t.Errorf("%q complained %q, want %q", test.args, d.said(), test.stderr)
		}
	}
	if _, err := os.Stat(filepath.Dir(h.socket())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the socket was made (%v)", err)
	}
}
