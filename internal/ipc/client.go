// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// Client talks to a daemon. Each call is one connection. The zero value with a
// Socket is ready for use, by several goroutines.
type Client struct {
	Socket string // absolute path
	Name   string // "broker 1.2.0", for messages
	// Dial replaces the connection to Socket, and the check of who listens
	// there. It is for tests; nil in a program.
	Dial func(context.Context) (net.Conn, error)
}

// Surface is where a Client puts what the daemon sends before its answer.
type Surface interface {
	// Prompt asks the user. An empty answer cancels; an error says that the
	// user cannot be asked here. ctx ends when the daemon's next line ends
	// the prompt: Prompt must then return at once, and the error is not looked at.
	Prompt(ctx context.Context, p Prompt) (string, error)
	// Event receives progress, or one row of a long answer. It is not called
	// while Prompt runs.
	Event(event json.RawMessage)
}

// Call asks for op with params, which may be nil, and reads the answer into
// result, unless that is nil. Its errors are those of Converse.
func (c *Client) Call(ctx context.Context, op string, params, result any) error {
	req := Request{Op: op}
	if params != nil {
		data, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("encode the parameters of %s: %w", op, err)
		}
		req.Params = data
	}
	answer, err := c.Converse(ctx, req, nil)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return &Error{Code: CodeProtocol, Message: fmt.Sprintf("the daemon's answer to %s cannot be read", op)}
	}
	return nil
}

// Converse has one conversation. V and Client of req are filled in. Without a
// Surface every prompt is declined and events are dropped.
//
// A daemon that is busy has done nothing: it is asked again, at growing and
// uneven intervals, until the deadline of req or of ctx, or for busyTime.
//
// The error is an *Error: the daemon's own; CodeNoDaemon if there is none, or
// if it went away before it answered, which errors.Is tells apart by
// io.ErrUnexpectedEOF; CodeForeignDaemon if the socket is not of this user;
// CodeDeadline if the deadline of ctx passed. When ctx was cancelled it is the
// cause of that.
func (c *Client) Converse(ctx context.Context, req Request, s Surface) (json.RawMessage, error) {
	wait, patience := 100*time.Millisecond, busyTime
	if req.Deadline > 0 {
		patience = time.Duration(req.Deadline) * time.Second
	}
	for {
		answer, err := c.converse(ctx, req, s)
		if !errors.Is(err, &Error{Code: CodeBusy}) || patience <= 0 {
			return answer, err
		}
		pause := wait/2 + rand.N(wait/2) // spreads the callers, hides nothing
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, err // says more than that time is up
			}
			return nil, context.Cause(ctx)
		}
		wait = min(wait*2, maxBusyWait)
		patience -= pause
		if req.Deadline > 0 {
			req.Deadline = max(int((patience+time.Second-1)/time.Second), 1)
		}
	}
}

const (
	// busyTime is how long a client without a deadline comes back to a daemon
	// that is busy.
	busyTime = 50 * time.Second
	// maxBusyWait is the longest pause between two tries: a thousand callers
	// then cost the daemon some hundred short conversations a second.
	maxBusyWait = 2 * time.Second
)

// converse is one try.
func (c *Client) converse(ctx context.Context, req Request, s Surface) (json.RawMessage, error) {
	req.V, req.Client = Protocol, c.Name
	line, err := encodeRequest(req)
	if err != nil {
		return nil, &Error{Code: CodeUsage, Message: fmt.Sprintf("the request for %s cannot be sent: %v", req.Op, err)}
	}
	dial := c.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) { return dialSocket(ctx, c.Socket) }
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, ended(ctx, err)
	}
	defer func() { _ = conn.Close() }() // everything was read, or nothing is wanted any more
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past()) })()

	// A daemon that refuses may close before it read the request, and the
	// reason is there to be read all the same.
	_, werr := conn.Write(line)
	answer, err := (&listener{conn: conn, lines: newLineReader(conn, nil), surface: s}).answer(ctx)
	if err != nil {
		return nil, ended(ctx, errors.Join(err, werr))
	}
	return answer, nil
}

// ended gives err the reason that the caller's context has for it.
func ended(ctx context.Context, err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Code: CodeDeadline, Message: "the daemon did not answer in time", cause: ctx.Err()}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &Error{
		Code:    CodeNoDaemon,
		Message: "the daemon went away before it answered",
		Hint:    "run the command again: it starts a new daemon",
		cause:   io.ErrUnexpectedEOF,
	}
}

// listener reads the daemon's lines of one conversation.
type listener struct {
	conn    net.Conn
	lines   *lineReader
	surface Surface
}

// answer returns the result or the error that ends the conversation.
func (l *listener) answer(ctx context.Context) (json.RawMessage, error) {
	endPrompt := func() {}
	var long assembly
	for {
		line, err := l.lines.next()
		endPrompt()
		endPrompt = func() {}
		if errors.Is(err, errLineTooLong) {
			return nil, badDaemon()
		}
		if err != nil {
			return nil, err
		}
		if result, ok := bareResult(line); ok {
			return long.end(result)
		}
		var r Reply
		if json.Unmarshal(line, &r) != nil {
			return nil, badDaemon()
		}
		switch {
		case r.Error != nil && r.Error.Code == "":
			return nil, badDaemon()
		case r.Error != nil:
			return nil, r.Error
		case r.Result != nil:
			return long.end(r.Result)
		case r.Prompt != nil:
			endPrompt = l.prompt(ctx, *r.Prompt)
		case r.Event != nil && long.add(r.Event):
		case r.Event != nil && l.surface != nil && !bytes.Equal(r.Event, withdrawn()):
			l.surface.Event(r.Event)
		}
		// What this protocol does not know is left alone.
	}
}

// bareResult returns the result of a line that holds nothing else, as almost
// every one does. It spares a helper what takes longer than all the rest of its
// conversation: teaching encoding/json the types that a Reply may hold.
func bareResult(line []byte) (json.RawMessage, bool) {
	result, ok := bytes.CutPrefix(line, []byte(`{"result":`))
	if !ok {
		return nil, false
	}
	result, ok = bytes.CutSuffix(result, []byte("}"))
	return result, ok && json.Valid(result)
}

func badDaemon() *Error {
	return &Error{
		Code:    CodeProtocol,
		Message: "the daemon's answer is not of this protocol",
		Hint:    "broker and brokerd are of different versions: restart the older one",
	}
}

// prompt puts p to the surface and sends the answer. The function it returns
// ends that and waits until it has ended.
func (l *listener) prompt(ctx context.Context, p Prompt) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a := Answer{Attempt: p.Attempt, SerialNumber: p.SerialNumber, Withdrawn: true}
		if l.surface != nil {
			text, err := l.surface.Prompt(ctx, p)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				a.Answer, a.Withdrawn = text, false
			}
		}
		line, err := encodeLine(a)
		if err != nil { // longer than any answer that anybody could want
			line = []byte("{\"withdrawn\":true}\n")
		}
		_, _ = l.conn.Write(line) // a daemon that is gone is noticed where its answer is read
	}()
	return func() {
		cancel()
		<-done
	}
}
