// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// tortured is the name of a directory of programs whose worker is this test's
// own: see runAsTorturedVault.
const tortured = "tortured"

// blow is what a worker does at one call, in the file "blow" beside it.
type blow struct {
	Op    string `json:"op"`    // the operation of the worker
	Nth   int    `json:"nth"`   // which of its calls, from 1
	After bool   `json:"after"` // when the work is done and nobody has heard; else before it
	// Daemon and Worker say who is killed. A worker whose daemon is killed
	// before the work does it all the same, as it would.
	Daemon bool     `json:"daemon,omitempty"`
	Worker bool     `json:"worker,omitempty"`
	Fill   string   `json:"fill,omitempty"` // a directory whose disk is full from then on
	Run    []string `json:"run,omitempty"`  // a command that is run
}

func (b blow) String() string {
	text := fmt.Sprintf("%s %d", b.Op, b.Nth)
	for word, is := range map[string]bool{"after": b.After, "daemon": b.Daemon, "worker": b.Worker, "full": b.Fill != "", "run": len(b.Run) > 0} {
		if is {
			text += " " + word
		}
	}
	return text
}

// runAsTorturedVault makes this program a worker that deals out the blow in its
// directory, and else is the real one. It says in "calls" what it was asked for,
// and in "dealt" that the blow has fallen.
func runAsTorturedVault() bool {
	exe, err := os.Executable()
	if err != nil || filepath.Base(exe) != "broker-vault" || filepath.Base(filepath.Dir(exe)) != tortured {
		return false
	}
	if err := torturedVault(filepath.Dir(exe)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func torturedVault(dir string) error {
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var asked struct{ Op string }
	if err := json.Unmarshal(request, &asked); err != nil {
		return err
	}
	var b blow
	if data, err := os.ReadFile(filepath.Join(dir, "blow")); err == nil {
		if err := json.Unmarshal(data, &b); err != nil {
			return err
		}
	}
	falls := asked.Op == b.Op && count(filepath.Join(dir, "calls"), asked.Op) == b.Nth
	if falls && !b.After {
		if err := b.fall(dir); err != nil {
			return err
		}
	}
	worker := exec.Command(filepath.Join(dir, "vault"))
	var answer bytes.Buffer
	worker.Stdin, worker.Stdout, worker.Stderr = bytes.NewReader(request), &answer, os.Stderr
	err = worker.Run()
	if falls && b.After {
		if err := b.fall(dir); err != nil {
			return err
		}
	}
	_, _ = os.Stdout.Write(answer.Bytes()) // the daemon may be dead
	return err
}

// count adds a call to the file, and says how many of its kind there are. Calls
// that come at the same time stand in line.
func count(path, op string) int {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return 0
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return 0
	}
	if _, err := f.WriteString(op + "\n"); err != nil {
		return 0
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	return strings.Count("\n"+string(data), "\n"+op+"\n")
}

func (b blow) fall(dir string) error {
	if b.Fill != "" {
		fill(filepath.Join(b.Fill, "filler"))
	}
	if len(b.Run) > 0 {
		cmd := exec.Command(b.Run[0], b.Run[1:]...)
		cmd.Env = append(os.Environ(), "BROKER_SOCKET="+filepath.Join(filepath.Dir(dir), "run", "broker.sock"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", b.Run, err, out)
		}
	}
	if b.Daemon {
		if err := syscall.Kill(os.Getppid(), syscall.SIGKILL); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "dealt"), nil, 0o600); err != nil {
		return err
	}
	if b.Worker {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return nil
}

// fill writes until nothing more fits.
func fill(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	for _, size := range []int{4096, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
}
