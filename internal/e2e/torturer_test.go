// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/testprograms"
)

// tortured is the name of a directory of programs whose worker is this test's
// own: see runAsTorturedVault.
const tortured = "tortured"

// blow is what a worker does at one call, in the file "blow" beside it.
type blow struct {
	Op    string `json:"op"`    // the operation of the worker
	Nth   int    `json:"nth"`   // which of its calls, from 1
	After bool   `json:"after"` // when the work is done and nobody has heard; else before it
	// Daemon, Term, Client and Worker say who is killed; with Term the daemon is
	// asked to end. A worker whose daemon is killed before the work does it all
	// the same, as it would.
	Daemon bool     `json:"daemon,omitempty"`
	Term   bool     `json:"term,omitempty"`
	Client bool     `json:"client,omitempty"`
	Worker bool     `json:"worker,omitempty"`
	Fill   string   `json:"fill,omitempty"` // a directory whose disk is full from then on
	Run    []string `json:"run,omitempty"`  // a command that is run
}

func (b blow) String() string {
	if b.Op == "" {
		return "none"
	}
	text := fmt.Sprintf("%s %d", b.Op, b.Nth)
	for _, s := range []struct {
		word string
		is   bool
	}{
		{"after", b.After},
		{"daemon", b.Daemon},
		{"term", b.Term},
		{"client", b.Client},
		{"worker", b.Worker},
		{"full " + b.Fill, b.Fill != ""},
		{"run " + strings.Join(b.Run, " "), len(b.Run) > 0},
	} {
		if s.is {
			text += " " + s.word
		}
	}
	return text
}

// runAsTorturedVault makes this program a worker that deals out the blow in its
// directory, and else is the real one. It says in "calls" what it was asked for,
// in "falling" that it will deal the blow, and in "dealt" that it has, with the
// daemon that was hit.
func runAsTorturedVault() bool {
	exe, err := os.Executable()
	if err != nil || filepath.Base(exe) != "broker-vault" || filepath.Base(filepath.Dir(exe)) != tortured {
		return false
	}
	runtime.LockOSThread() // see Pdeathsig
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
	b, falls, err := takeBlow(dir, asked.Op)
	if err != nil {
		return err
	}
	if falls && !b.After {
		if err := b.fall(dir); err != nil {
			return err
		}
	}
	if !falls || !b.After {
		return become(filepath.Join(dir, "vault"), request)
	}
	worker := exec.Command(filepath.Join(dir, "vault"))
	worker.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // who kills this one means that one
	var answer bytes.Buffer
	worker.Stdin, worker.Stdout, worker.Stderr = bytes.NewReader(request), &answer, os.Stderr
	err = worker.Run()
	if err := b.fall(dir); err != nil {
		return err
	}
	_, _ = os.Stdout.Write(answer.Bytes()) // the daemon may be dead
	return err
}

// become makes this process the worker, with a request that it has read, which
// a pipe has room for.
func become(vault string, request []byte) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if _, err := w.Write(request); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := unix.Dup3(int(r.Fd()), int(os.Stdin.Fd()), 0); err != nil {
		return err
	}
	return syscall.Exec(vault, []string{vault}, os.Environ())
}

// takeBlow counts a call, and says whether the blow is for it. Calls that come
// at the same time stand in line, as does disarm.
func takeBlow(dir, op string) (b blow, falls bool, err error) {
	err = inLine(dir, func(calls *os.File) error {
		data, err := os.ReadFile(filepath.Join(dir, "blow"))
		if err != nil {
			return nil // nobody has planned one
		}
		if err := json.Unmarshal(data, &b); err != nil {
			return err
		}
		if b.Op != op {
			return nil
		}
		if _, err := calls.WriteString(op + "\n"); err != nil {
			return err
		}
		all, err := os.ReadFile(calls.Name())
		count := 0
		for line := range strings.Lines(string(all)) {
			if line == op+"\n" {
				count++
			}
		}
		if falls = err == nil && count == b.Nth; falls {
			err = os.WriteFile(filepath.Join(dir, "falling"), []byte(strconv.Itoa(os.Getpid())), 0o600)
		}
		return err
	})
	return b, falls, err
}

// arm plans a blow. No call has been counted, and nothing has fallen.
func arm(dir string, b blow) error {
	plan, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return inLine(dir, func(calls *os.File) error {
		for _, name := range []string{"falling", "dealt"} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := calls.Truncate(0); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "blow"), plan, 0o600)
	})
}

// disarm takes the blow back, and returns the worker that deals it, or has
// dealt it, all the same; 0 if there is none.
func disarm(dir string) (worker int, err error) {
	err = inLine(dir, func(*os.File) error { return os.WriteFile(filepath.Join(dir, "blow"), []byte("{}"), 0o600) })
	if err != nil {
		return 0, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "falling"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil {
		worker, err = strconv.Atoi(string(data))
	}
	return worker, err
}

// inLine runs f while nobody else does.
func inLine(dir string, f func(calls *os.File) error) error {
	calls, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer calls.Close()
	if err := unix.Flock(int(calls.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return f(calls)
}

// arm plans a blow in which words stand for what is this rack's own.
func (r *rack) arm(b blow) {
	r.t.Helper()
	b.Fill = strings.Replace(b.Fill, "STATE", r.stateDir(), 1)
	if len(b.Run) > 0 {
		b.Run = r.violence(b.Run)
	}
	if err := arm(r.bin, b); err != nil {
		r.t.Fatal(err)
	}
}

// disarm takes it back. One that is falling falls first, and a daemon that was
// hit ends: one that was asked to would else be taken for one that stays.
func (r *rack) disarm() {
	r.t.Helper()
	worker, err := disarm(r.bin)
	if err != nil {
		r.t.Fatal(err)
	}
	if worker == 0 {
		return
	}
	daemon := 0
	r.eventually("the blow has fallen", func() error {
		data, err := os.ReadFile(filepath.Join(r.bin, "dealt"))
		if err == nil {
			daemon, err = strconv.Atoi(string(data))
		}
		if err != nil && testprograms.Alive(worker) { // a daemon that ends kills it
			return err
		}
		return nil
	})
	r.gone(daemon)
}

// gone waits until a daemon has ended, if it is one, and has let go of its socket:
// the next client might still find it there.
func (r *rack) gone(pid int) {
	r.t.Helper()
	r.eventually("the daemon that was killed has ended", func() error {
		if pid > 0 && (testprograms.Alive(pid) || r.daemonPID() == pid) {
			return fmt.Errorf("process %d", pid)
		}
		return nil
	})
}

// violence is the command for a word: see randomBlow.
func (r *rack) violence(words []string) []string {
	switch words[0] {
	case "lock":
		return []string{filepath.Join(r.bin, "broker"), "lock"}
	case "vanish":
		return []string{"kill", "-KILL", itoa(r.keyring.PID())}
	case "shut":
		return r.keyring.LockCommand()
	}
	return words
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
	if b.Client {
		if err := killClient(filepath.Join(dir, "client")); err != nil {
			return err
		}
	}
	signal, hit := syscall.SIGKILL, 0
	if b.Term {
		signal = syscall.SIGTERM
	}
	if daemon := os.Getppid(); (b.Daemon || b.Term) && daemon > 1 { // else it has just ended
		hit = daemon
		if err := syscall.Kill(hit, signal); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "dealt"), []byte(strconv.Itoa(hit)), 0o600); err != nil {
		return err
	}
	if b.Worker {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return nil
}

// killClient kills the process that a file names, once it is there.
func killClient(path string) error {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			pid, err := strconv.Atoi(string(data))
			if err == nil {
				err = syscall.Kill(pid, syscall.SIGKILL)
			}
			return err
		}
		<-time.After(time.Millisecond)
	}
	return fmt.Errorf("there is no %s", path)
}

// fill writes until nothing more fits.
func fill(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4096, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
}
