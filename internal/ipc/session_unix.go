// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// LoginSession names the login session of this process for good: by its
// leader's pid and Peer.StartTime. A session that has outlived its leader is
// named by this process. On Windows it is the session's number, and when its
// first process began.
func LoginSession() (leader int, start uint64, err error) {
	leader, err = unix.Getsid(0)
	if err != nil {
		return 0, 0, fmt.Errorf("find the login session: %w", err)
	}
	if start, err = startTime(leader); err == nil && start > 0 {
		return leader, start, nil
	}
	leader = os.Getpid()
	if start, err = startTime(leader); err == nil && start == 0 {
		err = errors.New("the system does not show when this process began")
	}
	return leader, start, err
}
