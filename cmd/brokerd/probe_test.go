// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownerUID is a user without an entry in the password file.
const ownerUID = 1001

// TestP32SameUserGetsNothing looks into the daemon with the rights of its own
// user, as a debugger or a thief of that user would.
func TestP32SameUserGetsNothing(t *testing.T) {
	needRoot(t)
	h := newHome(t)
	h.uid = ownerUID
	if err := os.Chown(h.dir, ownerUID, ownerUID); err != nil {
		t.Fatal(err)
	}
	d := h.start(nil)
	eventually(t, "the socket is there", func() error { _, err := os.Lstat(h.socket()); return err })
	// Between its start and its first calls it can be looked into; it holds
	// nothing by then.
	eventually(t, "it is hardened", func() error {
		if got := procStatus(t, filepath.Join("/proc", strconv.Itoa(d.Process.Pid)), "NoNewPrivs"); got != "1" {
			return errors.New("not yet")
		}
		return nil
	})
	control := exec.Command("/bin/sleep", "1000")
	control.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = control.Process.Kill()
		_ = control.Wait() // ended by us
	})
	for _, test := range []struct {
		pid  int
		want string
	}{
		{control.Process.Pid, "mem ok\nmaps ok\nenviron ok\nexe ok\nfd ok\nptrace ok\npidfd_getfd ok\n"},
		{d.Process.Pid, "mem refused\nmaps refused\nenviron refused\nexe refused\nfd refused\nptrace refused\npidfd_getfd refused\n"},
	} {
		prober := exec.Command(filepath.Join(programs, "prober"))
		prober.Env = []string{asProber + "=" + strconv.Itoa(test.pid)}
		prober.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
		out, err := prober.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if string(out) != test.want {
			t.Errorf("pid %d shows\n%swant\n%s", test.pid, out, test.want)
		}
	}
}

// proberMain tries every way into another process and prints what it got.
func proberMain(target string) {
	pid, err := strconv.Atoi(target)
	if err != nil {
		panic(err)
	}
	proc := filepath.Join("/proc", target)
	for _, attempt := range []struct {
		name string
		try  func() error
	}{
		{"mem", func() error { return open(filepath.Join(proc, "mem")) }},
		{"maps", func() error { return open(filepath.Join(proc, "maps")) }},
		{"environ", func() error { return open(filepath.Join(proc, "environ")) }},
		{"exe", func() error { _, err := os.Readlink(filepath.Join(proc, "exe")); return err }},
		{"fd", func() error { _, err := os.ReadDir(filepath.Join(proc, "fd")); return err }},
		{"ptrace", func() error { return unix.PtraceSeize(pid) }},
		{"pidfd_getfd", func() error { return stealFD(pid) }},
	} {
		result := "ok"
		if err := attempt.try(); err != nil {
			result = "refused"
			if !errors.Is(err, os.ErrPermission) {
				result = err.Error()
			}
		}
		fmt.Println(attempt.name, result)
	}
}

func open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func stealFD(pid int) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	_, err = unix.PidfdGetfd(handle, 0, 0)
	return err
}
