// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// Handler does what a request asks for. Its ctx ends when the client hangs up,
// when the client's deadline is over, and when the server ends; a handler must
// then return soon. The result goes to the client as it is (nil as an empty
// object); an *Error goes with its code, and any other error with
// CodeInternal. A handler that panics takes no other conversation with it.
type Handler func(ctx context.Context, c *Conversation) (json.RawMessage, error)

var (
	// ErrCannotAsk reports that nobody can be asked through the client: it
	// said so in its request, or when a prompt reached it.
	ErrCannotAsk = errors.New("the client cannot ask its user")
	// ErrWithdrawn reports that the server sent another line while a prompt
	// was open, which ended the prompt.
	ErrWithdrawn = errors.New("the prompt was withdrawn")
)

// Conversation is the server's end of one conversation. Its methods may be
// used by several goroutines until the Handler returns.
type Conversation struct {
	Request Request
	Peer    Peer // zero in a worker

	guest    *guest             // nil: there is room without end
	server   string             // "brokerd 1.2.0"
	pid      int                // of the server, if it may be ended
	protocol int                // the newest that the server speaks
	write    func([]byte) error // one whole line, within its deadline
	answers  bool               // the client's lines after the first are read
	over     <-chan struct{}    // closed when the handler's ctx has ended
	why      func() error       // its cause

	mu   sync.Mutex
	open *question // nil when no prompt is open
}

// question is a prompt that waits for its answer.
type question struct {
	prompt Prompt
	answer chan Answer   // takes one
	ended  chan struct{} // closed when another line was sent
}

// fits reports whether a was meant for q. An answer that names no prompt is
// for the one that is open; one that names an earlier prompt came too late.
func (q *question) fits(a Answer) bool {
	return (a.Attempt == 0 || a.Attempt == q.prompt.Attempt) &&
		(a.SerialNumber == "" || a.SerialNumber == q.prompt.SerialNumber)
}

// CanAsk reports whether the client says that it can ask its user.
func (c *Conversation) CanAsk() bool { return c.answers && c.Request.Ask != AskNowhere }

// Sit asks for leave to take long: to wait for AWS, or for a person. What is
// answered from memory needs none. The error has CodeBusy when too many wait
// already; the handler must then return it, having done nothing, and the client
// comes back.
func (c *Conversation) Sit() error { return c.guest.sit(c.Request.Ask) }

// Decode reads the parameters of the request into v. Missing parameters are an
// empty object, unknown ones are ignored. The error has CodeUsage and does not
// quote what was sent.
func (c *Conversation) Decode(v any) error {
	if len(c.Request.Params) == 0 {
		return nil
	}
	err := json.Unmarshal(c.Request.Params, v)
	if err == nil {
		return nil
	}
	message := fmt.Sprintf("the parameters of %s cannot be read", quote(c.Request.Op))
	var field *json.UnmarshalTypeError
	if errors.As(err, &field) && field.Field != "" {
		message += ": " + field.Field + " has the wrong type"
	}
	return &Error{Code: CodeUsage, Message: message}
}

// UnknownOp returns the error for an operation that this server does not have.
func (c *Conversation) UnknownOp() *Error {
	return &Error{
		Code: CodeProtocol,
		Message: fmt.Sprintf("%s asks for %s, which %s (protocol %d) does not know",
			c.client(), quote(c.Request.Op), c.server, c.protocol),
		Hint: c.older(),
	}
}

func (c *Conversation) client() string {
	if c.Request.Client == "" {
		return fmt.Sprintf("a client of protocol %d", c.Request.V)
	}
	return fmt.Sprintf("%s (protocol %d)", printable(c.Request.Client), c.Request.V)
}

// Prompt puts p to the client's user and returns the answer; an empty one
// means that the user cancels. One prompt is open at a time: whatever line is
// sent next ends it. Prompt returns
//
//   - ErrCannotAsk if there is nobody to ask,
//   - ErrWithdrawn if another line went out,
//   - the cause of ctx when ctx ends: the client is told that the prompt is
//     over, and the conversation goes on,
//   - the cause of the handler's context when that ends.
func (c *Conversation) Prompt(ctx context.Context, p Prompt) (string, error) {
	if !c.CanAsk() {
		return "", ErrCannotAsk
	}
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	q := &question{prompt: p, answer: make(chan Answer, 1), ended: make(chan struct{})}
	if err := c.send(Reply{Prompt: &p}, q); err != nil {
		return "", err
	}
	select {
	case a := <-q.answer:
		if a.Withdrawn {
			return "", ErrCannotAsk
		}
		return a.Answer, nil
	case <-q.ended:
		return "", ErrWithdrawn
	case <-c.over:
		return "", c.why()
	case <-ctx.Done():
		if err := c.why(); err != nil {
			return "", err // the whole conversation is over: its last line follows
		}
		c.withdraw(q)
		return "", context.Cause(ctx)
	}
}

// Event sends v as progress, or as a row of a long answer.
func (c *Conversation) Event(v any) error {
	row, err := encodeLine(v)
	if err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	return c.send(Reply{Event: row}, nil)
}

// withdraw tells the client that q is over, if it still is open.
func (c *Conversation) withdraw(q *question) {
	c.mu.Lock()
	open := c.open == q
	c.mu.Unlock()
	if open {
		// A client that cannot be told is gone, and its handler learns that.
		_ = c.send(Reply{Event: withdrawn()}, nil)
	}
}

// withdrawn is the event that ends a prompt and says nothing else.
func withdrawn() json.RawMessage { return json.RawMessage(`{"withdrawn":true}`) }

// send writes one line, which ends the open prompt; opens is the question that
// the line puts, or nil.
func (c *Conversation) send(r Reply, opens *question) error {
	line, err := encodeLine(r)
	if err != nil {
		return fmt.Errorf("send a reply: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		close(c.open.ended)
	}
	c.open = opens
	return c.write(line)
}

// answered hands a to the open prompt. Without one, or if it was meant for an
// earlier prompt, it came too late and is dropped.
func (c *Conversation) answered(a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.open; q != nil && q.fits(a) {
		c.open = nil
		q.answer <- a
	}
}

// quote and printable make a text from the other side fit for a message: no
// control characters, and no longer than a name.
func quote(s string) string { return strconv.QuoteToASCII(clip(s, 64)) }

func printable(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
