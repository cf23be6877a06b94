// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/testprograms"
)

// runAsStarvedVault makes this program a worker that joins the control group
// named in the file "starve" beside it, or without one limits its own memory,
// and becomes the real worker. Its directory is called "starved".
func runAsStarvedVault() bool {
	exe, err := os.Executable()
	if err != nil || filepath.Base(filepath.Dir(exe)) != "starved" || filepath.Base(exe) != "broker-vault" {
		return false
	}
	dir := filepath.Dir(exe)
	if group, err := os.ReadFile(filepath.Join(dir, "starve")); err == nil {
		if err := starve(string(group)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Fprintln(os.Stderr, syscall.Exec(filepath.Join(dir, "vault"), []string{"broker-vault"}, os.Environ()))
	os.Exit(1)
	return true
}

func starve(group string) error {
	if group != "" {
		return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o600)
	}
	const enough = 16 << 20 // to be started, and for nothing else
	return unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: enough, Max: enough})
}

// smallGroup makes a control group with too little memory for a worker; "" if
// this machine lets nobody make one.
func smallGroup(t *testing.T) string {
	t.Helper()
	for root, limit := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		dir := filepath.Join(root, fmt.Sprintf("broker-test-%d", time.Now().UnixNano()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })             // it is empty
		if !fileExists(filepath.Join(dir, "cgroup.procs")) { // the directory of version 1 is no group itself
			continue
		}
		_ = os.WriteFile(filepath.Join(dir, "memory.swappiness"), []byte("0"), 0o600)
		_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0o600) // of the other version
		if os.WriteFile(filepath.Join(dir, limit), []byte("1500000"), 0o600) == nil {
			return dir
		}
	}
	return ""
}

// F51: the system ends a worker for want of memory. The caller is told so, the
// daemon lives, nothing is lost, and the next call succeeds.
func TestF51WorkerOutOfMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bin := w.wrapVault("starved")
	w.bin = bin
	w.keysIn("file")
	w.forget()
	daemon := w.daemonPID()
	group := smallGroup(t)
	t.Logf("control group %q", group)
	overwrite(t, filepath.Join(bin, "starve"), group)
	r := w.mint()
	w.lostWorker(r)
	if group != "" && !strings.Contains(r.stderr, "killed") {
		t.Errorf("stderr %q: the kernel did not end it", r.stderr)
	}
	remove(t, filepath.Join(bin, "starve"))
	w.credentials("dev")
	if now := w.daemonPID(); now != daemon {
		t.Errorf("pid %d serves, pid %d did", now, daemon)
	}
}

// lostWorker checks what a helper says of a worker that died.
func (w *world) lostWorker(r result) {
	w.t.Helper()
	if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "ended without an answer") || !strings.Contains(r.stderr, "try again") {
		w.t.Errorf("status %d, stdout %q, stderr %q; want 1, the loss of the worker and what to do", r.status, r.stdout, r.stderr)
	}
}

// slowSTS makes the worker of a mint wait for STS, and returns its pid.
func (w *world) slowSTS() (helpers []*background, worker int) {
	w.t.Helper()
	w.settled() // the worker that runs is then theirs
	w.set("delay.GetSessionToken=12s")
	helpers = w.crowd(3, "dev")
	w.eventually("a worker runs", func() error {
		pids := w.workerPIDs()
		if len(pids) != 1 {
			return fmt.Errorf("workers %v", pids)
		}
		worker = pids[0]
		return nil
	})
	return helpers, worker
}

// F51: a worker is killed while three wait for it.
func TestF51WorkerKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keysIn("file")
	w.forget()
	helpers, worker := w.slowSTS()
	w.signal(worker, syscall.SIGKILL)
	for _, helper := range helpers {
		w.lostWorker(helper.wait())
	}
	w.set("delay.GetSessionToken=0s")
	w.credentials("dev")
}

// F52: a worker is stopped. It is killed at its deadline, which nobody shortens
// here, and whoever waits is released.
func TestF52WorkerStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keysIn("file")
	w.forget()
	helpers, worker := w.slowSTS()
	w.signal(worker, syscall.SIGSTOP)
	w.set("delay.GetSessionToken=0s")
	for _, helper := range helpers {
		w.refused("stopped", helper.wait(), "was stopped")
	}
	w.eventually("the worker is gone", func() error {
		if testprograms.Alive(worker) {
			return errors.New("it runs")
		}
		return nil
	})
	w.credentials("dev")
}
