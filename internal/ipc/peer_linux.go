// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// processHandle is a pidfd.
type processHandle = *os.File

// identify returns the peer of conn. It wraps errForeign for any other user:
// uid 0 is one too. Nothing is read from conn or written to it.
func identify(conn net.Conn) (Peer, error) { return identifyBy(conn, socketPidfd) }

func identifyBy(conn net.Conn, pidfd func(fd, pid int) (int, error)) (p Peer, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn() //nolint:errcheck // every socket is one
	if err != nil {
		return Peer{}, err
	}
	cerr := raw.Control(func(fd uintptr) { p, err = identifyFD(int(fd), pidfd) })
	if cerr != nil {
		return Peer{}, cerr
	}
	return p, err
}

func identifyFD(fd int, pidfd func(fd, pid int) (int, error)) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("identify peer: %w", err)
	}
	p := Peer{UID: int(cred.Uid), PID: int(cred.Pid)}
	if p.UID != os.Geteuid() {
		return p, fmt.Errorf("%w: it is uid %d", errForeign, p.UID)
	}
	if p.PID == 0 {
		return p, fmt.Errorf("%w: it is in another pid namespace", errForeign)
	}
	handle, err := pidfd(fd, p.PID)
	if err != nil {
		return p, fmt.Errorf("identify peer %d: %w", p.PID, err)
	}
	p.process = os.NewFile(uintptr(handle), "pidfd")
	// Alive, and so the number still was its own when the time was read.
	if p.StartTime, err = startTime(p.PID); err == nil && !p.Alive() {
		err = errExited
	}
	if err != nil {
		p.close()
		return p, fmt.Errorf("identify peer %d: %w", p.PID, err)
	}
	return p, nil
}

var errExited = errors.New("it has exited")

// socketPidfd returns a pidfd of the process that connected the socket fd: the
// kernel's own since Linux 6.5, before that by number.
func socketPidfd(fd, pid int) (int, error) {
	handle, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) {
		return numberPidfd(fd, pid)
	}
	return handle, err
}

// numberPidfd opens a pidfd by number, and makes sure that the number was not
// given to a successor meanwhile.
func numberPidfd(_, pid int) (int, error) {
	before, err := startTime(pid)
	if err != nil {
		return -1, err
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, err
	}
	after, err := startTime(pid)
	if err == nil && after != before {
		err = errExited
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(handle))
	}
	return handle, nil
}

// startTime returns field 22 of /proc/PID/stat, or 0 where the kernel hides
// the process: mounted with hidepid, /proc shows no process that may not be
// traced, and ours may not.
func startTime(pid int) (uint64, error) {
	// Not os.ReadFile: with the poller and the second read it would be a tenth
	// of a conversation. The kernel writes the file in one piece.
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open its stat: %w", err)
	}
	var stat [1024]byte // 52 numbers, and a name of 16 bytes at most
	n, err := unix.Read(fd, stat[:])
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return 0, fmt.Errorf("read its stat: %w", err)
	}
	return parseStartTime(stat[:n])
}

func parseStartTime(stat []byte) (uint64, error) {
	// The second field is the name of the program in parentheses, which may
	// itself hold spaces and parentheses: count from the last one.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, errors.New("/proc stat is not what proc_pid_stat(5) describes")
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// Alive reports whether the process has not exited. It is false for a Peer
// that did not come from a Listener, and after its conversation.
func (p Peer) Alive() bool {
	if p.process == nil {
		return false
	}
	raw, err := p.process.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Control(func(fd uintptr) {
		// A pidfd becomes readable when its process exits (pidfd_open(2)).
		n, perr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		alive = perr == nil && n == 0
	})
	return err == nil && alive
}

// kill ends the process, and no other that has its number by now.
func (p Peer) kill() error {
	if p.process == nil {
		return errExited
	}
	raw, err := p.process.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	return errors.Join(cerr, err)
}

// serverUID returns the user who listens at the other end of conn: for the side
// that connected, SO_PEERCRED names the process that called listen (unix(7)).
func serverUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(cerr, err); err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
