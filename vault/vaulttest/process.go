// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child that dies with the test binary.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has been waited for
}

// start starts cmd. Pdeathsig follows the thread that started the child, so
// one thread starts it and stays until it has ended.
func start(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // these are always killed in the end
		}
	}()
	return p, <-started
}

// signal sends a signal to the child, if it is still there.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended
	if s != syscall.SIGSTOP {
		return
	}
	_ = poll(func() error { // whoever needs it while it runs on finds it working
		select {
		case <-p.done:
			return nil
		default:
			return stopped(p.cmd.Process.Pid)
		}
	})
}

// kill ends the child and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}
