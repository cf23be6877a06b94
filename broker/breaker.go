// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"credbroker/internal/ipc"
)

const (
	// tripAfter is how many calls in a row must fail before background callers
	// fail at once. Each has been sent up to three times by then.
	tripAfter = 3
	// firstPause and longestPause are how long they do, doubled after each try
	// in vain. A network that is back must not be waited for: a minute is what
	// a user calls broken.
	firstPause, longestPause = 5 * time.Second, 30 * time.Second
	// blockedPause is how long they do after AWS has said once that it serves the
	// account, or the user, no more: nobody settles that in a minute, and each try
	// may cost a code.
	blockedPause = 15 * time.Minute
	// outageMemory is how long a failure is remembered that nothing followed.
	outageMemory = 10 * time.Minute
)

// path is one key and one way to AWS: another Region, or another proxy in
// broker's config, is another try.
type path struct {
	accessKeyID string
	aws         ipc.AWS // without the clock offset
}

// breaker is the circuit breaker of a path on which the last call got no answer
// of AWS that means anything: closed below tripAfter failures, then open until a
// point in time, then half-open for one try. A path that works has none.
type breaker struct {
	failures int
	err      *ipc.Error    // the last failure
	since    time.Time     // of the first failure
	last     time.Duration // of the last one, by the boot clock
	pause    time.Duration // zero while closed
	until    time.Duration // open until then, by the boot clock
	trying   bool          // somebody was let through to try
	blocked  bool          // the last failure is one that nobody settles in a minute
}

// tripped returns why a background caller of p fails now. While AWS is out of
// reach only one of them gets through after each pause, to try; the others, and
// their SDKs, are spared the wait. Who sits at a terminal always gets through:
// they may have plugged in the cable.
func (b *Broker) tripped(p *plan, c caller) error {
	if c.ask == ipc.AskTerminal {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.breakers[path{p.key.AccessKeyID, p.aws}]
	if o == nil || o.pause == 0 {
		return nil
	}
	now := b.opts.Clock.Boot()
	if now >= o.until {
		o.trying, o.until = true, now+callDeadline
		return nil
	}
	e := *o.err
	e.Spent = false // of another caller's code
	if o.blocked && !o.trying {
		if e.Hint != "" {
			e.Hint += "; then, to try at once, in a terminal: broker exec " + p.profile
		}
		return wrap(&e, "profile %s, %v before the next try", p.profile, (o.until - now).Round(time.Second))
	}
	if o.trying {
		return wrap(&e, "profile %s, after %d failures and while another try is under way", p.profile, o.failures)
	}
	return wrap(&e, "profile %s, after %d failures and %v before the next try", p.profile, o.failures, (o.until - now).Round(time.Second))
}

// note keeps what a call to AWS on the path of p says about the path, and
// returns err. ctx is that of the call: one that we gave up says nothing.
func (b *Broker) note(ctx context.Context, p *plan, err error) error {
	return b.noted(ctx, p, err, isBlocked(err))
}

// noteKey is note for a call that the key itself has signed: what AWS says then
// may be about its user, too.
func (b *Broker) noteKey(ctx context.Context, p *plan, err error) error {
	return b.noted(ctx, p, err, isBlocked(err) || b.isDisabled(p, err))
}

// noted keeps an error. blocked says that trying again is of no use for a while.
func (b *Broker) noted(ctx context.Context, p *plan, err error, blocked bool) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	key := path{p.key.AccessKeyID, p.aws}
	// The log may lie on a disk that went away with the network: nobody is kept
	// waiting for it.
	opened, closed, failures := b.count(key, err, blocked)
	where := []slog.Attr{
		slog.String("access_key_id", key.accessKeyID), slog.String("region", key.aws.Region), slog.Int("failures", failures),
	}
	switch {
	case opened && blocked:
		b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "AWS serves this account, or its user, no more", append(where, slog.Any("error", err))...)
	case opened:
		b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "AWS is out of reach", append(where, slog.Any("error", err))...)
	case closed:
		b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "AWS is back", where...)
	}
	return err
}

// count changes the breaker of a path by what a call on it ended with, and
// reports whether that opened it, or closed it, after how many failures.
func (b *Broker) count(key path, err error, blocked bool) (opened, closed bool, failures int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.breakers[key]
	switch {
	case isOutage(err), blocked:
		if o == nil {
			o = &breaker{since: b.opts.Clock.Now().UTC()}
			b.breakers[key] = o
		}
		opened = o.fail(coded(err), b.opts.Clock.Boot(), blocked)
		return opened, false, o.failures
	case o != nil && isAnswer(err):
		delete(b.breakers, key)
		return false, o.pause > 0, o.failures
	}
	return false, false, 0
}

// fail counts a failure, and reports whether it opens the breaker. The failures
// of calls that were under way when it opened are one failure with it.
func (o *breaker) fail(err *ipc.Error, now time.Duration, blocked bool) (opened bool) {
	o.failures++
	o.err, o.last, o.blocked = err, now, blocked
	switch {
	case o.blocked:
		opened, o.pause = o.pause == 0, blockedPause
	case o.pause == 0 && o.failures < tripAfter:
		return false
	case o.pause == 0:
		opened, o.pause = true, firstPause
	case o.trying || now >= o.until:
		o.pause = min(2*o.pause, longestPause)
	default:
		return false
	}
	o.trying, o.until = false, now+o.pause
	return opened
}

// isBlocked reports whether AWS refuses whatever it is asked for.
func isBlocked(err error) bool { return hasCode(err, ipc.CodeAWSBlocked) }

// isDisabled reports whether AWS has said that it does not serve the user of p,
// and to ask again is worse than to wait: somebody would be asked for a code in
// vain each time. Without a code only a quarantine is that certain: who makes an
// Inactive key active again wants to see it work.
func (b *Broker) isDisabled(p *plan, err error) bool {
	return hasCode(err, ipc.CodeAWSQuarantined) ||
		p.id.serial != "" && hasCode(err, ipc.CodeAWSKeyUnknown, ipc.CodeKeyGone) && !b.mayBeLate(p)
}

// tryAgain forgets what AWS has refused a key for: it is active again.
func (b *Broker) tryAgain(accessKeyID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.breakers, func(key path, o *breaker) bool { return key.accessKeyID == accessKeyID && o.blocked })
}

// blocked reports whether the last call on the path of p was refused like that.
// That AWS can be reached then means nothing.
func (b *Broker) blocked(p *plan) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.breakers[path{p.key.AccessKeyID, p.aws}]
	return o != nil && o.blocked
}

// isOutage reports whether a call failed in a way that others like it will.
func isOutage(err error) bool {
	return hasCode(err, ipc.CodeAWSUnreachable, ipc.CodeAWSSlow, ipc.CodeAWSCertificate, ipc.CodeAWSProxy,
		ipc.CodeAWSThrottled, ipc.CodeAWSUnavailable, ipc.CodeAWSGarbage)
}

// isAnswer reports whether AWS has answered, be it with a refusal.
func isAnswer(err error) bool {
	return err == nil || hasCode(err, ipc.CodeAWSDenied, ipc.CodeAWSExplicitDeny, ipc.CodeAWSQuarantined, ipc.CodeRoleDenied,
		ipc.CodeAWSKeyUnknown, ipc.CodeAWSSecret, ipc.CodeAWSClock, ipc.CodeAWSExpired, ipc.CodeAWSRegion, ipc.CodeAWSDuration,
		ipc.CodeAWSFailed, ipc.CodeMFAWrong, ipc.CodeMFASerial)
}

// forgetOutagesLocked forgets failures that are old, and that nothing followed.
func (b *Broker) forgetOutagesLocked() {
	now := b.opts.Clock.Boot()
	maps.DeleteFunc(b.breakers, func(_ path, o *breaker) bool { return now-o.last > outageMemory && now >= o.until })
}

// outagesLocked describes the outages for status.
func (b *Broker) outagesLocked(ctx context.Context) []ipc.Outage {
	list := []ipc.Outage{}
	now := b.opts.Clock.Boot()
	for key, o := range b.breakers {
		out := ipc.Outage{
			AccessKeyID: key.accessKeyID, Failures: o.failures, Since: o.since, Code: o.err.Code, Message: o.err.Message,
		}
		out.Region, _ = b.opts.STS.Endpoint(ctx, key.aws)
		if o.until > now {
			retry := b.opts.Clock.Now().Add(o.until - now).UTC()
			out.RetryAt = &retry
		}
		list = append(list, out)
	}
	slices.SortFunc(list, func(x, y ipc.Outage) int {
		return strings.Compare(x.AccessKeyID+x.Region, y.AccessKeyID+y.Region)
	})
	return list
}
