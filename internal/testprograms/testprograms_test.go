// SPDX-License-Identifier: Apache-2.0

//go:build linux

package testprograms

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestEnd: what was started from one directory ends, and nothing else.
func TestEnd(t *testing.T) {
	from, dir := t.TempDir(), t.TempDir()
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "sleep"), sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	for _, name := range []string{"mine", "another"} {
		bin := filepath.Join(dir, name)
		if err := Link(from, bin); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(bin, "sleep"), "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		})
		all = append(all, cmd)
	}
	mine := filepath.Join(dir, "mine")
	if got := Running(mine); len(got) != 1 || got[all[0].Process.Pid] != filepath.Join(mine, "sleep")+" 600" {
		t.Errorf("Running = %v, want the one process", got)
	}
	if got := End(mine); len(got) != 1 {
		t.Errorf("End = %v, want the one process", got)
	}
	if got := Running(mine); len(got) != 0 {
		t.Errorf("after End: %v", got)
	}
	if got := Running(filepath.Join(dir, "another")); len(got) != 1 {
		t.Errorf("the other directory: Running = %v, want its process", got)
	}
}

// TestStopped: a process that was sent SIGSTOP is stopped in the end, and no other.
func TestStopped(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // nobody else ends it
		_ = cmd.Wait()
	})
	if Stopped(os.Getpid()) {
		t.Error("this process is said to be stopped")
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for !Stopped(cmd.Process.Pid) {
		if time.Now().After(deadline) {
			t.Fatal("it runs on")
		}
		<-time.After(time.Millisecond)
	}
}
