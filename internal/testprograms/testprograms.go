// SPDX-License-Identifier: Apache-2.0

// Package testprograms builds broker's programs for the tests that run them,
// and ends what such a test has left running.
//
// Processes are found by the path they were started with, which the kernel
// shows of every process, also of one that hides everything else. So a
// directory of programs belongs to one test, and nothing but its own processes
// is ever ended. Where there is no /proc, none is found.
package testprograms

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long End waits for the processes to go. They have been
// killed: only a machine without a free moment takes this long.
const patience = 30 * time.Second

// Build builds the four programs, as they are released, into a new directory,
// which the caller removes. With GOCOVERDIR set they count coverage. more are
// flags for go build.
func Build(more ...string) (dir string, err error) {
	dir, err = os.MkdirTemp("/tmp", "broker-programs-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // tests run them as other users, too
		return "", err
	}
	args := []string{"build", "-trimpath", "-tags", "urfave_cli_no_docs", "-o", dir + "/"}
	if os.Getenv("GOCOVERDIR") != "" { //nolint:forbidigo // a test kit is where a test's surroundings are read
		args = append(args, "-cover", "-coverpkg=credbroker/...")
	}
	args = append(args, more...)
	build := exec.Command("go", append(args, "credbroker/cmd/...")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") //nolint:forbidigo // as above
	if out, err := build.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir) // a temporary directory
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
}

// Link makes the directory to, with the programs of from in it, for one test.
func Link(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Write writes a file that may be run at once. While it is open no process is
// started: one that inherits it keeps the kernel from running it (ETXTBSY), for as
// long as it takes to become another program.
func Write(path string, data []byte, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, data, mode)
}

// Running returns the processes that were started from dir, by their pid, with
// their command lines. Zombies do not count.
func Running(dir string) map[int]string {
	running := map[int]string{}
	procs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	for _, proc := range procs {
		line, err := os.ReadFile(proc + "/cmdline")
		if err != nil || !strings.HasPrefix(string(line), dir+"/") {
			continue // ended, or another's
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil && Alive(pid) {
			running[pid] = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return running
}

// Alive reports whether a process is there and no zombie: when one that nobody
// waits for is reaped is for the first process of the machine to say, and may be
// a second later.
func Alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(data), ") ")
	return ok && !strings.HasPrefix(rest, "Z")
}

// Stopped reports whether each thread of a process is stopped, or stands in a
// system call that it will not return from before it stops: one that starts a
// program whose process is stopped, too. On a busy machine threads go on for a
// while after the process was sent SIGSTOP: until they run, and find it.
func Stopped(pid int) bool {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat") // the pattern is well formed
	for _, task := range tasks {
		data, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		if _, rest, ok := strings.Cut(string(data), ") "); !ok || !strings.ContainsAny(rest[:1], "TD") {
			return false
		}
	}
	return len(tasks) > 0
}

// Exit ends a test binary that has played some other program. After os.Exit the
// race detector sleeps for a second, which a test that starts many would wait for.
func Exit(status int) { syscall.Exit(status) } //nolint:forbidigo // it is for TestMain, which is a main

// End kills every process that was started from dir, waits until they are gone,
// and returns their command lines.
func End(dir string) []string {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	ended := map[int]string{}
	for {
		running := Running(dir)
		for pid, line := range running {
			ended[pid] = line
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill() // it may be gone by now
			}
		}
		if len(running) == 0 {
			return slices.Collect(maps.Values(ended))
		}
		select {
		case <-again.C:
		case <-enough.C:
			return slices.Collect(maps.Values(ended))
		}
	}
}
