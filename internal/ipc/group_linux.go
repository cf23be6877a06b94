// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ownFiles lists the open files of the process that looks.
const ownFiles = "/proc/self/fd"

// awaitExit waits until the child pid has exited, and leaves it to be waited
// for: its number stays taken.
func awaitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
