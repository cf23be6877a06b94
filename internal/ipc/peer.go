// SPDX-License-Identifier: Apache-2.0

package ipc

import "errors"

// Peer is the process at the other end of a connection, as the kernel saw it
// when the connection was made. A peer can pass its end on: Alive says whether
// it still is there.
type Peer struct {
	UID int // -1 on Windows, where users have no numbers
	PID int // in our pid namespace
	// StartTime is when the process began. With PID it names the process for
	// good; its unit is the system's own: clock ticks after boot (field 22 of
	// proc_pid_stat(5)), microseconds since 1970 on macOS, FILETIME on Windows.
	// 0 if the system does not show it.
	StartTime uint64

	process processHandle // as long as it is open, PID is not given away; nil if the system has none
}

// errForeign is wrapped when a peer is not this user in this pid namespace.
var errForeign = errors.New("peer is not this user")

// EndPeer kills the process at the other end, if it is there. What it was
// asked to do, and did not, it cannot do any more: the holder of a key that
// does not let go of it.
func (c *Conversation) EndPeer() error { return c.Peer.kill() }

func (p Peer) close() {
	if p.process != nil {
		_ = p.process.Close() // a handle, nothing was written
	}
}
