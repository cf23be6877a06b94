// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestP32HideProcess: no debugger of the same user, and no core dump. What that
// keeps from a real debugger is tested on the programs.
func TestP32HideProcess(t *testing.T) {
	if err := HideProcess(); err != nil {
		t.Fatal(err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable is %d, %v", dumpable, err)
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core != (unix.Rlimit{}) {
		t.Errorf("a core dump may have %+v, %v", core, err)
	}
}
