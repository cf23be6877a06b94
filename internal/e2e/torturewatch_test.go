// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// watch kills the daemon when the record that is planned is on the disk: killed
// is its process from then on.
func (r *rack) watch(c cut) (stop func(), killed *atomic.Int64) {
	r.t.Helper()
	killed = &atomic.Int64{}
	if c.journal+c.index == 0 {
		return func() {}, killed
	}
	dir, ends, nth := r.rotations(), ".json", c.journal
	if c.index > 0 {
		dir, ends, nth = r.stateDir(), "state.json", c.index
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		r.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "inotify") // with the poller, so that Close ends Read
	// The kernel makes one of two events that are alike: the temporary name, which
	// is another each time, keeps them apart.
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_FROM|unix.IN_MOVED_TO); err != nil {
		r.t.Fatal(err)
	}
	daemon, signal := r.daemonPID(), syscall.SIGKILL
	if c.term {
		signal = syscall.SIGTERM
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			for at := 0; at+unix.SizeofInotifyEvent <= n; {
				size := int(buf[at+12]) | int(buf[at+13])<<8
				name := strings.TrimRight(string(buf[at+unix.SizeofInotifyEvent:at+unix.SizeofInotifyEvent+size]), "\x00")
				at += unix.SizeofInotifyEvent + size
				if !strings.HasSuffix(name, ends) {
					continue
				}
				if nth--; nth == 0 && daemon > 1 {
					_ = syscall.Kill(daemon, signal) // it may be dead
					killed.Store(int64(daemon))
				}
			}
		}
	}()
	return func() { _ = f.Close(); <-done }, killed
}
