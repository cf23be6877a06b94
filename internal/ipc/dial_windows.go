// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/Microsoft/go-winio"
)

// dialSocket connects to the daemon of the pipe path and makes sure, before a
// byte is sent, that it is one of this user. It connects at anonymous level:
// whoever listens there cannot act as this user.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	conn, err := winio.DialPipeContext(ctx, path)
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, noDaemon(path, err)
	}
	server, err := identifyServer(conn)
	if err != nil {
		_ = conn.Close() // nothing was written
		return nil, foreign(path, fmt.Sprintf("who listens there is not this user: %v", err))
	}
	server.close()
	return conn, nil
}

// Reachable reports whether somebody takes connections at path, whoever it is.
func Reachable(path string) bool {
	patience := time.Second // between two connections a pipe is busy for a moment
	conn, err := winio.DialPipe(path, &patience)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}
