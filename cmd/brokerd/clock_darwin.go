// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock is the machine's.
type clock struct{}

// Now returns the wall clock.
func (clock) Now() time.Time { return time.Now() }

// Boot returns the time since boot, which nobody can set back and which goes
// on while the machine is asleep (clock_gettime(3); CLOCK_UPTIME_RAW does not).
func (clock) Boot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &t); err != nil {
		panic("no boot clock: " + err.Error()) // macOS has it since 10.12
	}
	return time.Duration(t.Nano())
}
