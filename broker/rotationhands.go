// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// hands do what a rotation decides, with workers, the index and the journal.
type hands struct {
	b *Broker
	r *rotator
}

var _ rotation.Hands = hands{}

// Now implements rotation.Hands: journals are held against the dates of IAM.
func (h hands) Now() time.Time { return h.b.opts.Clock.Now().Add(h.b.clockOffset()) }

// Save implements rotation.Hands.
func (h hands) Save(_ context.Context, j rotation.Journal) error {
	data, err := j.Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(h.b.journalFile(j.ID), append(data, '\n'), 0o600); err != nil {
		return fail(ipc.StorageCode(err), "", "write the journal of a rotation: %v", err)
	}
	return nil
}

// plan returns how the key of a rotation comes to a session: of the key that the
// index names now, and without the roles that its profile may have beside it.
func (h hands) plan(j rotation.Journal) (*plan, error) {
	pl, err := h.b.planner()
	if err != nil {
		return nil, err
	}
	if j.Creating() {
		return pl.ofKey(j.Maker.Using)
	}
	return pl.ofKey(j.Places[0].Profile)
}

// ofKey returns the plan of a session with the key of a profile, whatever the
// profile itself is for.
func (pl *planner) ofKey(profile string) (*plan, error) {
	key, ok := pl.keys[profile]
	if !ok {
		return nil, fail(ipc.CodeNoKey, "list the stored keys: broker list", "no key is stored for profile %s", profile)
	}
	if p, err := pl.plan(profile); err == nil && p.owner == profile {
		p.roles = nil
		return p, nil
	}
	route := awsconfig.Route{Path: []awsconfig.ProfileSettings{{Profile: profile}}}
	return &plan{
		profile: profile, owner: profile, key: key, aws: pl.endpoint(route, key), duration: pl.sessionDuration(route.Profile()),
		minRemaining: pl.settings.Sessions.MinRemaining, id: sessionID{key.AccessKeyID, key.SerialNumber},
	}, nil
}

// signer returns what a call of IAM is signed with: a session with MFA, since
// policies demand that of whoever changes keys; or, for a user without a device,
// the key itself, because AWS lets no other session call IAM.
func (h hands) signer(ctx context.Context, j rotation.Journal) (ipc.IAMParams, error) {
	p, err := h.plan(j)
	if err != nil {
		return ipc.IAMParams{}, err
	}
	if err := h.b.servable(p); err != nil {
		return ipc.IAMParams{}, err
	}
	if err := h.b.reach(ctx, p); err != nil { // what a journal says of time is by AWS's clock
		return ipc.IAMParams{}, err
	}
	params := ipc.IAMParams{ItemParams: h.b.item(p), UserName: j.UserName}
	if p.id.serial == "" {
		return params, nil
	}
	e, err := h.session(ctx, p)
	if err != nil {
		return ipc.IAMParams{}, err
	}
	document, err := e.creds.Encode()
	if err != nil {
		return ipc.IAMParams{}, err
	}
	params.Session = document
	return params, nil
}

// session returns the session of a key's user, and asks for a code if somebody
// is there to give one.
func (h hands) session(ctx context.Context, p *plan) (*entry, error) {
	h.b.rotations.mu.Lock()
	asker, j := h.r.askerLocked(), h.r.journal
	h.b.rotations.mu.Unlock()
	if asker == nil {
		if e := h.b.warm(p); e != nil {
			return e, nil
		}
		return nil, fail(ipc.CodeMFARequired, "give a code: "+j.ResumeCommand(),
			"%s: it waits for a session with an MFA code", j.What())
	}
	return h.b.sessionToSign(ctx, p, *asker)
}

// refused drops a session that AWS does not take any more.
func (h hands) refused(j rotation.Journal, err error) {
	if !hasCode(err, ipc.CodeAWSExpired, ipc.CodeAWSKeyUnknown) { // unknown: the key that it was made with is gone
		return
	}
	if p, perr := h.plan(j); perr == nil {
		h.b.mu.Lock()
		if h.b.sessions[p.id] != nil {
			delete(h.b.sessions, p.id)
			h.b.refused[p.id.accessKeyID] = true
		}
		h.b.mu.Unlock()
	}
}

// iam makes one call of IAM.
func (h hands) iam(ctx context.Context, j rotation.Journal, call func(ipc.IAMParams) error) error {
	params, err := h.signer(ctx, j)
	if err == nil {
		err = call(params)
		h.refused(j, err)
	}
	return judged(err)
}

// ListKeys implements rotation.Hands.
func (h hands) ListKeys(ctx context.Context, j rotation.Journal) ([]rotation.Key, error) {
	var keys []rotation.Key
	err := h.iam(ctx, j, func(p ipc.IAMParams) error {
		states, err := h.b.opts.Worker.ListKeys(ctx, p)
		if err != nil {
			return err
		}
		stored, err := h.b.index.snapshot()
		if err != nil {
			return err
		}
		keys = keysOf(states, stored)
		return lastUseKnown(j, states)
	})
	return keys, err
}

// Prepare implements rotation.Hands.
func (h hands) Prepare(ctx context.Context, j rotation.Journal) error {
	if err := h.b.opened(); err != nil {
		return judged(err)
	}
	return judged(h.b.opts.Worker.Seal(ctx, ipc.SealParams{Store: h.store(), Seal: j.Seal}))
}

func (h hands) store() ipc.Store { return h.b.files.current().store(h.b.opts) }

func (h hands) sealed(j rotation.Journal) ipc.Sealed {
	return ipc.Sealed{Seal: j.Seal, File: h.b.sealedFile(j.ID), Rotation: j.ID}
}

func placesOf(j rotation.Journal) []ipc.KeyPlace {
	var places []ipc.KeyPlace
	for _, p := range j.Places {
		places = append(places, ipc.KeyPlace{Profile: p.Profile, Item: p.NewItem})
	}
	return places
}

// choice is what the user said of MFA, which the new key inherits.
func (h hands) choice(j rotation.Journal) ipc.MFAChoice {
	if m := j.Maker; m != nil {
		return ipc.MFAChoice{SerialNumber: m.SerialNumber, NoMFA: m.NoMFA}
	}
	keys, err := h.b.index.snapshot()
	if err != nil {
		return ipc.MFAChoice{}
	}
	key := keys[j.Places[0].Profile]
	return ipc.MFAChoice{SerialNumber: key.SerialNumber, NoMFA: key.NoMFA}
}

// CreateKey implements rotation.Hands. Once it has begun, nothing that happens
// to the daemon's own plans may end it.
func (h hands) CreateKey(ctx context.Context, j rotation.Journal) (string, error) {
	params, err := h.signer(ctx, j)
	if err != nil {
		return "", judged(err)
	}
	if h.r.turned() { // while a code was waited for
		return "", &rotation.Error{Kind: rotation.Refused, Code: string(ipc.CodeRefused), Err: fmt.Errorf("%s: it was taken back", j.What())}
	}
	made, err := h.b.opts.Worker.CreateKey(context.WithoutCancel(ctx), ipc.CreateKeyParams{
		IAMParams: params, Sealed: h.sealed(j), AccountID: j.AccountID, ARN: j.ARN, Places: placesOf(j), MFAChoice: h.choice(j),
	})
	if err != nil {
		h.refused(j, err)
		return "", judgedOnce(err)
	}
	if made.StoreError != nil {
		return made.AccessKeyID, judged(made.StoreError)
	}
	return made.AccessKeyID, nil
}

// Sealed implements rotation.Hands.
func (h hands) Sealed(ctx context.Context, j rotation.Journal) (string, error) {
	key, err := h.b.opts.Worker.SealedKey(ctx, ipc.SealedKeyParams{Sealed: h.sealed(j)})
	return key.AccessKeyID, judged(err)
}

// Store implements rotation.Hands.
func (h hands) Store(ctx context.Context, j rotation.Journal) error {
	if err := h.b.opened(); err != nil {
		return judged(err)
	}
	stored, err := h.b.opts.Worker.StoreKey(ctx, ipc.StoreKeyParams{
		Sealed: h.sealed(j), Store: h.store(), AccessKeyID: j.New, AccountID: j.AccountID, ARN: j.ARN,
		Places: placesOf(j), MFAChoice: h.choice(j),
	})
	if err == nil && stored.Spoilt != nil {
		return spoiltItem(stored.Spoilt)
	}
	return judged(err)
}

// itemOf returns a stored key of a rotation, whatever the index says of it.
func (h hands) itemOf(j rotation.Journal, accessKeyID string) (ipc.ItemParams, error) {
	p, err := h.plan(j)
	if err != nil {
		return ipc.ItemParams{}, err
	}
	item := h.b.item(p)
	item.Profile, item.AccessKeyID, item.Item = j.Places[0].Profile, accessKeyID, j.Places[0].OldItem
	if accessKeyID == j.New {
		item.Item = j.Places[0].NewItem
	}
	return item, nil
}

// Try implements rotation.Hands.
func (h hands) Try(ctx context.Context, j rotation.Journal, accessKeyID string) error {
	item, err := h.itemOf(j, accessKeyID)
	if err == nil {
		err = h.b.opened()
	}
	if err == nil {
		err = h.b.opts.Worker.VerifyKey(ctx, ipc.VerifyKeyParams{ItemParams: item, ARN: j.ARN})
	}
	switch {
	case hasCode(err, ipc.CodeAWSKeyUnknown, ipc.CodeAWSSecret):
		return &rotation.Error{Kind: rotation.Later, Code: string(coded(err).Code), Err: fmt.Errorf("%w: %w", rotation.ErrNotYet, err)}
	case hasCode(err, ipc.CodeKeychainCorrupt):
		return spoiltItem(coded(err))
	case hasCode(err, ipc.CodeKeyInvalid):
		return &rotation.Error{Kind: rotation.Refused, Code: string(ipc.CodeKeyInvalid), Err: fmt.Errorf("%w: %w", rotation.ErrMismatch, err)}
	}
	return judged(err)
}

// named reports whether the index has a key in all places of a rotation.
func (h hands) named(j rotation.Journal, accessKeyID string) bool {
	keys, err := h.b.index.snapshot()
	return err == nil && !slices.ContainsFunc(j.Places, func(p rotation.Place) bool {
		item := p.NewItem
		if accessKeyID == j.Old {
			item = p.OldItem
		}
		return keys[p.Profile].Item != item
	})
}

// Switch implements rotation.Hands. Sessions that were made with the other key
// are of the same user: they go on serving, so that nobody is asked again.
func (h hands) Switch(ctx context.Context, j rotation.Journal, accessKeyID string) error {
	if h.named(j, accessKeyID) {
		return nil
	}
	if j.Creating() {
		return h.enter(ctx, j)
	}
	from := j.Old
	if accessKeyID == j.Old {
		from = j.New
	}
	err := h.b.index.update(func(s *state) error {
		for _, p := range j.Places {
			have, ok := s.Keys[p.Profile]
			if !ok || have.Item != p.OldItem && have.Item != p.NewItem {
				return fail(ipc.CodeKeyExists, "", "profile %s has another key by now", p.Profile)
			}
			have.AccessKeyID, have.Item = accessKeyID, p.NewItem
			if accessKeyID == j.Old {
				have.Item = p.OldItem
			} else {
				have.AddedAt = h.b.opts.Clock.Now().UTC()
			}
			s.Keys[p.Profile] = have
		}
		s.switchFacts(from, accessKeyID, accessKeyID == j.Old, h.Now().UTC())
		return nil
	})
	if err != nil {
		return judged(err)
	}
	h.b.rename(from, accessKeyID)
	h.b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "key switched", slog.String("from", from), slog.String("access_key_id", accessKeyID))
	return nil
}

// SetActive implements rotation.Hands.
func (h hands) SetActive(ctx context.Context, j rotation.Journal, accessKeyID string, active bool) error {
	call := func(p ipc.IAMParams) error {
		return h.b.opts.Worker.SetKeyStatus(ctx, ipc.KeyStatusParams{TargetParams: ipc.TargetParams{IAMParams: p, Target: accessKeyID}, Active: active})
	}
	if active {
		return h.iam(ctx, j, call)
	}
	return h.takeOut(ctx, j, accessKeyID, call)
}

// DeleteKey implements rotation.Hands.
func (h hands) DeleteKey(ctx context.Context, j rotation.Journal, accessKeyID string) error {
	return h.takeOut(ctx, j, accessKeyID, func(p ipc.IAMParams) error {
		return h.b.opts.Worker.DeleteKey(ctx, ipc.TargetParams{IAMParams: p, Target: accessKeyID})
	})
}

// Tell implements rotation.Hands.
func (h hands) Tell(ctx context.Context, j rotation.Journal, accessKeyID string) error {
	command := h.b.files.current().settings.Rotation.OnRotate
	if len(command) == 0 {
		return nil
	}
	item, err := h.itemOf(j, accessKeyID)
	if err != nil {
		return judged(err)
	}
	environ, err := h.b.commandEnviron()
	if err != nil {
		h.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "on_rotate runs with the daemon's environment", slog.Any("error", err))
	}
	for _, p := range j.Places {
		item.Profile, item.Item = p.Profile, p.OldItem
		if accessKeyID == j.New {
			item.Item = p.NewItem
		}
		if err := h.b.opts.Worker.OnRotate(ctx, ipc.OnRotateParams{ItemParams: item, Command: command, Environ: environ}); err != nil {
			return judged(err)
		}
	}
	return nil
}

// Forget implements rotation.Hands. From the moment that it is in the index, it
// is done for: what the vault keeps is tried again each minute.
func (h hands) Forget(ctx context.Context, j rotation.Journal, items []string) error {
	err := h.b.index.update(func(s *state) error {
		for profile, have := range s.Keys {
			if slices.Contains(items, have.Item) {
				return fail(ipc.CodeInternal, "", "profile %s uses the key that was to be forgotten", profile)
			}
		}
		for _, item := range items {
			s.spare(item)
			s.Doomed = append(s.Doomed, doom(j, item))
		}
		return nil
	})
	if err != nil {
		return judged(err)
	}
	if err := os.Remove(h.b.sealedFile(j.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return judged(fail(ipc.StorageCode(err), "", "delete the sealed key: %v", err))
	}
	h.b.dropUnowned()
	h.b.deleteDoomed(ctx)
	return nil
}
