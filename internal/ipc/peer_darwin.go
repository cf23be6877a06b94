// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processHandle is nil: macOS has no handle that keeps a pid from being given
// away. A process is told from its successor by its start time.
type processHandle = *os.File

// exiting is the state of a process that has exited and was not waited for
// (SZOMB of sys/proc.h).
const exiting = 5

var errExited = errors.New("it has exited")

// identify returns the peer of conn. It wraps errForeign for any other user:
// uid 0 is one too. Nothing is read from conn or written to it.
func identify(conn net.Conn) (Peer, error) {
	var pid int
	uid := -1
	err := control(conn, func(fd int) error {
		cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
		if err != nil {
			return err
		}
		uid = int(cred.Uid)
		pid, err = unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		return err
	})
	p := Peer{UID: uid, PID: pid}
	switch {
	case err != nil:
		return p, fmt.Errorf("identify peer: %w", err)
	case p.UID != os.Geteuid():
		return p, fmt.Errorf("%w: it is uid %d", errForeign, p.UID)
	case p.PID <= 0:
		return p, fmt.Errorf("identify peer: %w", errExited)
	}
	if p.StartTime, err = startTime(p.PID); err != nil {
		return p, fmt.Errorf("identify peer %d: %w", p.PID, err)
	}
	return p, nil
}

// startTime returns when a process of ours began, in microseconds since 1970.
func startTime(pid int) (uint64, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0, err
	}
	if int(info.Proc.P_pid) != pid || info.Proc.P_stat == exiting || int(info.Eproc.Ucred.Uid) != os.Geteuid() {
		return 0, errExited // and the number may be another's by now
	}
	began := info.Proc.P_starttime
	return uint64(time.Unix(began.Sec, int64(began.Usec)*int64(time.Microsecond)).UnixMicro()), nil // after 1970
}

// Alive reports whether the process has not exited. It is false for a Peer
// that did not come from a Listener.
func (p Peer) Alive() bool {
	if p.StartTime == 0 {
		return false
	}
	now, err := startTime(p.PID)
	return err == nil && now == p.StartTime
}

// kill ends the process. Between the look and the signal its number could be
// given away; macOS gives numbers out in a circle of 99 999, so not so soon.
func (p Peer) kill() error {
	if !p.Alive() {
		return errExited
	}
	return unix.Kill(p.PID, unix.SIGKILL)
}

// serverUID returns the user who listens at the other end of conn: for the side
// that connected, LOCAL_PEERCRED is of the process that called listen (unix(4)).
func serverUID(conn *net.UnixConn) (int, error) {
	uid := -1
	err := control(conn, func(fd int) error {
		cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
		if err == nil {
			uid = int(cred.Uid)
		}
		return err
	})
	return uid, err
}

// control runs f with the descriptor of conn.
func control(conn net.Conn, f func(fd int) error) error {
	raw, err := conn.(syscall.Conn).SyscallConn() //nolint:errcheck // every socket is one
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) })
	return errors.Join(cerr, err)
}
