// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// firstLineTime is how long a client may take for its request: helpers
	// write it at once, so whoever needs longer is only holding a place.
	firstLineTime = 5 * time.Second
	// writeTime is how long a client may leave a line unread before it is
	// dropped. A line fits into the socket's buffer, so this never waits for
	// a client that merely is slow.
	writeTime = 2 * time.Second
	// readerDelay is how long an answer may take before it is looked whether the
	// client has hung up, or has answered a prompt.
	readerDelay = 2 * time.Millisecond
	// maxAnswers bounds the lines of a client after its first. Prompts are
	// answered by people.
	maxAnswers = 64
	// maxDeadline bounds Request.Deadline: nobody waits longer for a code.
	maxDeadline = 24 * time.Hour
)

var (
	errGone     = protocolError("the client hung up")
	errDeadline = &Error{Code: CodeDeadline, Message: "the client's deadline is over"}
	errEnding   = &Error{
		Code:    CodeNoDaemon,
		Message: "the daemon is shutting down",
		Hint:    "run the command again: it starts a new daemon",
	}
)

// server is what the conversations of one process have in common.
type server struct {
	name   string // "brokerd 1.2.0"
	log    Logger
	budget chan struct{} // see lineReader; nil is no limit
	pid    int           // to be ended when it is the older side; 0: by nobody
	// protocol is the newest version that is served; the one before is, too.
	// 0 is Protocol: only tests have another one.
	protocol int
}

// begin reads the request from the first line.
func (s server) begin(c *Conversation, line []byte) error {
	c.server, c.pid, c.protocol = s.name, s.pid, s.protocol
	if c.protocol == 0 {
		c.protocol = Protocol
	}
	return c.begin(line)
}

// ServeConn has one conversation on conn and closes it. The caller vouches for
// the peer: it is for tests, which need no socket. Listener serves real clients.
func ServeConn(ctx context.Context, conn net.Conn, peer Peer, h Handler) {
	s := server{name: "brokerd", log: noLog{}}
	s.serve(ctx, conn, peer, nil, h)
}

func (s server) serve(ctx context.Context, conn net.Conn, peer Peer, g *guest, h Handler) {
	lines := newLineReader(conn, s.budget)
	defer lines.release()
	c := &Conversation{
		Peer:    peer,
		guest:   g,
		answers: true,
		write: func(line []byte) error {
			err := writeLine(conn, line)
			if err != nil {
				_ = conn.Close() // ends the reader too, and with it the handler's context
			}
			return err
		},
	}
	// The reader below ends with the connection, and nothing that it read may
	// be in use when its place in the budget is released.
	reading := make(chan struct{})
	defer func() { <-reading }()
	defer func() { _ = conn.Close() }() // the last line is written, or nobody reads it

	first := time.AfterFunc(firstLineTime, func() { _ = conn.SetReadDeadline(past()) })
	line, err := lines.next()
	if err == nil && !first.Stop() {
		err = errGone // its line came with the deadline
	}
	if full := g.spoke(); full != nil {
		err = full
	}
	if err == nil {
		err = s.begin(c, line)
	}
	if err != nil {
		close(reading)
		s.refuse(c, err)
		return
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, stop := c.bind(ctx)
	defer stop()
	// Most answers are there before a reader would be, and a goroutine that
	// starts and ends for nothing is an eighth of such a conversation.
	reader := time.AfterFunc(readerDelay, func() {
		defer close(reading)
		end(c.listen(lines))
	})
	s.answer(ctx, c, h)
	if reader.Stop() {
		close(reading)
	}
}

// past is a deadline that is over, whatever the clock says.
func past() time.Time { return time.Unix(1, 0) }

func writeLine(conn net.Conn, line []byte) error {
	slow := time.AfterFunc(writeTime, func() { _ = conn.SetWriteDeadline(past()) })
	defer slow.Stop()
	if _, err := conn.Write(line); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

func (c *Conversation) begin(line []byte) error {
	if !utf8.Valid(line) {
		return protocolError("the request is not UTF-8")
	}
	r := &c.Request
	err := json.Unmarshal(line, r)
	// A later protocol may have other types in its fields: Unmarshal skips
	// those and reads the rest, so that v is known all the same.
	var field *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &field) {
		return protocolError("the request is not JSON")
	}
	switch {
	case err != nil && r.V <= c.protocol && r.V >= 0:
		return protocolError("the request is not an object of this protocol")
	case r.V > c.protocol:
		return &Error{Code: CodeProtocol, Message: c.versions(), Hint: c.older()}
	case r.V < max(c.protocol-1, 1):
		return &Error{
			Code: CodeProtocol, Message: c.versions(),
			Hint: "the client is the older one: run the broker that stands beside " + c.server,
		}
	case r.Op == "":
		return protocolError("the request has no op")
	case r.Deadline < 0:
		return protocolError("the deadline is negative")
	case r.Ask != AskTerminal && r.Ask != AskTTY:
		r.Ask = AskNowhere // also what a later client may call its way of asking
	}
	return nil
}

// versions names both sides' versions.
func (c *Conversation) versions() string {
	served := fmt.Sprintf("protocol %d", c.protocol)
	if c.protocol > 1 {
		served = fmt.Sprintf("protocols %d and %d", c.protocol-1, c.protocol)
	}
	return fmt.Sprintf("the client speaks protocol %d, and %s speaks %s", c.Request.V, c.server, served)
}

// older is what to do about a server that does not know what its client knows.
func (c *Conversation) older() string {
	if c.pid == 0 {
		return c.server + " is the older one: install all programs of one release"
	}
	return fmt.Sprintf("%s is the older one: end it with kill %d, and the next command starts the new one", c.server, c.pid)
}

func protocolError(message string) *Error { return &Error{Code: CodeProtocol, Message: message} }

// bind ties the conversation to the handler's context, with its deadline.
func (c *Conversation) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	stop := func() {}
	if s := c.Request.Deadline; s > 0 {
		limit := maxDeadline
		if s < int(maxDeadline/time.Second) {
			limit = time.Duration(s) * time.Second
		}
		ctx, stop = context.WithTimeoutCause(ctx, limit, errDeadline)
	}
	c.over = ctx.Done()
	c.why = func() error { return context.Cause(ctx) }
	return ctx, stop
}

// listen reads the client's answers until the connection ends and says why it
// did: errGone, or the client's breach of the protocol.
func (c *Conversation) listen(lines *lineReader) error {
	for range maxAnswers {
		line, err := lines.next()
		if errors.Is(err, errLineTooLong) || errors.Is(err, errLinesTooBig) {
			return protocolError(err.Error())
		}
		if err != nil {
			return errGone
		}
		var a Answer
		if !utf8.Valid(line) || json.Unmarshal(line, &a) != nil {
			return protocolError("an answer is not a JSON object of this protocol")
		}
		c.answered(a)
	}
	return protocolError("too many answers")
}

// refuse ends a conversation that did not begin. Somebody who connected and
// said nothing is told nothing, unless the place was needed.
func (s server) refuse(c *Conversation, err error) {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, errLineTooLong):
		e = protocolError("the request is too long: " + err.Error())
	case errors.Is(err, errLinesTooBig):
		e = &Error{Code: CodeBusy, Message: err.Error()}
	default:
		s.log.Debug("client left without a request", "pid", c.Peer.PID)
		return
	}
	s.log.Debug("request refused", "pid", c.Peer.PID, "code", string(e.Code))
	_ = c.send(Reply{Error: e}, nil) // a client that is gone needs no answer
}

// answer runs the handler and sends the last line.
func (s server) answer(ctx context.Context, c *Conversation, h Handler) {
	result, err := s.run(ctx, c, h)
	reply, err := c.inParts(outcome(ctx, result, err))
	if err == nil {
		err = c.send(reply, nil)
	}
	if errors.Is(err, errGone) {
		s.log.Debug("client gone before its answer", "op", printable(c.Request.Op), "pid", c.Peer.PID)
		return
	}
	if err != nil { // too long, or not JSON: a defect of the handler
		s.log.Error("answer not sent", "op", printable(c.Request.Op), "err", err)
		message := fmt.Sprintf("the answer to %s does not fit the protocol", quote(c.Request.Op))
		_ = c.send(Reply{Error: &Error{Code: CodeInternal, Message: message}}, nil) // as above
	}
}

// run calls the handler and turns its panic into an error.
func (s server) run(ctx context.Context, c *Conversation, h Handler) (result json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			what := describePanic(v)
			s.log.Error("handler panicked", "op", printable(c.Request.Op), "panic", what)
			result, err = nil, &Error{
				Code:    CodeInternal,
				Message: fmt.Sprintf("a defect in %s stopped %s: %s", s.name, quote(c.Request.Op), what),
				Hint:    "please report it",
			}
		}
	}()
	return h(ctx, c)
}

// describePanic says what happened and where. The value of a panic that is not
// the runtime's own may be anything, a secret included: only its type is shown.
func describePanic(v any) string {
	what := fmt.Sprintf("panic with a %T", v)
	var re runtime.Error
	if err, ok := v.(error); ok && errors.As(err, &re) {
		what = re.Error()
	}
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		if panicking && !inRuntime {
			return fmt.Sprintf("%s at %s:%d", what, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return what
		}
	}
}

// outcome makes the last line from what the handler returned.
func outcome(ctx context.Context, result json.RawMessage, err error) Reply {
	if err == nil {
		if len(result) == 0 {
			result = json.RawMessage("{}")
		}
		return Reply{Result: result}
	}
	// A handler that gave up because its context ended knows less about the
	// reason than the context.
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		err = errEnding
		var e *Error
		if errors.As(context.Cause(ctx), &e) { // the client's doing
			err = e
		}
	}
	return Reply{Error: wireError(err)}
}

// wireError returns err as it is sent: with the code of the Error that it is
// or wraps, and short enough for a line.
func wireError(err error) *Error {
	e := Error{Code: CodeInternal}
	var inner *Error
	if errors.As(err, &inner) {
		e = *inner
	}
	e.Message, e.Hint = clip(err.Error(), shortLine), clip(e.Hint, shortLine)
	return &e
}

// ServeOne has one conversation on in and out: it is a worker's whole life. It
// returns an error when the answer could not be written. The end of in after
// the request is no hanging up, and nobody can be asked.
func ServeOne(ctx context.Context, in io.Reader, out io.Writer, h Handler) error {
	s := server{name: "broker-vault", log: noLog{}}
	c := &Conversation{}
	var failed error
	c.write = func(line []byte) error {
		if _, err := out.Write(line); err != nil {
			failed = fmt.Errorf("write the answer: %w", err)
		}
		return failed
	}
	line, err := newLineReader(in, nil).next()
	if err == nil {
		err = s.begin(c, line)
	} else if !errors.Is(err, errLineTooLong) {
		return fmt.Errorf("read the request: %w", err)
	}
	if err != nil {
		s.refuse(c, err)
		return failed
	}
	ctx, stop := c.bind(ctx)
	defer stop()
	s.answer(ctx, c, h)
	return failed
}
