// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
)

const (
	// longLife is the lifetime from which on SDKs renew an hour before the
	// end, and longRemaining what must be left for them not to.
	longLife      = 90 * time.Minute
	longRemaining = 65 * time.Minute
	// lastMoment is the life below which a session counts as expired: the
	// document shows whole seconds only.
	lastMoment = time.Second
	// lifeTolerance is how far an Expiration may lie beyond what was asked
	// for: AWS's own limit for two clocks.
	lifeTolerance = 15 * time.Minute
	// leastSession is what a session must have left to sign calls of IAM: those of
	// a rotation take a minute or two.
	leastSession = 3 * time.Minute
)

// sessionID names a session of GetSessionToken. Region and profile are not in
// it: one code serves every Region and profile of a key.
type sessionID struct {
	accessKeyID string // of the long-lived key
	serial      string // empty without MFA
}

// roleKey is a hash of everything AWS sees of a role session.
type roleKey [sha256.Size]byte

// entry is a cached set of temporary credentials. It is immutable.
type entry struct {
	creds    credproc.Credentials
	wall     time.Time     // the end by our wall clock
	boot     time.Duration // the end by the boot clock
	lifetime time.Duration // when it was new, in whole minutes
	asked    time.Duration // what the request said
	id       sessionID     // of the session at its root
	madeWith string        // the key at its root, where a rotation has replaced that
	roleARN  string        // empty for a GetSessionToken session
	family   roleKey       // of a role: the same for every root session of id
	lock     uint64        // see locks: what it is marked with since it was begun
}

// left returns how long e is valid, by the clock that ends it first.
func (e *entry) left(c Clock) time.Duration {
	return min(e.wall.Sub(c.Now()), e.boot-c.Boot())
}

func (e *entry) valid(c Clock) bool { return e != nil && e.left(c) >= lastMoment }

// fresh reports whether e has the life left that SDKs want to see. One that was
// asked for shorter than that is renewed when a third of it is over: whoever
// comes a moment later must not cost another call.
func (e *entry) fresh(c Clock, minRemaining time.Duration) bool {
	if e == nil {
		return false
	}
	need := minRemaining
	if e.lifetime >= longLife {
		need = max(need, longRemaining)
	}
	if need >= e.asked {
		need = e.asked * 2 / 3
	}
	return e.left(c) >= max(need, lastMoment)
}

// describe returns what status shows of e.
func (e *entry) describe() ipc.Session {
	s := ipc.Session{
		Kind: "session", AccessKeyID: e.creds.AccessKeyID, SourceKeyID: e.id.accessKeyID, MadeWith: e.madeWith,
		SerialNumber: e.id.serial, RoleARN: e.roleARN, Expiration: e.creds.Expiration,
	}
	if e.roleARN != "" {
		s.Kind = "role"
	}
	return s
}

// accept checks what AWS answered before it enters the cache. account is the
// one the credentials must be of, or empty when it is not known; asked is the
// duration of the request.
func (b *Broker) accept(c credproc.Credentials, account string, asked time.Duration) (*entry, error) {
	now := b.opts.Clock.Now()
	life := c.Expiration.Sub(now.Add(b.clockOffset()))
	switch {
	case !strings.HasPrefix(c.AccessKeyID, "ASIA"), c.SecretAccessKey.IsZero(), c.SessionToken.IsZero():
		return nil, fail(ipc.CodeAWSGarbage, "", "AWS answered without temporary credentials")
	case c.Expiration.IsZero(), life < lastMoment, life > asked+lifeTolerance:
		return nil, fail(ipc.CodeAWSGarbage, "", "AWS answered with credentials %s that expire at %s", c.AccessKeyID, c.Expiration.UTC().Format(time.RFC3339))
	case account != "" && c.AccountID != "" && c.AccountID != account:
		return nil, fail(ipc.CodeAWSGarbage, "", "AWS answered with credentials of account %s, not %s", c.AccountID, account)
	}
	if c.AccountID == "" {
		c.AccountID = account
	}
	return &entry{
		creds: c, wall: now.Add(life), boot: b.opts.Clock.Boot() + life,
		lifetime: life.Round(time.Minute), asked: asked,
	}, nil
}

// warm returns the session of a plan's user if that lasts long enough to sign a
// few calls of IAM, else nil.
func (b *Broker) warm(p *plan) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.sessions[p.id]; e.valid(b.opts.Clock) && e.left(b.opts.Clock) > leastSession {
		return e
	}
	return nil
}

// sessionToSign returns that session, or asks for the code of one.
func (b *Broker) sessionToSign(ctx context.Context, p *plan, c caller) (*entry, error) {
	if e := b.warm(p); e != nil {
		return e, nil
	}
	p.want.insists = true
	return b.await(ctx, p, c)
}

// roleKeys returns for each role of p the key of its session under the root
// session whose access key ID is root, and the key of its family.
func roleKeys(p *plan, root string) (keys, families []roleKey) {
	key, family := hashOf("root", root), hashOf("root", p.id.accessKeyID, p.id.serial)
	for _, r := range p.roles {
		key, family = hashOf(key, r.input), hashOf(family, r.input)
		keys, families = append(keys, key), append(families, family)
	}
	return keys, families
}

func hashOf(parts ...any) roleKey {
	h := sha256.New()
	// Strings, arrays and plain structs always encode, and a hash takes all.
	_ = json.NewEncoder(h).Encode(parts)
	return roleKey(h.Sum(nil))
}

// sweep drops what has expired, and what is out of date.
func (b *Broker) sweep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetOutagesLocked()
	for id, e := range b.sessions {
		if !e.valid(b.opts.Clock) {
			delete(b.sessions, id)
		}
	}
	for k, e := range b.roles {
		if !e.valid(b.opts.Clock) {
			delete(b.roles, k)
		}
	}
	now := b.opts.Clock.Now()
	maps.DeleteFunc(b.issued, func(_ string, s ipc.Session) bool { return !s.Expiration.After(now) })
}

func (b *Broker) clockOffset() time.Duration {
	return time.Duration(b.offset.Load()) * time.Second
}

// switchedTo returns the key that took the place of another one, or "".
func (b *Broker) switchedTo(accessKeyID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.renamed[accessKeyID]
}

// rename gives the sessions of one key, and what waits for a code for one, to
// another key of the same user. For AWS the sessions stay those of the key that
// they were made with.
func (b *Broker) rename(from, to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.locks.keys[to], b.locks.by[to] = b.locks.keys[from], b.locks.by[from]
	b.renamed[from] = to
	delete(b.renamed, to) // it may be a way back
	for id, f := range b.flights {
		moved := sessionID{to, id.serial}
		if id.accessKeyID == from && b.flights[moved] == nil {
			delete(b.flights, id)
			b.flights[moved] = f
		}
	}
	for id, e := range b.sessions {
		if id.accessKeyID == from {
			moved := *e
			moved.id.accessKeyID, moved.madeWith = to, madeWith(e.madeWith, from, to)
			delete(b.sessions, id)
			b.sessions[moved.id] = &moved
		}
	}
	for id, s := range b.issued {
		if s.SourceKeyID == from {
			s.SourceKeyID, s.MadeWith = to, madeWith(s.MadeWith, from, to)
			b.issued[id] = s
		}
	}
	for k, e := range b.roles {
		if e.id.accessKeyID == from {
			moved := *e
			moved.id.accessKeyID, moved.madeWith = to, madeWith(e.madeWith, from, to)
			b.roles[k] = &moved
		}
	}
}

// madeWith names the key that credentials were made with, once those of one key
// have gone to another: empty if it is their owner again, after an undo.
func madeWith(was, from, to string) string {
	if was = cmp.Or(was, from); was != to {
		return was
	}
	return ""
}
