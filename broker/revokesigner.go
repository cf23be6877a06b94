// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"credbroker/internal/ipc"
)

// signer signs the calls of IAM about one user.
type signer struct {
	w      *onUser
	params ipc.IAMParams
	self   string // access key ID of the key that signs itself; empty: a session does
	kept   bool   // it is the session that was put aside
}

// signer returns the first that can: somebody else, if the user says so; the
// session that was put aside; a key of the user that AWS takes, by itself or,
// with a device, with a session that costs a code.
func (w *onUser) signer(ctx context.Context) (*signer, error) {
	s := &signer{w: w}
	if w.params.Using != "" {
		return s, s.somebodyElse(ctx)
	}
	if e := w.kept(); e.valid(w.b.opts.Clock) && len(w.plans) > 0 {
		s.kept = true
		return s, s.with(w.plans[0], e)
	}
	if _, revoked := w.b.revoked.of(w.u.candidates[0].key.AccessKeyID); w.u.making != nil && !revoked {
		return s, s.lent(ctx)
	}
	keys, err := w.b.index.snapshot()
	if err != nil {
		return nil, err
	}
	for _, p := range w.plans {
		if w.dead[p.key.AccessKeyID] {
			continue
		}
		if p.id.serial == "" {
			s.params, s.self = ipc.IAMParams{ItemParams: w.b.item(p), UserName: w.userName}, p.key.AccessKeyID
			return s, nil
		}
		if keys[p.owner].AccessKeyID != p.key.AccessKeyID {
			continue // sessions are made of keys of the index
		}
		e, err := w.b.await(ctx, p, w.asker)
		if err != nil {
			return nil, err
		}
		w.b.withhold(e)
		w.b.revoked.keep(w.u.user, e)
		s.kept = true
		return s, s.with(p, e)
	}
	return nil, fail(ipc.CodeKeyInactive, "", "AWS does not take key %s any more, and there is no session of its user to sign with", w.u.candidates[0].key.AccessKeyID)
}

// with has a session sign.
func (s *signer) with(p *plan, e *entry) error {
	document, err := e.creds.Encode()
	if err != nil {
		return err
	}
	s.params = ipc.IAMParams{ItemParams: s.w.b.item(p), UserName: s.w.userName, Session: document}
	return nil
}

// somebodyElse has the profile sign that the user has named: with its roles, or
// with a session, or, because IAM takes none without MFA, its key itself.
func (s *signer) somebodyElse(ctx context.Context) error {
	b := s.w.b
	p, err := b.plan(ctx, s.w.params.Using, s.w.asker)
	if err != nil {
		return err
	}
	if p.id.serial == "" && len(p.roles) == 0 {
		s.params = ipc.IAMParams{ItemParams: b.item(p), UserName: s.w.userName}
		return nil
	}
	e, err := b.obtain(ctx, p, s.w.asker)
	if err != nil {
		return err
	}
	return s.with(p, e)
}

// call makes one call, to its end whoever has left. If AWS does not take the
// session that was put aside, another one is made, once.
func (s *signer) call(ctx context.Context, f func(context.Context, ipc.IAMParams) error) error {
	err := f(context.WithoutCancel(ctx), s.params)
	if !s.kept || !hasCode(err, ipc.CodeAWSExpired) && !(hasCode(err, ipc.CodeAWSExplicitDeny) && s.w.mayBeDenied()) {
		return err
	}
	s.w.b.revoked.keep(s.w.u.user, nil)
	if lerr := s.w.look(ctx); lerr != nil {
		return lerr
	}
	again, serr := s.w.signer(ctx)
	if serr != nil {
		return serr
	}
	*s = *again
	s.kept = false // one more would be one too many
	return f(context.WithoutCancel(ctx), s.params)
}

// mayBeDenied reports whether the policy may be there, which binds the session
// that was put aside too.
func (w *onUser) mayBeDenied() bool {
	for _, k := range w.u.keys {
		if w.now(k).DenyBefore != nil {
			return true
		}
	}
	return false
}

// withhold takes a session out of the cache and out of the list of those that
// were handed out: nobody has it, and nobody gets it.
func (b *Broker) withhold(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[e.id] == e {
		delete(b.sessions, e.id)
	}
	delete(b.issued, e.creds.AccessKeyID)
}
