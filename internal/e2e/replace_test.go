// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

// runAsSlowVault makes this program a worker that waits with each request that
// has in it what the file "hold" beside it says, for as long as that stands
// there. It says so in the file "held".
func runAsSlowVault() bool {
	exe, err := os.Executable()
	if err != nil || filepath.Base(exe) != "broker-vault" || filepath.Base(filepath.Dir(exe)) != "slow" {
		return false
	}
	if err := slowVault(filepath.Dir(exe)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func slowVault(dir string) error {
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if text, err := os.ReadFile(filepath.Join(dir, "hold")); err == nil && bytes.Contains(request, text) {
		for fileExists(filepath.Join(dir, "hold")) {
			if err := os.WriteFile(filepath.Join(dir, "held"), nil, 0o600); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	worker := exec.Command(filepath.Join(dir, "vault"))
	worker.Stdin, worker.Stdout, worker.Stderr = bytes.NewReader(request), os.Stdout, os.Stderr
	return worker.Run()
}

// wrapVault makes a directory of programs in which this test's own takes the
// worker's place, and the worker stands beside it as "vault". It returns the
// directory, which the world does not use yet.
func (w *world) wrapVault(name string) (bin string) {
	w.t.Helper()
	t := w.t
	bin = filepath.Join(w.dir, name)
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for to, from := range map[string]string{
		"broker-sandbox": programs + "/broker-sandbox",
		"broker":         programs + "/broker", "broker-cli": programs + "/broker-cli", "brokerd": programs + "/brokerd",
		"vault": programs + "/broker-vault", "broker-vault": self,
	} {
		if os.Link(from, filepath.Join(bin, to)) == nil {
			continue
		}
		copyFile(t, from, filepath.Join(bin, to)) // it is on another disk
		if err := os.Chmod(filepath.Join(bin, to), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// slowVaultWorld is a world of its own programs, with a worker whose deletions
// wait until release is called.
func slowVaultWorld(t *testing.T) (w *world, held, release func()) {
	t.Helper()
	w = newWorld(t)
	w.initialise()
	bin := w.wrapVault("slow")
	hold := filepath.Join(bin, "hold")
	overwrite(t, hold, `"op":"delete"`)
	t.Cleanup(func() { _ = os.Remove(hold) }) // it is gone if all went well
	held = func() {
		t.Helper()
		w.eventually("a worker is held", func() error {
			_, err := os.Stat(filepath.Join(bin, "held"))
			return err
		})
	}
	w.bin = bin
	return w, held, func() { remove(t, hold) }
}

// TestReplacedKeyIsNeverLost: whatever happens to broker or brokerd when the
// index has the new key and the old one is being deleted, a key works.
func TestReplacedKeyIsNeverLost(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(w *world, add *background, release func()){
		"interrupted": func(w *world, add *background, release func()) {
			w.signal(add.Process.Pid, syscall.SIGINT)
			release()
		},
		"interrupted, and no answer comes": func(w *world, add *background, release func()) {
			w.signal(add.Process.Pid, syscall.SIGINT)
			add.wait()
			release()
		},
		"daemon killed": func(w *world, add *background, release func()) {
			w.killDaemon()
			release()
		},
		"both killed": func(w *world, add *background, release func()) {
			w.signal(add.Process.Pid, syscall.SIGKILL)
			w.killDaemon()
			release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, held, release := slowVaultWorld(t)
			w.awsConfig("[profile dev]\nregion = eu-west-1\n")
			w.add("dev", "ann", "--no-mfa")

			add := w.startCommand(w.addCommand("dev", "bob", "--no-mfa", "--replace"))
			held()
			strike(w, add, release)
			add.wait()
			w.credentials("dev")
		})
	}
}

func (w *world) signal(pid int, signal syscall.Signal) {
	w.t.Helper()
	if pid <= 1 { // 0 is all of this test's own process group
		w.t.Fatalf("there is no process to send %v to", signal)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		w.t.Fatal(err)
	}
	if signal != syscall.SIGSTOP {
		return
	}
	w.eventually("it is stopped", func() error {
		if !testprograms.Stopped(pid) {
			return errors.New("it runs")
		}
		return nil
	})
}
