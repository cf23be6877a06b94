// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/windows"
)

// processHandle is a handle of a process.
type processHandle = *process

type process struct{ handle windows.Handle }

// Close lets go of the process.
func (p *process) Close() error { return windows.CloseHandle(p.handle) }

// identify returns the peer of conn. It wraps errForeign for any other user.
// Nothing is read from conn or written to it. The pipe lets nobody else in: this
// is the second door.
func identify(conn net.Conn) (Peer, error) {
	return identifyBy(conn, windows.GetNamedPipeClientProcessId)
}

// identifyServer is identify for the side that connected.
func identifyServer(conn net.Conn) (Peer, error) {
	return identifyBy(conn, windows.GetNamedPipeServerProcessId)
}

// identifyBy asks the pipe for the number of the process at its other end, and
// the system for that process. One that has exited meanwhile may have a
// successor by that number: then its end of the pipe is closed, and whatever is
// written into it reaches nobody.
func identifyBy(conn net.Conn, number func(windows.Handle, *uint32) error) (Peer, error) {
	p := Peer{UID: -1}
	pipe, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return p, errors.New("identify peer: the connection is no pipe")
	}
	var pid uint32
	if err := number(windows.Handle(pipe.Fd()), &pid); err != nil {
		return p, fmt.Errorf("identify peer: %w", err)
	}
	p.PID = int(pid)
	handle, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, pid)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return p, fmt.Errorf("%w: its process %d cannot be opened", errForeign, pid)
	}
	if err != nil {
		return p, fmt.Errorf("identify peer %d: %w", pid, err)
	}
	p.process = &process{handle}
	if p.StartTime, err = checkUser(handle); err != nil {
		p.close()
		return p, fmt.Errorf("identify peer %d: %w", pid, err)
	}
	return p, nil
}

// checkUser returns when the process began, as a FILETIME. It wraps errForeign
// if it is not of this user.
func checkUser(handle windows.Handle) (uint64, error) {
	var token windows.Token
	err := windows.OpenProcessToken(handle, windows.TOKEN_QUERY, &token)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return 0, fmt.Errorf("%w: who it is cannot be seen", errForeign)
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = token.Close() }() // only looked at
	theirs, err := token.GetTokenUser()
	if err != nil {
		return 0, err
	}
	ours, err := currentUser()
	if err != nil {
		return 0, err
	}
	if !theirs.User.Sid.Equals(ours) {
		return 0, fmt.Errorf("%w: it is %s", errForeign, theirs.User.Sid)
	}
	var began, unused windows.Filetime
	if err := windows.GetProcessTimes(handle, &began, &unused, &unused, &unused); err != nil {
		return 0, err
	}
	return uint64(began.HighDateTime)<<32 | uint64(began.LowDateTime), nil
}

// currentUser returns the SID of the user whose process this is.
func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("find out who this user is: %w", err)
	}
	return user.User.Sid, nil
}

// Alive reports whether the process has not exited. It is false for a Peer
// that did not come from a Listener, and after its conversation.
func (p Peer) Alive() bool {
	if p.process == nil {
		return false
	}
	event, err := windows.WaitForSingleObject(p.process.handle, 0)
	return err == nil && event == uint32(windows.WAIT_TIMEOUT)
}

// kill ends the process, and no other: as long as we hold it, its number is
// given to no other.
func (p Peer) kill() error {
	if p.process == nil {
		return errors.New("it has exited")
	}
	handle, err := windows.OpenProcess(windows.PROCESS_TERMINATE, false, uint32(p.PID)) // a pid of Windows has 32 bits
	if err != nil {
		return err
	}
	return errors.Join(windows.TerminateProcess(handle, 1), windows.CloseHandle(handle))
}
