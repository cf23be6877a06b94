// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// ownKey is a stored key with which calls can be signed.
type ownKey struct {
	profile string // under which it is, or was, stored
	key     record
}

// revokee is one IAM user, with the keys of it that are to be revoked.
type revokee struct {
	user       string // see revocation.user
	candidates []ownKey
	keys       []revocation
	making     *rotator // of a profile that has no key yet; nil: that of keys
}

func (u *revokee) ids() []string {
	var ids []string
	for _, k := range u.keys {
		ids = append(ids, k.AccessKeyID)
	}
	return ids
}

// opRevoke takes keys out of use: first on this machine, which needs nobody,
// then at IAM. What goes wrong there is said of each key, and stops no other.
func (b *Broker) opRevoke(ctx context.Context, r ipc.Request, c conversation) (any, error) {
	var params ipc.RevokeParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if err := checkRevoke(params); err != nil {
		return nil, err
	}
	asker := callerOf(r, c)
	asker.answers = true
	v := &revoking{b: b, params: params, asker: asker, out: ipc.Revoked{Keys: []ipc.RevokedKey{}, Since: b.opts.StartedAt.UTC()}}
	if done, err := v.revokeMaking(ctx); err != nil || done {
		return v.out, err
	}
	users, err := b.revokees(params)
	if err != nil {
		return nil, err
	}
	if params.Undo {
		v.undoAll(ctx, users)
		return v.out, nil
	}
	v.locally(ctx, users)
	if users, err = b.revokees(params); err == nil && b.haltRotations(ctx, users) {
		// What a step that was under way has made is of the user too.
		if users, err = b.revokees(params); err == nil {
			v.locally(ctx, users)
		}
	}
	if err != nil {
		return nil, err
	}
	v.atAWS(ctx, users)
	return v.out, nil
}

func checkRevoke(p ipc.RevokeParams) error {
	switch {
	case p.All == (p.Profile != ""):
		return fail(ipc.CodeUsage, "", "either a profile is revoked, or all of them")
	case p.All && p.Using != "":
		return fail(ipc.CodeUsage, "", "the key of somebody else signs for one profile only")
	case p.Using != "" && p.Using == p.Profile:
		return fail(ipc.CodeUsage, "", "profile %s cannot sign for itself", p.Using)
	case p.Undo && p.DenySessions:
		return fail(ipc.CodeUsage, "", "what was denied is allowed again by undoing it")
	case p.Profile != "":
		return awsconfig.ValidProfileName(p.Profile)
	}
	return nil
}

// revokees returns whom a request is about, the users without a device first:
// nobody waits for a code while something can be done without one.
func (b *Broker) revokees(params ipc.RevokeParams) ([]*revokee, error) {
	keys, err := b.keys()
	if err != nil {
		return nil, err
	}
	chosen := keys
	if !params.All {
		key, ok := keys[params.Profile]
		if r := b.creating(params.Profile); r != nil && !ok {
			if r.state().Back && params.Undo {
				return nil, fail(ipc.CodeRefused, "see how far that is: broker status", "%s: that is being taken back, and the key deleted", r.state().What())
			}
			u, err := b.makingRevokee(r, keys)
			return []*revokee{u}, err
		}
		if !ok {
			return nil, b.noKeyToRevoke(params.Profile)
		}
		chosen = map[string]record{params.Profile: key}
	}
	byUser := map[string]*revokee{}
	for _, profile := range slices.Sorted(maps.Keys(chosen)) {
		key := chosen[profile]
		id := revocation{AccessKeyID: key.AccessKeyID, ARN: key.ARN}.user()
		u := byUser[id]
		if u == nil {
			u = &revokee{user: id}
			byUser[id] = u
		}
		b.enlist(u, profile, key, keys)
	}
	if params.Undo {
		b.enlistDenied(byUser)
	}
	return slices.SortedFunc(maps.Values(byUser), func(x, y *revokee) int {
		return cmp.Or(cmp.Compare(min(1, len(x.candidates[0].key.SerialNumber)), min(1, len(y.candidates[0].key.SerialNumber))), cmp.Compare(x.user, y.user))
	}), nil
}

// noKeyToRevoke says why a profile cannot be revoked.
func (b *Broker) noKeyToRevoke(profile string) error {
	pl, err := b.planner()
	if err != nil {
		return err
	}
	p, err := pl.plan(profile)
	if err != nil {
		return err
	}
	return fail(ipc.CodeNoKey, "revoke that one: broker revoke "+p.owner, "profile %s has no key of its own: it uses that of %s", profile, p.owner)
}

// enlist adds a stored key to its user, with the other one if it is being
// rotated: either of them may be the one that has leaked. A key that it is just
// having made goes with it.
func (b *Broker) enlist(u *revokee, profile string, key record, stored map[string]record) {
	if slices.Contains(u.ids(), key.AccessKeyID) {
		return
	}
	add := func(id, item string, wasInactive bool) {
		if id == "" || slices.Contains(u.ids(), id) {
			return
		}
		k, known := b.revoked.of(id)
		if !known {
			k = revocation{AccessKeyID: id, WasInactive: wasInactive}
		}
		k.UserName, k.ARN, k.Profiles = key.UserName, key.ARN, nil
		for p, other := range stored {
			if other.AccessKeyID == key.AccessKeyID {
				k.Profiles = append(k.Profiles, p)
			}
		}
		u.keys = append(u.keys, k)
		of := key
		of.AccessKeyID, of.Item = id, item
		u.candidates = append(u.candidates, ownKey{profile, of})
	}
	add(key.AccessKeyID, key.Item, false)
	if r := b.rotating(key.AccessKeyID); r != nil {
		j := r.state()
		add(j.Old, j.Places[0].OldItem, j.State == rotation.Disabled && !j.Back)
		add(j.New, j.Places[0].NewItem, false)
	}
	for _, r := range b.touched([]string{key.AccessKeyID}) {
		if j := r.state(); j.Creating() {
			b.enlistMade(u, j, j.New)
		}
	}
}

// enlistDenied adds keys that are not stored any more, and whose user has the
// policy still.
func (b *Broker) enlistDenied(users map[string]*revokee) {
	for _, k := range b.revoked.list() {
		if u := users[k.user()]; u != nil && k.DenyBefore != nil && !slices.Contains(u.ids(), k.AccessKeyID) {
			k.WasInactive = true // it is none of ours any more
			u.keys = append(u.keys, k)
		}
	}
}

// revoking is one revocation under way.
type revoking struct {
	b      *Broker
	params ipc.RevokeParams
	asker  caller
	out    ipc.Revoked
}

// locally has nothing made of the keys from now on, and drops what was made. A
// session that can sign for IAM is put aside: it survives the key.
func (v *revoking) locally(ctx context.Context, users []*revokee) {
	b := v.b
	now := b.opts.Clock.Now()
	v.remember(b.revoked.change(func(all map[string]revocation) {
		for _, u := range users {
			for i := range u.keys {
				k := &u.keys[i]
				if k.RevokedAt.IsZero() {
					k.RevokedAt = now.UTC()
				}
				k.Sessions = b.sessionsMade(k.Sessions, k.AccessKeyID, now)
				all[k.AccessKeyID] = *k
				b.withdrawNotice(k.AccessKeyID)
			}
		}
	}))
	for _, u := range users {
		best := b.revoked.session(u.user)
		for _, id := range u.ids() {
			if e := b.signing(id); e != nil && (!best.valid(b.opts.Clock) || best.left(b.opts.Clock) < e.left(b.opts.Clock)) {
				best = e
			}
		}
		for _, id := range u.ids() {
			dropped, _ := b.forget(id, byRevoke)
			v.out.Sessions += dropped.Sessions
			v.out.Prompts += dropped.Prompts
			b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "key revoked", slog.String("access_key_id", id), slog.Int("sessions", dropped.Sessions))
		}
		if best.valid(b.opts.Clock) {
			b.revoked.keep(u.user, best)
		}
	}
}

// remember keeps the first reason why something could not be written down.
func (v *revoking) remember(err error) {
	if err != nil && v.out.Problem == nil {
		e := *coded(err)
		e.Hint = "nothing else was held up by that, but the next daemon will not know: make room, and run it again"
		v.out.Problem = &e
	}
}

// signing returns the session of a key that IAM takes, or nil: one with MFA.
func (b *Broker) signing(accessKeyID string) (best *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, e := range b.sessions {
		if id.accessKeyID == accessKeyID && id.serial != "" && e.valid(b.opts.Clock) && (best == nil || best.left(b.opts.Clock) < e.left(b.opts.Clock)) {
			best = e
		}
	}
	return best
}

// sessionsMade returns the sessions that were made with a key and have not ended, after
// those that are known already.
func (b *Broker) sessionsMade(known []ipc.Session, accessKeyID string, now time.Time) []ipc.Session {
	all := map[string]ipc.Session{}
	for _, s := range known {
		all[s.AccessKeyID] = s
	}
	b.mu.Lock()
	for id, s := range b.issued {
		if s.SourceKeyID == accessKeyID {
			all[id] = s
		}
	}
	b.mu.Unlock()
	maps.DeleteFunc(all, func(_ string, s ipc.Session) bool { return !s.Expiration.After(now) })
	return slices.SortedFunc(maps.Values(all), func(x, y ipc.Session) int { return cmp.Compare(x.AccessKeyID, y.AccessKeyID) })
}
