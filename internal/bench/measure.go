// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// program is a command line to be timed.
type program struct {
	argv  []string
	env   []string // nil: this program's
	stdin string
}

func (p program) cmd() *exec.Cmd {
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env, cmd.Dir = p.env, "/"
	return cmd
}

// output runs a program once and returns what it prints.
func (p program) output() (string, error) {
	cmd := p.cmd()
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(p.stdin), &stderr
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(p.argv, " "), err, stderr.String())
	}
	return string(text), nil
}

// once returns how long a program takes. Its output goes nowhere.
func (p program) once() (time.Duration, error) {
	cmd := p.cmd()
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		_, err = p.output() // for its words; it may succeed this time
		err = errors.Join(fmt.Errorf("%s failed once", strings.Join(p.argv, " ")), err)
	}
	return took, err
}

// interleave times programs in turn, so that whatever else the machine does
// hits all of them, and returns the median of each.
func interleave(n int, programs ...program) ([]time.Duration, error) {
	times := make([][]time.Duration, len(programs))
	for round := range n + 2 {
		for i, p := range programs {
			took, err := p.once()
			if err != nil {
				return nil, err
			}
			if round >= 2 { // the first two warm the caches
				times[i] = append(times[i], took)
			}
		}
	}
	medians := make([]time.Duration, len(programs))
	for i := range times {
		medians[i] = median(times[i])
	}
	return medians, nil
}

func median[T int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// together starts n runs of a program at once and returns the wall time of all
// and how many failed.
func together(n int, p program) (wall time.Duration, failed int64) {
	var running sync.WaitGroup
	var failures atomic.Int64
	began := time.Now()
	for range n {
		running.Go(func() {
			if p.cmd().Run() != nil {
				failures.Add(1)
			}
		})
	}
	running.Wait()
	return time.Since(began), failures.Load()
}

// peak returns the peak resident memory of a program in KiB, the median of n
// runs. What wait4 reports includes the parent's at the time of the fork, so
// the kernel is asked at the moment when the program is about to end.
func peak(n int, p program) (float64, error) {
	var all []float64
	for range n {
		kib, err := peakOnce(p)
		if err != nil {
			return 0, fmt.Errorf("trace %s: %w", p.argv[0], err)
		}
		all = append(all, float64(kib))
	}
	return median(all), nil
}

func peakOnce(p program) (kib int, err error) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := p.cmd()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		return 0, err
	}
	if err := syscall.PtraceSetOptions(pid, ptraceTraceExit); err != nil {
		stop(cmd)
		return 0, err
	}
	signal := 0
	for {
		if err := syscall.PtraceCont(pid, signal); err != nil {
			stop(cmd)
			return 0, err
		}
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
			return 0, err
		}
		switch {
		case status.Exited() || status.Signaled():
			if status.ExitStatus() != 0 {
				return 0, fmt.Errorf("it ended with %d", status.ExitStatus())
			}
			return kib, err
		case status.StopSignal() == syscall.SIGTRAP && status.TrapCause() == ptraceEventExit:
			kib, err = statusField(pid, "VmHWM:")
			signal = 0
		default:
			signal = int(status.StopSignal())
		}
	}
}

// See ptrace(2).
const (
	ptraceTraceExit = 0x40 // PTRACE_O_TRACEEXIT
	ptraceEventExit = 6    // PTRACE_EVENT_EXIT
)

// statusField reads a field in KiB of /proc/PID/status.
func statusField(pid int, field string) (kib int, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(data), field)
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return 0, fmt.Errorf("/proc/%d/status has no %s", pid, field)
	}
	return strconv.Atoi(words[0])
}

// instructions returns how many instructions a program takes, by callgrind; 0
// where valgrind is not installed. The fewest of n runs counts: what a Go
// program adds to that is waiting.
func instructions(n int, dir string, p program) (float64, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return 0, nil //nolint:nilerr // callgrind is an extra
	}
	collected := regexp.MustCompile(`Collected : (\d+)`)
	least := 0.0
	for range n {
		cmd := exec.Command(valgrind, append([]string{
			"--tool=callgrind", "--callgrind-out-file=" + filepath.Join(dir, "callgrind"),
		}, p.argv...)...)
		// Signals that Go sends to its own threads confuse callgrind.
		cmd.Env = append(slices.Concat(os.Environ(), p.env), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1")
		text, err := cmd.CombinedOutput()
		found := collected.FindSubmatch(text)
		if err != nil || found == nil {
			return 0, fmt.Errorf("count the instructions of %s: %w", p.argv[0], errors.Join(err, errors.New("callgrind counts nothing")))
		}
		if count, err := strconv.ParseFloat(string(found[1]), 64); err == nil && (least == 0 || count < least) {
			least = count
		}
	}
	return least, nil
}

// converse has one conversation with a daemon, by hand, and returns its answer.
func converse(socket, op, profile string) (string, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // everything was read
	if _, err := fmt.Fprintf(conn, "{\"v\":1,\"op\":%q,\"params\":{\"profile\":%q},\"deadline\":50}\n", op, profile); err != nil {
		return "", err
	}
	var answer [8 << 10]byte
	n, err := conn.Read(answer[:])
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(answer[:n]), `{"result":`) {
		return "", fmt.Errorf("brokerd answers to %s for %q: %s", op, profile, answer[:n])
	}
	return string(answer[:n]), nil
}

// latency returns the median time of n conversations, one after another, over
// the given number of role profiles; 0 asks for dev.
func (w *world) latency(n, profiles int) (time.Duration, error) {
	var all []time.Duration
	for i := range n {
		profile := "dev"
		if profiles > 0 {
			profile = roleProfile(i * 7919 % profiles) // a prime: no order that a cache could like
		}
		began := time.Now()
		if _, err := converse(w.socket(), "credentials", profile); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	return median(all), nil
}

// throughput returns how many conversations a second the daemon has with eight
// clients that do nothing else.
func (w *world) throughput(over time.Duration) (float64, error) {
	var running sync.WaitGroup
	var count atomic.Int64
	var failure atomic.Pointer[error]
	began := time.Now()
	for range 8 {
		running.Go(func() {
			for time.Since(began) < over {
				if _, err := converse(w.socket(), "credentials", "dev"); err != nil {
					failure.Store(&err)
					return
				}
				count.Add(1)
			}
		})
	}
	running.Wait()
	if err := failure.Load(); err != nil {
		return 0, *err
	}
	return float64(count.Load()) / time.Since(began).Seconds(), nil
}

// fill makes the sessions of the role profiles from one number up to another.
func (w *world) fill(from, to int) error {
	var running sync.WaitGroup
	var failure atomic.Pointer[error]
	var next atomic.Int64
	next.Store(int64(from))
	for range 4 {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(to) && failure.Load() == nil; i = next.Add(1) - 1 {
				if _, err := converse(w.socket(), "credentials", roleProfile(int(i))); err != nil {
					failure.Store(&err)
				}
			}
		})
	}
	running.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
