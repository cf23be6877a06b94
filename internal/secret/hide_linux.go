// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// HideProcess closes this process to the other programs of its user, before it
// holds a secret: no debugger, no core dump.
func HideProcess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the memory of this process: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("turn core dumps off: %w", err)
	}
	return nil
}
