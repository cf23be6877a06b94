// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// boot returns the time since the machine started, suspend included: a laptop
// that slept through the night was not in use.
func boot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Duration(time.Now().UnixNano()) // no Linux lacks it
	}
	return time.Duration(t.Nano())
}
