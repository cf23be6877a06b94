// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// HideProcess closes this process to the other programs of its user, before it
// holds a secret: no debugger, no core dump. macOS shows memory to debuggers
// only, and a signed program with a hardened runtime to none at all.
func HideProcess() error {
	if _, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, unix.PT_DENY_ATTACH, 0, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("hide the memory of this process: %w", errno)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("turn core dumps off: %w", err)
	}
	return nil
}
