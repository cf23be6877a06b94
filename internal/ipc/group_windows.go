// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// StartGroup starts cmd with all that it will start as one: the end of its
// context ends them all, and wait, which must be called, leaves nobody behind.
// On Unix that is a process group, on Windows a job.
func StartGroup(cmd *exec.Cmd) (wait func() error, err error) {
	job, err := newJob()
	if err != nil {
		return nil, fmt.Errorf("make a job: %w", err)
	}
	// It does not run before it is in the job: what it started earlier would
	// be outside.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		HideWindow:    true,
		CreationFlags: windows.CREATE_SUSPENDED | windows.CREATE_NO_WINDOW | windows.CREATE_NEW_PROCESS_GROUP,
	}
	cmd.Cancel = func() error { return windows.TerminateJobObject(job, 1) }
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, windows.CloseHandle(job))
	}
	if err := enter(job, cmd); err != nil {
		_ = cmd.Process.Kill() // it has not run yet
		_ = cmd.Wait()         // as above
		return nil, errors.Join(fmt.Errorf("put process %d into its job: %w", cmd.Process.Pid, err), windows.CloseHandle(job))
	}
	return func() error {
		exited := awaitExit(cmd)
		_ = windows.TerminateJobObject(job, 1) // nobody may be left
		return errors.Join(exited, cmd.Wait(), windows.CloseHandle(job))
	}, nil
}

// newJob returns a job whose processes end with its last handle: also when we
// are ended ourselves.
func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return 0, errors.Join(err, windows.CloseHandle(job))
	}
	return job, nil
}

// enter puts a process that was started suspended into the job and lets it run.
func enter(job windows.Handle, cmd *exec.Cmd) error {
	var err error
	herr := cmd.Process.WithHandle(func(process uintptr) {
		err = windows.AssignProcessToJobObject(job, windows.Handle(process))
	})
	if err := errors.Join(herr, err); err != nil {
		return err
	}
	return resume(uint32(cmd.Process.Pid)) // a pid of Windows has 32 bits
}

// resume lets the one thread of a process run that was started suspended. The
// handle that CreateProcess gave of it is not ours to have.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(snapshot) }() // a copy
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return err
		}
		_, err = windows.ResumeThread(thread)
		return errors.Join(err, windows.CloseHandle(thread))
	}
	return fmt.Errorf("find its thread: %w", err)
}

// awaitExit waits until the process has exited, and leaves it to be waited for.
func awaitExit(cmd *exec.Cmd) error {
	var err error
	herr := cmd.Process.WithHandle(func(process uintptr) {
		_, err = windows.WaitForSingleObject(windows.Handle(process), windows.INFINITE)
	})
	return errors.Join(herr, err)
}
