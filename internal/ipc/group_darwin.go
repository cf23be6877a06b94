// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ownFiles lists the open files of the process that looks.
const ownFiles = "/dev/fd"

// awaitExit waits until the child pid has exited, and leaves it to be waited
// for: its number stays taken. It is kqueue(2) that tells, since waitid(2) of
// macOS also returns for a process that was merely stopped (golang/go#19314).
func awaitExit(pid int) error {
	queue, err := unix.Kqueue()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(queue) }() // nothing is in it
	var exit [1]unix.Kevent_t
	unix.SetKevent(&exit[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	exit[0].Fflags = unix.NOTE_EXIT
	for {
		_, err := unix.Kevent(queue, exit[:], exit[:], nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ESRCH): // it has exited already
			return nil
		default:
			return err
		}
	}
}
