// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

// maxTries is how often a call that may be repeated is sent.
const maxTries = 3

// maxPause is the longest Retry-After that is waited for; a longer one is the
// caller's affair.
const maxPause = 5 * time.Second

// clockStep is the least change of the clock offset that a repeat can profit
// from: AWS accepts signatures that are up to 15 minutes off.
const clockStep = time.Minute

// actAssumeRole is the action whose refusals have a code of their own.
const actAssumeRole = "AssumeRole"

// call is one call of an API action.
type call struct {
	action     string   // as AWS spells it, for messages
	permission string   // that policies must grant for it; empty = none that is known
	once       bool     // it carries a code or has an effect: send it once
	temporary  bool     // signed with temporary credentials
	hidden     []string // must not show in an error text, should AWS quote it
}

// run makes the call, within the limit of c, and returns nil or an *Error. send
// gets the record of its exchange and returns AWS's refusal, or its own
// judgement of the answer as an *Error.
func (c *Client) run(ctx context.Context, k call, send func(context.Context, *exchange) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	begin := c.now()
	for try := 1; ; try++ {
		x := &exchange{}
		err := send(withExchange(ctx, x), x)
		if err == nil {
			return nil
		}
		e := k.judge(ctx, err, x)
		c.explainHost(e, err)
		if k.once || try == maxTries || !c.worthRepeating(e, x) {
			return e
		}
		// What comes after the limit need not be waited for.
		d := c.delay(try, x)
		if c.now().Sub(begin)+d >= c.limit || !pause(ctx, d) {
			return e
		}
	}
}

// worthRepeating reports whether the same call may succeed later, and corrects
// the clock offset if that is what AWS complained about.
func (c *Client) worthRepeating(e *Error, x *exchange) bool {
	if x.retryAfter > maxPause {
		return false
	}
	switch e.Code {
	case codeThrottled, codeUnreachable, codeProxy:
		return true
	case codeClock:
		return c.learnOffset(x.date)
	default:
		return e.HTTPStatus >= 500
	}
}

// explainHost says what it means that DNS does not know a host which only a
// setting of the profile has led to: not every Region has such endpoints.
func (c *Client) explainHost(e *Error, err error) {
	var dns *net.DNSError
	if c.variant == "" || !errors.As(err, &dns) || !dns.IsNotFound {
		return
	}
	e.Message = "there is no host " + clean(dns.Name, 256)
	e.hint = "not every Region has such an endpoint: choose another region for the profile, or remove " + c.variant
}

// learnOffset takes over the clock of an answer, and reports whether that
// changed anything.
func (c *Client) learnOffset(date time.Time) bool {
	if date.IsZero() {
		return false
	}
	offset := date.Sub(c.now()).Round(time.Second)
	was := time.Duration(c.offset.Swap(int64(offset)))
	return (offset - was).Abs() >= clockStep
}

// delay returns how long to wait before the next try: what AWS asks for, and a
// random part of a bound that doubles ("full jitter").
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
func (c *Client) delay(try int, x *exchange) time.Duration {
	return x.retryAfter + rand.N(c.backoff<<(try-1)) + 1
}

// pause waits for d, and reports false if the time of ctx ends before that.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
