// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench measures broker against what it promises of its speed: side by
// side with the floor program, in one run, because times move from machine to
// machine while ratios stay. It needs Go and the programs of make build; it
// takes callgrind's counts where valgrind is installed, and times other
// credential helpers where they are.
//
// It exits with 1 when a figure misses its "must".
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rounds is how often things are measured.
type rounds struct {
	warm, run, cold, memory, counts int
	callers                         int
	growth                          []int         // profiles and sessions
	load                            time.Duration // of each look at the throughput
	settle                          time.Duration // before memory is looked at
}

func fullRounds() rounds {
	return rounds{
		warm: 300, run: 100, cold: 15, memory: 15, counts: 5, callers: 200,
		growth: []int{10, 100, 1000, 10000}, load: 3 * time.Second, settle: 2 * time.Second,
	}
}

// quickRounds are for a look during work, and for the test of this program.
func quickRounds() rounds {
	return rounds{
		warm: 20, run: 10, cold: 1, memory: 3, counts: 1, callers: 20,
		growth: []int{10, 100}, load: 200 * time.Millisecond, settle: 200 * time.Millisecond,
	}
}

// answerWord makes this program the floor's daemon.
const answerWord = "answer"

func main() {
	if len(os.Args) == 3 && os.Args[1] == answerWord {
		fmt.Fprintln(os.Stderr, "bench: error:", answer(os.Args[2]))
		os.Exit(1)
	}
	missed, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
	}
	if err != nil || missed {
		os.Exit(1)
	}
}

// run measures everything, prints it, and reports whether a must is missed.
func run(args []string, out io.Writer) (missed bool, err error) {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	programs := set.String("programs", "bin", "`DIR` of broker, brokerd, broker-vault and broker-sandbox")
	results := set.String("results", "", "`FILE` whose results are replaced; none: print only")
	quick := set.Bool("quick", false, "few rounds: a look, not a measurement")
	var peers peerList
	set.Var(&peers, "peer", "`NAME=COMMAND` of another helper, set up and with a live session; may be repeated")
	if err := set.Parse(args); err != nil {
		return false, err
	}
	n := fullRounds()
	if *quick {
		n = quickRounds()
	}
	b, err := newBench(*programs, n, out)
	if err != nil {
		return false, err
	}
	defer b.end()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	go func() {
		<-interrupted
		b.end()
		os.Exit(1)
	}()
	if err := b.measure(peers); err != nil {
		return false, err
	}
	r := report{machine: thisMachine(), date: time.Now(), bench: b}
	r.write(out)
	if *results != "" {
		err = r.replaceIn(*results)
	}
	return b.missed(), err
}

// bench is one run.
type bench struct {
	n        rounds
	out      io.Writer // progress
	dir      string
	programs string // absolute
	floor    program
	sandbox  *sandbox
	answerer *exec.Cmd // the floor's daemon
	worlds   []*world

	results []result
	notes   []string // what is worth knowing beside the table
	growth  []growthLine
	callers []callersLine
}

func newBench(programs string, n rounds, out io.Writer) (*bench, error) {
	programs, err := filepath.Abs(programs)
	if err != nil {
		return nil, err
	}
	// Not the system's choice of a directory: a socket's path has a limit.
	dir, err := os.MkdirTemp("/tmp", "bb-")
	if err != nil {
		return nil, err
	}
	b := &bench{n: n, out: out, dir: dir, programs: programs}
	if err := b.begin(); err != nil {
		b.end()
		return nil, err
	}
	return b, nil
}

func (b *bench) begin() error {
	built := filepath.Join(b.dir, "built") + "/"
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built,
		"credbroker/internal/bench/floor", "credbroker/internal/bench/phone")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the floor program: %w\n%s", err, text)
	}
	// Copied, as make build copies the programs beside it.
	if err := os.CopyFS(b.dir, os.DirFS(built)); err != nil {
		return fmt.Errorf("install the floor program: %w", err)
	}
	for _, path := range []string{
		filepath.Join(b.dir, "floor"), filepath.Join(b.dir, "phone"),
		filepath.Join(b.programs, "broker"), filepath.Join(b.programs, "brokerd"), filepath.Join(b.programs, "broker-vault"),
	} {
		if err := fromDisk(path); err != nil {
			return fmt.Errorf("have %s read from the disk: %w", path, err)
		}
	}
	socket := filepath.Join(b.dir, "floor.sock")
	b.floor = program{argv: []string{filepath.Join(b.dir, "floor"), socket}}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.answerer = exec.Command(self, answerWord, socket)
	b.answerer.Stderr = os.Stderr
	if err := b.answerer.Start(); err != nil {
		return err
	}
	if err := eventually("the floor's daemon", func() error {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		return err
	}
	b.sandbox, err = startSandbox(b.programs, b.dir)
	return err
}

// fromDisk takes a program out of the page cache, so that its next start reads it
// from the disk, as the first one after a boot does. What a linker, a copy or a
// download has just written lies in memory in pieces of another size each time, and
// the start of one and the same program was seen to vary by a sixth with that.
func fromDisk(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	if err := f.Sync(); err != nil { // what is not on the disk stays in memory
		return err
	}
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// end ends every process and removes every file of the run.
func (b *bench) end() {
	for _, w := range b.worlds {
		stop(w.daemon)
	}
	if b.sandbox != nil {
		stop(b.sandbox.process)
	}
	stop(b.answerer)
	_ = os.RemoveAll(b.dir) // a temporary directory
}

// stop ends a process that this one started. It may be nil, or have ended.
func stop(cmd *exec.Cmd) {
	if cmd != nil && cmd.Process != nil {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()         // the kill is what it says
	}
}

// eventually waits until a condition holds.
func eventually(what string, condition func() error) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		err := condition()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// errOrphan ends the floor's daemon when nobody measures any more.
var errOrphan = errors.New("the measurement is gone")

// answer is the floor's daemon: it answers a line with 500 bytes, and ends
// with the process that started it.
func answer(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	parent := os.Getppid()
	document := []byte(strings.Repeat("x", 499) + "\n")
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if os.Getppid() != parent {
			return errOrphan
		}
		go func() {
			if _, err := bufio.NewReaderSize(conn, 1<<10).ReadSlice('\n'); err == nil {
				_, _ = conn.Write(document) // a client that is gone needs none
			}
			_ = conn.Close() // as above
		}()
	}
}
