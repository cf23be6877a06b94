// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"credbroker/credproc"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// callDeadline bounds a call of the daemon itself to AWS, connect included.
const callDeadline = 20 * time.Second

// hourOnly is what AWS gives a role whose caller is a role.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
const hourOnly = time.Hour

// renewPatience is how long a caller waits for a renewal while what it has is
// valid: some SDKs give a helper 15 seconds. The renewal itself goes on.
const renewPatience = 5 * time.Second

// obtain returns credentials of the plan's last step. It renews them early
// where that costs no prompt, and serves what is still valid where renewing
// would cost one or fails.
func (b *Broker) obtain(ctx context.Context, p *plan, c caller) (*entry, error) {
	if e := b.ready(p); e != nil {
		return e, nil
	}
	e, err := b.renewSoon(ctx, p, c)
	if err == nil {
		return e, nil
	}
	if e := b.lastValid(p); e != nil && p.want.settlesFor(e, err) {
		b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "renewal went wrong, the valid session is served again",
			slog.String("profile", p.profile), slog.String("access_key_id", e.creds.AccessKeyID), slog.Any("error", err))
		return e, nil
	}
	return nil, err
}

// renewSoon renews, and gives up after renewPatience while something is valid.
func (b *Broker) renewSoon(ctx context.Context, p *plan, c caller) (*entry, error) {
	if err := b.mayWait(p, c); err != nil {
		return nil, err
	}
	if p.want.insists || b.lastValid(p) == nil {
		e, err := b.renew(ctx, p, c)
		if err == nil && p.want.insists && e.asked < p.want.life {
			return b.renew(ctx, p, c) // the code was on its way when we said for how long
		}
		return e, err
	}
	soon, stop := context.WithTimeout(ctx, renewPatience)
	defer stop()
	e, err := b.renew(soon, p, c)
	if err != nil && soon.Err() != nil && ctx.Err() == nil && b.lastValid(p) == nil {
		return b.renew(ctx, p, c) // it expired meanwhile: there is nothing but to wait
	}
	return e, err
}

// mayWait lets a caller wait for AWS, or says why not. The seat comes first:
// whoever is told to come back must not be the one that tries the way to AWS.
func (b *Broker) mayWait(p *plan, c caller) error {
	if err := b.seat(p, c); err != nil {
		return err
	}
	return b.tripped(p, c)
}

// seat gets the caller leave to wait. Where that is refused because so many
// wait for a code already, the error says so: the caller may be told it last.
func (b *Broker) seat(p *plan, c caller) error {
	if c.sit == nil {
		return nil
	}
	err := c.sit()
	b.mu.Lock()
	defer b.mu.Unlock()
	if hasCode(err, ipc.CodeBusy) && b.flights[p.id] != nil {
		return fail(ipc.CodeBusy, "give a code in any terminal, then try again: broker mfa",
			"profile %s needs an MFA code, and too many callers wait for it already", p.profile)
	}
	return err
}

// ready returns what the cache holds for p if it is to be served as it is.
func (b *Broker) ready(p *plan) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	clock := b.opts.Clock
	root := b.sessions[p.id]
	if len(p.roles) == 0 {
		if p.enough(clock, root) || p.bearsNoPrompt() && root.valid(clock) {
			return root
		}
		return nil
	}
	if root.valid(clock) || p.id.serial == "" {
		if root == nil {
			return nil
		}
		keys, _ := roleKeys(p, root.creds.AccessKeyID)
		if e := b.roles[keys[len(keys)-1]]; p.enough(clock, e) {
			return e
		}
		return nil
	}
	if e := b.lastValidLocked(p); p.bearsNoPrompt() || p.enough(clock, e) {
		return e
	}
	return nil
}

// lastValid returns the valid session of p with the most life left, whatever
// root session it came from, or nil.
func (b *Broker) lastValid(p *plan) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lastValidLocked(p)
}

func (b *Broker) lastValidLocked(p *plan) *entry {
	clock := b.opts.Clock
	if len(p.roles) == 0 {
		if e := b.sessions[p.id]; e.valid(clock) {
			return e
		}
		return nil
	}
	_, families := roleKeys(p, "")
	family := families[len(families)-1]
	var best *entry
	for _, e := range b.roles {
		if e.family == family && e.valid(clock) && (best == nil || e.left(clock) > best.left(clock)) {
			best = e
		}
	}
	return best
}

// renew walks the plan from its root. A session that AWS refuses as expired or
// unknown is dropped and made again, once.
func (b *Broker) renew(ctx context.Context, p *plan, c caller) (*entry, error) {
	e, refused, err := b.walk(ctx, p, c)
	if !refused {
		return e, err
	}
	if p.id.serial != "" && b.sessionLost(p) && b.lastValid(p) != nil {
		return nil, err // a prompt now would be one too early
	}
	e, _, err = b.walk(ctx, p, c)
	return e, err
}

// sessionLost reports whether the root session of p is gone.
func (b *Broker) sessionLost(p *plan) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.sessions[p.id].valid(b.opts.Clock)
}

// walk gets a session for each step of p, the root's first. refused says that
// AWS did not take the session of a step for the next one.
func (b *Broker) walk(ctx context.Context, p *plan, c caller) (e *entry, refused bool, err error) {
	source, err := b.root(ctx, p, c)
	if err != nil {
		return nil, false, err
	}
	keys, families := roleKeys(p, source.creds.AccessKeyID)
	for i := range p.roles {
		last := i == len(p.roles)-1
		b.mu.Lock()
		e := b.roles[keys[i]]
		b.mu.Unlock()
		if last && !p.enough(b.opts.Clock, e) || !e.valid(b.opts.Clock) {
			from := source
			e, err = b.share(ctx, keys[i], func(ctx context.Context) (*entry, error) {
				return b.assume(ctx, p, i, from, keys[i], families[i])
			})
			if err != nil {
				return nil, isRefusal(err), err
			}
		}
		source = e
	}
	return source, false, nil
}

// isRefusal reports whether AWS did not take the session that signed a call.
func isRefusal(err error) bool {
	return hasCode(err, ipc.CodeAWSExpired, ipc.CodeAWSKeyUnknown)
}

// root returns the session at the root of p: the cached one while it is valid,
// else a new one, which costs a prompt where p has a serial number.
func (b *Broker) root(ctx context.Context, p *plan, c caller) (*entry, error) {
	b.mu.Lock()
	e := b.sessions[p.id]
	b.mu.Unlock()
	if p.enough(b.opts.Clock, e) || (p.bearsNoPrompt() || len(p.roles) > 0) && e.valid(b.opts.Clock) {
		return e, nil
	}
	if err := b.youngEnough(p); err != nil {
		return nil, err
	}
	if p.id.serial != "" {
		return b.await(ctx, p, c)
	}
	lock := b.lockOf(p)
	if err := b.opened(); err != nil {
		return nil, wrap(err, "profile %s", p.profile)
	}
	type session struct { // one call for all who ask for the same length, since the same lock
		id       sessionID
		duration time.Duration
		lock     uint64
	}
	return b.share(ctx, session{p.id, p.duration, lock}, func(ctx context.Context) (*entry, error) {
		if err := b.prepare(ctx, p); err != nil {
			return nil, err
		}
		return b.sessionToken(ctx, p, "", lock)
	})
}

// assume makes role i of p from the session of its source and caches it.
func (b *Broker) assume(ctx context.Context, p *plan, i int, source *entry, key, family roleKey) (*entry, error) {
	if err := b.servable(p); err != nil {
		return nil, err
	}
	role := p.roles[i]
	in := role.input
	b.mu.Lock()
	if b.short[family] {
		in.DurationSeconds = min(in.DurationSeconds, int(hourOnly/time.Second))
	}
	b.mu.Unlock()
	creds, err := b.callAssumeRole(ctx, p, source, in)
	if hasCode(err, ipc.CodeAWSDuration) && role.chained && in.DurationSeconds > int(hourOnly/time.Second) {
		b.mu.Lock()
		b.short[family] = true
		b.mu.Unlock()
		in.DurationSeconds = int(hourOnly / time.Second)
		creds, err = b.callAssumeRole(ctx, p, source, in)
	}
	if err != nil {
		if isRefusal(err) {
			b.drop(source)
		}
		e := wrap(err, "assume role %s for profile %s", in.RoleARN, role.profile)
		switch {
		case e.Code == ipc.CodeAWSDuration && p.want.life > 0:
			e.Hint = "ask for less than " + awsconfig.FormatLife(p.want.life) + " with -d"
		case e.Code == ipc.CodeRoleDenied:
			e.Hint = b.deniedHint(p.profile, in, source)
		}
		return nil, e
	}
	e, err := b.accept(creds, role.accountID, time.Duration(in.DurationSeconds)*time.Second)
	if err != nil {
		return nil, wrap(err, "assume role %s for profile %s", in.RoleARN, role.profile)
	}
	e.id, e.roleARN, e.family, e.lock = source.id, in.RoleARN, family, source.lock
	if err := b.keep(e, p.profile, func() { b.roles[key] = e }); err != nil {
		return nil, err
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "role assumed", slog.String("profile", role.profile),
		slog.String("role_arn", in.RoleARN), slog.String("access_key_id", e.creds.AccessKeyID), slog.Time("expiration", e.creds.Expiration))
	return e, nil
}

// deniedHint names what a role may lack of in, or of its source. AWS has one
// answer for all of it, and none for a role that does not exist.
func (b *Broker) deniedHint(profile string, in AssumeRoleInput, source *entry) string {
	wants := "an external_id"
	if in.ExternalID != "" {
		wants = "another external_id"
	}
	if source.roleARN == "" {
		if source.id.serial == "" {
			wants += ", MFA"
		} else if age := b.ageAtAWS(source); age >= time.Hour {
			wants += fmt.Sprintf(", an MFA code newer than %d h (then: broker lock %s)", age/time.Hour, profile)
		} else if age >= time.Minute {
			wants += fmt.Sprintf(", an MFA code newer than %d min", age/time.Minute)
		}
	}
	return "AWS does not say why: the role may want " + wants + ", not trust the caller, or not exist"
}

// ageAtAWS returns how long ago e was made by the clock of AWS, to the minute.
func (b *Broker) ageAtAWS(e *entry) time.Duration {
	return e.lifetime - e.creds.Expiration.Sub(b.opts.Clock.Now().Add(b.clockOffset()))
}

// callAssumeRole makes the call, and once more with the clock set right if
// AWS finds it wrong.
func (b *Broker) callAssumeRole(ctx context.Context, p *plan, source *entry, in AssumeRoleInput) (creds credproc.Credentials, err error) {
	for range 2 {
		if creds, err = b.assumeOnce(ctx, p, source, in); !hasCode(err, ipc.CodeAWSClock) {
			return creds, err
		}
		if err := b.reach(ctx, p); err != nil {
			return creds, err
		}
	}
	return creds, err
}

func (b *Broker) assumeOnce(ctx context.Context, p *plan, source *entry, in AssumeRoleInput) (credproc.Credentials, error) {
	if b.clockMoved() {
		if err := b.reach(ctx, p); err != nil {
			return credproc.Credentials{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	creds, err := b.opts.STS.AssumeRole(ctx, b.awsOf(p), source.creds, in)
	return creds, b.note(ctx, p, err)
}

// drop removes e from the cache, and only e: a newer session stays.
func (b *Broker) drop(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[e.id] == e {
		delete(b.sessions, e.id)
		b.refused[e.id.accessKeyID] = true
	}
	for k, r := range b.roles {
		if r == e {
			delete(b.roles, k)
		}
	}
}

// mint is a call under way that everybody who wants its result waits for.
type mint struct {
	done  chan struct{} // closed when entry and err are set
	entry *entry
	err   error
}

// share runs fn once for all who ask for key meanwhile. fn belongs to the
// daemon: it goes on when every caller has left, and caches its result itself.
func (b *Broker) share(ctx context.Context, key any, fn func(ctx context.Context) (*entry, error)) (*entry, error) {
	b.mu.Lock()
	m := b.mints[key]
	if m == nil {
		m = &mint{done: make(chan struct{})}
		b.mints[key] = m
		b.tasks.start(ctx, func(ctx context.Context) {
			m.entry, m.err = fn(ctx)
			b.mu.Lock()
			delete(b.mints, key)
			b.mu.Unlock()
			close(m.done)
		})
	}
	b.mu.Unlock()
	select {
	case <-m.done:
		return m.entry, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
