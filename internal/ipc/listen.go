// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

var (
	// ErrServed reports that another daemon holds the lock: brokerd ends with
	// status 75.
	ErrServed = errors.New("another daemon serves this user")
	// ErrUnsafe is wrapped when the place of the socket is not ours alone:
	// brokerd ends with status 78. Nothing was changed.
	ErrUnsafe = errors.New("not a safe place for a socket")
)

// ListenOptions say where a Listener listens. All fields but the last are
// required.
type ListenOptions struct {
	// Socket and LockFile are absolute paths in one directory, which is
	// created if it is missing and must be ours alone. On Windows a socket is
	// a pipe, \\.\pipe\NAME, and that is the directory of LockFile.
	Socket, LockFile string
	Name             string // "brokerd 1.2.0", for messages
	Log              Logger
	// MaxConversations bounds the conversations at one time; see guests for
	// what happens to more. 0 is 1024. It is lowered where the limit of open
	// files is lower.
	MaxConversations int
}

const (
	maxConversations = 1024
	// maxLongLines bounds the memory that clients can fill: 64 times 64 KiB.
	maxLongLines = 64
	// checkEvery is how often Serve looks whether its socket still is there.
	checkEvery = time.Minute
)

// Listener is a daemon's socket. It serves nobody until Serve is called. Its
// methods may be used by several goroutines.
type Listener struct {
	o      ListenOptions
	server server

	mu     sync.Mutex
	place  *place // nil after Close
	ending bool   // no more connections
}

// Listen takes the lock, then the socket path. It returns ErrServed if another
// process holds the lock, and wraps ErrUnsafe if the directory, the lock file or
// what stands at the socket path is not what only this user can have made. The
// lock is held until Close, or until the process ends; its file stays.
func Listen(o ListenOptions) (*Listener, error) {
	switch {
	case o.Log == nil || o.Name == "":
		return nil, errors.New("ipc: ListenOptions need Log and Name")
	case !filepath.IsAbs(o.Socket) || !filepath.IsAbs(o.LockFile):
		return nil, fmt.Errorf("listen on %s: socket and lock file must be absolute paths", o.Socket)
	}
	p, err := takePlace(o.Socket, o.LockFile)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Socket, err)
	}
	return &Listener{
		o:      o,
		place:  p,
		server: server{name: o.Name, log: o.Log, budget: make(chan struct{}, maxLongLines), pid: os.Getpid()},
	}, nil
}

// Check makes sure that the socket path still leads here. If somebody removed
// the socket, or its directory, the Listener binds anew and goes on. It returns
// ErrServed if another daemon has taken the place, and any other error when the
// place cannot be had again: the daemon should end, nobody can reach it.
func (l *Listener) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.place == nil || l.ending || l.place.intact() {
		return nil
	}
	p, err := l.place.renew()
	if err != nil {
		return fmt.Errorf("listen on %s again: %w", l.o.Socket, err)
	}
	l.place = p
	l.o.Log.Warn("socket was gone, listening again", "socket", l.o.Socket)
	return nil
}

// Close ends listening, if Serve has not, and gives up the lock. It removes
// the socket only if that still is the one it made.
func (l *Listener) Close() error {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.place == nil {
		return nil
	}
	p := l.place
	l.place = nil
	return p.release()
}

// stop ends listening and keeps the lock: as long as conversations go on, no
// other daemon may begin to write the state file.
func (l *Listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.place != nil && !l.ending {
		l.ending = true
		l.place.stop()
	}
}

// current returns the socket to accept on, or nil when there is none any more.
func (l *Listener) current() net.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.place == nil || l.ending {
		return nil
	}
	return l.place.socket
}

// Serve has a conversation with every client of this user until ctx ends; then
// it refuses new ones, ends the contexts of the handlers, waits for them and
// returns nil. It returns an error if the place is lost, see Check, which it
// calls each minute. It may be called once.
func (l *Listener) Serve(ctx context.Context, h Handler) error {
	caller := ctx
	ctx, end := context.WithCancelCause(caller)
	defer context.AfterFunc(ctx, l.stop)()
	var running sync.WaitGroup
	defer running.Wait()
	defer end(nil)
	running.Go(func() { l.watch(ctx, end) })

	house := newGuests(l.capacity())
	var wait backoff
	for {
		socket := l.current()
		if socket == nil {
			break
		}
		conn, err := socket.Accept()
		switch {
		case err == nil:
			wait = 0
		case errors.Is(err, net.ErrClosed):
			continue // ending, or bound anew
		default:
			// Out of file descriptors, most likely: those who come out of
			// their conversations give some back.
			if wait == 0 {
				l.o.Log.Warn("cannot accept connections", "err", err)
			}
			wait.sleep(ctx)
			continue
		}
		if g := house.enter(ctx, conn); g != nil {
			running.Go(func() {
				defer g.leave()
				l.converse(ctx, conn, g, h)
			})
		} else {
			l.refuseBusy(conn)
		}
	}
	if caller.Err() != nil {
		return nil
	}
	return context.Cause(ctx) // nil after Close
}

// watch calls Check each minute and ends Serve when the place is lost.
func (l *Listener) watch(ctx context.Context, end context.CancelCauseFunc) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := l.Check(); err != nil {
				end(err)
				return
			}
		}
	}
}

// converse has one conversation, if the peer is this user.
func (l *Listener) converse(ctx context.Context, conn net.Conn, g *guest, h Handler) {
	peer, ok := l.admit(conn)
	if !ok {
		return
	}
	defer peer.close()
	l.server.serve(ctx, conn, peer, g, h)
}

// admit identifies the peer before a byte is read or written. Anybody else
// sees the connection close, and no more.
func (l *Listener) admit(conn net.Conn) (Peer, bool) {
	peer, err := identify(conn)
	if err == nil {
		return peer, true
	}
	_ = conn.Close() // nothing was written
	if errors.Is(err, errForeign) {
		l.o.Log.Warn("peer refused", "uid", peer.UID, "pid", peer.PID)
	} else {
		l.o.Log.Debug("peer not identified", "err", err)
	}
	return Peer{}, false
}

func (l *Listener) refuseBusy(conn net.Conn) {
	peer, ok := l.admit(conn)
	if !ok {
		return
	}
	defer peer.close()
	defer func() { _ = conn.Close() }() // the one line fits into the socket's buffer
	l.o.Log.Warn("too many conversations", "pid", peer.PID)
	if line, err := encodeLine(Reply{Error: errFull}); err == nil {
		_ = writeLine(conn, line) // somebody who left needs no answer
	}
}

// backoff is the wait after a failed accept: 5 ms, doubled up to a second.
type backoff time.Duration

func (b *backoff) sleep(ctx context.Context) {
	*b = min(max(*b*2, backoff(5*time.Millisecond)), backoff(time.Second))
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
