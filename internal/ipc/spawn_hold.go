// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// Start has a worker do op and leaves it running once it has answered: that is
// how a holder begins. It is in a session of its own, has none of the caller's
// files, and outlives the caller. If it answers with an error, or not before
// ctx ends, it is ended.
//
// args are its arguments, which hold no secret: params go to its standard input
// as in Run. The error is an *Error.
func (w WorkerCommand) Start(ctx context.Context, op string, params any, args ...string) error {
	request, err := workerRequest(w.Client, op, params)
	if err != nil {
		return &Error{Code: CodeInternal, Message: fmt.Sprintf("start worker for %s: %v", op, err), cause: err}
	}
	defer clear(request)
	cmd := exec.Command(w.Path, args...) // it is to outlive every context
	cmd.Env, cmd.Dir = w.Env, "/"
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would hand ours on
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := keepInherited(); err != nil {
		return &Error{Code: CodeInternal, Message: fmt.Sprintf("start worker for %s: %v", op, err), cause: err}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return &Error{Code: CodeInternal, Message: fmt.Sprintf("start worker for %s: %v", op, err), cause: err}
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return &Error{Code: CodeInternal, Message: fmt.Sprintf("start worker for %s: %v", op, err), cause: err}
	}
	if pipe, ok := out.(*os.File); ok {
		defer context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(past()) })()
	}
	_, werr := in.Write(request) // a line fits into the pipe
	_ = in.Close()               // it has its line, or has gone
	line, rerr := newLineReader(out, nil).next()
	answer := capped{buf: append(line, '\n'), limit: MaxLine}
	_, err = readReply(ctx, op, &answer, errors.Join(werr, rerr), false)
	if err == nil {
		return errors.Join(out.Close(), cmd.Process.Release())
	}
	_ = cmd.Process.Kill() // it may be on its way out
	_ = cmd.Wait()         // what counts is its answer
	return err
}

// keepInherited keeps from who is started what this process was started with
// beside its three standard files: a lock that a script has taken, a pipe whose
// end somebody waits for. They are what has no close-on-exec, which everything
// that Go opens has.
func keepInherited() error {
	entries, err := os.ReadDir(ownFiles)
	if err != nil {
		return fmt.Errorf("list open files: %w", err)
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd) // of the directory's own, which is closed, nothing comes
		}
	}
	return nil
}
