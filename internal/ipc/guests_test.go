// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// visitors connect to the daemon in dir and say text, which may be nothing.
func visitors(t *testing.T, dir string, count int, text string) {
	t.Helper()
	for i := range count {
		conn, err := connect(t.Context(), filepath.Join(dir, "broker.sock"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil && !errors.Is(err, net.ErrClosed) {
			continue // its place was given away already
		}
	}
}

// TestF43SilentClientsGiveTheirPlace: two thousand clients that say nothing, or
// half of something, in a daemon with places for some dozen. Before there was a
// rule for them each took its place for five seconds.
func TestF43SilentClientsGiveTheirPlace(t *testing.T) {
	for name, text := range map[string]string{"silent": "", "half a line": `{"v":1,`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			daemon, dir := startDaemon(t, testExe(t), 0, "IPC_TEST_NOFILE=256")
			hello(t, dir)
			visitors(t, dir, 2000, text)
			begin := time.Now()
			hello(t, dir)
			// With firstLineTime for each that has a place it would be minutes.
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("behind 2000 silent clients a request took %v", took)
			}
			if strings.Contains(daemon.stderr.String(), "cannot accept") {
				t.Errorf("the daemon ran out of descriptors: %s", daemon.stderr)
			}
		})
	}
}

// TestWaitersLeaveRoom: callers that wait take their seats and no more; who is
// answered at once, and who brings the code, finds a place beside them.
func TestWaitersLeaveRoom(t *testing.T) {
	t.Parallel()
	_, dir := startDaemon(t, testExe(t), 0, "IPC_TEST_NOFILE=256")
	client := &Client{Socket: filepath.Join(dir, "broker.sock")}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	const callers = 500
	for range callers {
		go func() {
			_, err := client.Converse(ctx, Request{Op: "sit"}, nil)
			left <- err
		}()
	}
	// Some wait, the others come back again and again: both while this one
	// asks without haste.
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := client.Converse(ctx, Request{Op: OpHello}, nil)
		cancel()
		if err != nil {
			t.Fatalf("beside %d callers that wait: %v", callers, err)
		}
	}
	waitFor(t, "all seats to be taken", func() bool {
		_, err := (&Client{Socket: client.Socket}).converse(t.Context(), Request{Op: "sit"}, nil)
		return errors.Is(err, &Error{Code: CodeBusy})
	})
	leave()
	for range callers {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that waited: %v", err)
		}
	}
}

func TestSeats(t *testing.T) {
	house := newGuests(8)
	var all []*guest
	for range 8 {
		all = append(all, house.tryEnter(nil))
	}
	for i, want := range []error{nil, nil, nil, nil, errFull} {
		if err := all[i].sit(AskTTY); !errors.Is(err, want) {
			t.Errorf("guest %d in the background: %v, want %v", i, err, want)
		}
	}
	if err := all[0].sit(AskNowhere); err != nil {
		t.Errorf("one that sits already: %v", err)
	}
	for i, want := range []error{nil, nil, errFull} {
		if err := all[4+i].sit(AskTerminal); !errors.Is(err, want) {
			t.Errorf("user %d: %v, want %v", i, err, want)
		}
	}
	all[0].leave()
	if err := all[6].sit(AskTerminal); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	if err := all[7].sit(AskNowhere); !errors.Is(err, errFull) {
		t.Errorf("in the background, with users on the seats: %v", err)
	}
	if err := newGuests(1).tryEnter(nil).sit(AskNowhere); err != nil {
		t.Errorf("in a house of one place: %v", err)
	}
}

// TestOnlyTheSilentAreShed: those who said nothing from one look to the next go;
// one whose request is there, but was not read yet, stays.
func TestOnlyTheSilentAreShed(t *testing.T) {
	house := newGuests(5)
	var inside []*guest
	var late *net.UnixConn
	for _, text := range []string{"", "spoke", "", "", ""} {
		client, conn := connPair(t)
		if _, err := io.WriteString(client, text); err != nil {
			t.Fatal(err)
		}
		inside, late = append(inside, house.tryEnter(conn)), client
	}
	if err := inside[0].spoke(); err != nil {
		t.Errorf("the first speaks in time: %v", err)
	}
	house.look()
	if err := inside[2].spoke(); err != nil {
		t.Errorf("one that speaks between two looks: %v", err)
	}
	if _, err := io.WriteString(late, "spoke"); err != nil {
		t.Fatal(err)
	}
	house.look()
	house.look()
	for i, want := range []error{nil, nil, nil, errFull, nil} {
		if err := inside[i].spoke(); !errors.Is(err, want) {
			t.Errorf("guest %d: %v, want %v", i, err, want)
		}
	}
	if house.tryEnter(nil) != nil {
		t.Error("a place is given that its owner has not left yet")
	}
	inside[3].leave()
	if house.tryEnter(nil) == nil {
		t.Error("the free place is not given")
	}
}

// TestNoPlaceForLong: those who are inside speak with people, and stay.
func TestNoPlaceForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		house := newGuests(1)
		g := house.tryEnter(nil)
		if err := g.spoke(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if house.enter(t.Context(), nil) != nil || time.Since(begin) != placeTime {
			t.Errorf("a second one was told after %v, want %v", time.Since(begin), placeTime)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if house.enter(ctx, nil) != nil {
			t.Error("one entered a house that closes")
		}
		time.AfterFunc(placeTime/2, g.leave)
		if house.enter(t.Context(), nil) == nil {
			t.Error("the place that became free was not given")
		}
	})
}

// TestBusyIsAskedAgain: busy means that nothing was done; the client comes back
// until its deadline, which shrinks as it waits.
func TestBusyIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Request
		client := &Client{Dial: func(context.Context) (net.Conn, error) {
			there, here := net.Pipe()
			go ServeConn(t.Context(), here, Peer{}, func(_ context.Context, c *Conversation) (json.RawMessage, error) {
				seen = append(seen, c.Request)
				if len(seen) < 12 {
					return nil, errFull
				}
				return json.RawMessage(`"served"`), nil
			})
			return there, nil
		}}
		answer, err := client.Converse(t.Context(), Request{Op: "sit", Deadline: 50}, nil)
		if err != nil || string(answer) != `"served"` {
			t.Fatalf("answer %s, %v", answer, err)
		}
		if last := seen[len(seen)-1].Deadline; last >= 45 || last < 25 {
			t.Errorf("the deadline of the last try is %d s after some 15 s", last)
		}
		seen = nil
		begin := time.Now()
		_, err = client.Converse(t.Context(), Request{Op: "sit", Deadline: 3}, nil)
		if took := time.Since(begin); !errors.Is(err, &Error{Code: CodeBusy}) || took < 3*time.Second || took > 5*time.Second {
			t.Errorf("with a deadline of 3 s: %v after %v", err, took)
		}
		seen = nil
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = client.Converse(ctx, Request{Op: "sit"}, nil); !errors.Is(err, &Error{Code: CodeBusy}) {
			t.Errorf("when the caller's time is up: %v, want what the daemon said", err)
		}
		seen = nil
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if _, err = client.Converse(ctx, Request{Op: "sit"}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("when the caller leaves: %v", err)
		}
	})
}
