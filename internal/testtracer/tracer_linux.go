// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package testtracer

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options says which calls count, and what is to become of them. The zero value
// counts none.
type Options struct {
	Below    []string // calls on files in these directories count, and on them; absolute, without links
	Reads    bool     // also those that change nothing: open, read, close, stat…
	Children bool     // also those of the programs that it starts
	Data     bool     // a Call says what it writes

	// Strike is asked at the beginning of each call that counts. It may take its
	// time: meanwhile the program waits. It is called by one goroutine, which is
	// not the one that called Start. nil lets all calls pass.
	Strike func(Call) Strike
}

// Strike is what becomes of a call. The zero value lets it pass.
type Strike struct {
	Kill When          // the process is killed, with SIGKILL
	Fail syscall.Errno // the call is not executed, and fails with this
}

// When is the moment at which a process is killed.
type When int

// When a process is killed.
const (
	never  When = iota
	Before      // the call is not executed
	After       // the call is executed, the next is not
)

// String returns a word for messages.
func (w When) String() string { return [...]string{"never", "before", "after"}[w] }

// Result is how a program ended.
type Result struct {
	Calls  []Call // those that counted, in their order; also the one that was struck
	Status syscall.WaitStatus
}

// Run is a program that is being traced.
type Run struct {
	done   chan struct{}
	result Result
	err    error
}

// Start starts cmd, which must not have been started. It sets cmd.SysProcAttr's
// Ptrace; nobody may call cmd.Wait, and cmd.ProcessState stays nil. The program
// is killed if this process ends, and so is what it has started.
//
// A program cannot hide itself from an ordinary user's tracer: there
// prctl(PR_SET_DUMPABLE, 0) does nothing, and set-user-ID programs are ordinary
// ones. What is stopped, by a terminal or with SIGSTOP, goes on at once.
func Start(cmd *exec.Cmd, o Options) (*Run, error) {
	r := &Run{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(r.done)
		onOwnThread(func() { r.trace(cmd, o, started) })
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("trace %s: %w", cmd.Path, err)
	}
	return r, nil
}

// Wait waits until the program has ended, and all that it started, and what it
// wrote is where cmd.Stdout and cmd.Stderr have it. The error is one of tracing:
// then the Calls are not all. Any number of goroutines may wait.
func (r *Run) Wait() (Result, error) {
	<-r.done
	return r.result, r.err
}

// Done is closed when the program has ended: when Wait does not wait any more.
func (r *Run) Done() <-chan struct{} { return r.done }

// onOwnThread calls f on an operating system's thread that has no children. The
// one that starts a program is its tracer, and nobody else is; and that thread
// waits for whatever child of its own it is that stops next.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if childless() {
		f()
		return
	}
	done := make(chan struct{})
	go func() { // on another thread: this one is taken
		defer close(done)
		onOwnThread(f)
	}()
	<-done
}

// childless reports whether this thread has no children and will get none: the
// first thread inherits those of threads that end.
func childless() bool {
	if unix.Gettid() == unix.Getpid() {
		return false
	}
	const look = unix.WEXITED | unix.WSTOPPED | unix.WNOHANG | unix.WNOWAIT | unix.WALL | unix.WNOTHREAD
	return errors.Is(unix.Waitid(unix.P_ALL, 0, nil, look, nil), unix.ECHILD)
}

// tracer is one run. All of it happens on one thread.
type tracer struct {
	Options
	root    int // the process of the program
	threads map[int]*thread
	result  *Result
	err     error
}

// thread is one thread of the program, or of what it has started.
type thread struct {
	process     int
	now         *struck // the call that it makes, if that counts
	interrupted *struck // the call that the kernel will begin anew, when a signal has been dealt with
	skipped     bool    // the call is not executed…
	gives       uint64  // …and returns this
}

// struck is a call that counts, and what becomes of it.
type struck struct {
	number uint64
	args   [6]uint64
	strike Strike
}

// trace runs cmd from its start to its end.
func (r *Run) trace(cmd *exec.Cmd, o Options, started chan<- error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	t := &tracer{Options: o, root: cmd.Process.Pid, threads: map[int]*thread{}, result: &r.result}
	err := t.begin()
	started <- err
	if err != nil {
		_ = cmd.Process.Kill() // it is of no use
	}
	t.serve()
	_ = cmd.Wait() // for its output alone: serve has been told how it ended
	r.err = errors.Join(err, t.err)
}

// begin is for the stop at the program's first instruction. Its children are
// traced in any case: a call that the filter stops fails where nobody traces.
func (t *tracer) begin() error {
	var status unix.WaitStatus
	if _, err := wait(t.root, &status); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("it did not begin: status %#x", status)
	}
	t.threads[t.root] = &thread{process: t.root}
	const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACEEXEC |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
	if err := unix.PtraceSetOptions(t.root, options); err != nil {
		return err
	}
	if err := t.setFilter(); err != nil {
		return err
	}
	return unix.PtraceCont(t.root, 0)
}

// serve goes on until nothing is left to trace.
func (t *tracer) serve() {
	for {
		var status unix.WaitStatus
		id, err := wait(-1, &status)
		if err != nil {
			if !errors.Is(err, unix.ECHILD) {
				t.failed(err)
			}
			return
		}
		if !status.Stopped() {
			if id == t.root {
				t.result.Status = syscall.WaitStatus(status)
			}
			delete(t.threads, id)
			continue
		}
		signal := t.stopped(id, status)
		resume := unix.PtraceCont
		if th := t.threads[id]; th.now != nil || th.skipped {
			resume = unix.PtraceSyscall // to the end of the call
		}
		t.failed(resume(id, signal))
	}
}

func wait(id int, status *unix.WaitStatus) (int, error) {
	for {
		got, err := unix.Wait4(id, status, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return got, err
		}
	}
}

// failed keeps an error, unless it says that the thread has been killed meanwhile.
func (t *tracer) failed(err error) {
	if err != nil && !errors.Is(err, unix.ESRCH) {
		t.err = errors.Join(t.err, err)
	}
}

// stopped is for any stop of a thread. It returns the signal that is to reach the
// program: most stops are those of a signal.
func (t *tracer) stopped(id int, status unix.WaitStatus) int {
	th := t.threads[id]
	if th == nil {
		th = &thread{process: processOf(id)}
		t.threads[id] = th
	}
	switch signal, cause := status.StopSignal(), status.TrapCause(); {
	case signal == unix.SIGTRAP && cause == unix.PTRACE_EVENT_SECCOMP:
		t.failed(t.enter(id, th))
	case signal == unix.SIGTRAP|0x80: // what PTRACE_O_TRACESYSGOOD makes of it
		t.failed(t.leave(id, th))
	case signal == unix.SIGTRAP && cause > 0: // a new thread, process or program: it will stop by itself
	case signal == unix.SIGSTOP: // the first stop of a thread, or one that nobody would end
	default:
		return int(signal)
	}
	return 0
}

// enter is for the beginning of a call that the filter stopped.
func (t *tracer) enter(id int, th *thread) error {
	info, err := callInfo(id)
	if err != nil {
		return err
	}
	number, args := info.enter()
	if number == unix.SYS_PRCTL && args[0] == unix.PR_SET_DUMPABLE && args[1] == 0 && unix.Geteuid() != 0 {
		return th.skip(id, 0)
	}
	if was := th.interrupted; was != nil && was.number == number && was.args == args {
		th.now, th.interrupted = was, nil
		return nil
	}
	if th.process != t.root && !t.Children {
		return nil
	}
	call, err := t.look(id, number, args)
	if call == nil || err != nil {
		return err
	}
	call.N, call.Process = len(t.result.Calls)+1, th.process
	t.result.Calls = append(t.result.Calls, *call)
	th.now = &struck{number: number, args: args}
	if t.Strike != nil {
		th.now.strike = t.Strike(*call)
	}
	switch {
	case th.now.strike.Kill == Before:
		return unix.Kill(th.process, unix.SIGKILL)
	case th.now.strike.Fail != 0:
		return th.skip(id, uint64(-int64(th.now.strike.Fail)))
	}
	return nil
}

// skip keeps the kernel from executing the call that a thread is about to make.
func (th *thread) skip(id int, gives uint64) error {
	th.skipped, th.gives = true, gives
	return skipCall(id)
}

// leave is for the end of a call that counts, or that was skipped.
func (t *tracer) leave(id int, th *thread) error {
	now, skipped := th.now, th.skipped
	th.now, th.skipped = nil, false
	switch {
	case skipped:
		return setResult(id, th.gives)
	case now == nil:
		return nil
	}
	info, err := callInfo(id)
	switch {
	case err != nil:
		return err
	case interrupted(info.leave()):
		th.interrupted = now
	case now.strike.Kill == After:
		return unix.Kill(th.process, unix.SIGKILL)
	}
	return nil
}

// interrupted reports whether the kernel will begin a call anew on its own:
// ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and ERESTART_RESTARTBLOCK of its
// include/linux/errno.h, which only tracers see.
func interrupted(result int64) bool {
	return result == -512 || result == -513 || result == -514 || result == -516
}

// processOf returns the process that a thread belongs to.
func processOf(thread int) int {
	process := thread
	for line := range strings.Lines(procFile(thread, "status")) {
		if _, err := fmt.Sscanf(line, "Tgid: %d", &process); err == nil {
			break
		}
	}
	return process
}
