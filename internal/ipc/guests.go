// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// placeTime is how long a client waits for a place before it is told that
	// the daemon is busy. What holds places for longer are people who answer
	// prompts, more of them than one user has hands.
	placeTime = time.Second
	// lookAgain is how often those who have a place are looked at while somebody
	// waits for one. Who says nothing from one look to the next has lost it: a
	// client needs some microseconds from its connection to its request, and
	// milliseconds where a thousand of them wake at once.
	lookAgain = 5 * time.Millisecond
)

// What descriptors are kept for: files, watches and locks, and a worker or a
// call to AWS, which needs the most while it starts.
const (
	filesKept = 24
	callKept  = 10
)

// maxCalls is more workers and calls to AWS at one time than a user has keys
// and roles in use, and few enough for any machine.
const maxCalls = 16

// Calls returns how many workers and calls to AWS brokerd may have under way at
// one time: 16, or as many as the limit of open files leaves room for.
func Calls() int {
	files := openFiles()
	if files == 0 {
		return maxCalls
	}
	return int(min(max(files/32, 2), maxCalls)) // at most 16
}

// capacity returns how many conversations there may be: each has two file
// descriptors, its connection and its peer.
func (l *Listener) capacity() int {
	limit := maxConversations
	if l.o.MaxConversations > 0 {
		limit = l.o.MaxConversations
	}
	if files := openFiles(); files > 0 {
		limit = min(limit, (int(files)-filesKept-callKept*Calls())/2) // openFiles is below 1<<20
	}
	return max(limit, 1)
}

// errFull tells a client to come back. Nothing was done for it.
var errFull = &Error{
	Code:    CodeBusy,
	Message: "too many callers wait already",
	Hint:    "see what they wait for: broker status",
}

// guests is who has a place in a Listener. A place is two file descriptors: the
// connection and its peer. Three rules keep the daemon open to everybody when
// there are fewer places than clients:
//
//   - A client whose request has not come loses its place when others need it.
//     So nobody gains by connecting and saying nothing.
//   - A conversation that must wait, for AWS or for a person, takes a seat, and
//     there are fewer seats than places: see sit. What is answered at once, and
//     what brings the code that all wait for, always finds a place.
//   - Whoever finds none stays in the queue of the socket, where it costs the
//     daemon nothing, and is told so after placeTime.
type guests struct {
	limit int

	mu      sync.Mutex
	present int
	seated  int
	silent  []*guest      // those whose request has not come
	left    chan struct{} // holds a token when somebody has left
}

// guest is one connection that has a place. The methods of nil do nothing and
// refuse nothing: a conversation in memory, or a worker's.
type guest struct {
	house  *guests
	conn   net.Conn
	quiet  bool // it said nothing until the last look
	shed   bool // nor until the one after
	seated bool
}

func newGuests(limit int) *guests { return &guests{limit: limit, left: make(chan struct{}, 1)} }

// enter waits for a place for conn. It returns nil if there is none in time.
func (h *guests) enter(ctx context.Context, conn net.Conn) *guest {
	g := h.tryEnter(conn)
	if g != nil {
		return g
	}
	h.look()
	enough := time.NewTimer(placeTime)
	defer enough.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for g == nil {
		select {
		case <-h.left:
		case <-again.C:
			h.look()
		case <-enough.C:
			return nil
		case <-ctx.Done():
			return nil
		}
		g = h.tryEnter(conn)
	}
	return g
}

// tryEnter takes a free place, or returns nil.
func (h *guests) tryEnter(conn net.Conn) *guest {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.present >= h.limit {
		return nil
	}
	g := &guest{house: h, conn: conn}
	h.present++
	h.silent = append(h.silent, g)
	return g
}

// look sends away those who have been silent since the last look.
func (h *guests) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.silent {
		// Whoever has spoken, and was not listened to yet, stays.
		silent := isSilent(g.conn)
		if silent && g.quiet && !g.shed {
			g.shed = true
			_ = g.conn.SetReadDeadline(past()) // it is closed otherwise
		}
		g.quiet = silent
	}
}

// spoke reports that the request of g is here. It returns errFull if g has lost
// its place before.
func (g *guest) spoke() error {
	if g == nil {
		return nil
	}
	h := g.house
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = slices.DeleteFunc(h.silent, func(other *guest) bool { return other == g })
	if g.shed {
		return errFull
	}
	return nil
}

// sit takes a seat until g leaves, or returns errFull. Half of the places have
// one for callers in the background, who come by the hundred and come back; one
// more quarter is for those whose user is there.
func (g *guest) sit(ask Ask) error {
	if g == nil {
		return nil
	}
	h := g.house
	h.mu.Lock()
	defer h.mu.Unlock()
	seats := h.limit / 2
	if ask == AskTerminal {
		seats = h.limit * 3 / 4
	}
	switch {
	case g.seated:
		return nil
	case h.seated >= max(seats, 1):
		return errFull
	}
	g.seated = true
	h.seated++
	return nil
}

// leave gives the place back.
func (g *guest) leave() {
	h := g.house
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = slices.DeleteFunc(h.silent, func(other *guest) bool { return other == g })
	h.present--
	if g.seated {
		h.seated--
	}
	select {
	case h.left <- struct{}{}:
	default:
	}
}
