// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"golang.org/x/sys/windows"
)

// clock is the machine's.
type clock struct{}

// Now returns the wall clock.
func (clock) Now() time.Time { return time.Now() }

// Boot returns the time since boot, which nobody can set back and which goes
// on while the machine is asleep (GetTickCount64). It counts in steps of some 16 ms.
func (clock) Boot() time.Duration { return windows.DurationSinceBoot() }
