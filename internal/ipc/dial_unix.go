// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialSocket connects to the daemon at path and makes sure, before a byte is
// sent, that it is one of this user.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	conn, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := verifyServer(conn, path); err != nil {
		_ = conn.Close() // nothing was written
		return nil, err
	}
	return conn, nil
}

func connect(ctx context.Context, path string) (*net.UnixConn, error) {
	var wait backoff
	for {
		// Not net.Dialer: it links the resolver, which the client pays for at
		// every start. A unix socket connects at once or not at all.
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, syscall.EAGAIN) && time.Duration(wait) < time.Second:
			wait.sleep(ctx) // the queue of waiting connections is full
			continue
		}
		return nil, noDaemon(path, err)
	}
}

// verifyServer refuses a daemon that is not of this user: it would hand out
// somebody else's credentials, and what is done with them is done in somebody
// else's account.
func verifyServer(conn *net.UnixConn, path string) error {
	uid, err := serverUID(conn)
	if err != nil {
		return foreign(path, fmt.Sprintf("who listens there is not known: %v", err))
	}
	if uid != os.Geteuid() {
		return foreign(path, fmt.Sprintf("uid %d listens there, and this is uid %d", uid, os.Geteuid()))
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return noDaemon(path, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return foreign(path, "it is not a socket")
	case int(st.Uid) != os.Geteuid():
		return foreign(path, fmt.Sprintf("the socket belongs to uid %d, and this is uid %d", st.Uid, os.Geteuid()))
	}
	return nil
}

// Reachable reports whether somebody takes connections at path, whoever it is.
func Reachable(path string) bool {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}
