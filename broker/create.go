// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"

	"credbroker/broker/rotation"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// opCreate makes a new key for a profile that has none. It is a rotation without
// an old key, with the same journal, and goes on whoever leaves.
func (b *Broker) opCreate(ctx context.Context, r ipc.Request, c conversation) (any, error) {
	var params ipc.CreateParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if err := awsconfig.ValidProfileName(params.Profile); err != nil {
		return nil, err
	}
	if err := b.opened(); err != nil {
		return nil, wrap(err, "make a key for profile %s", params.Profile)
	}
	asker := callerOf(r, c)
	asker.answers = true
	if asker.sit != nil {
		if err := asker.sit(); err != nil {
			return nil, err
		}
	}
	var made ipc.Rotation
	var err error
	if rot := b.creating(params.Profile); rot != nil { // whoever asks again wants it to go on
		made, err = rot.steer(ctx, c, &asker, false)
	} else {
		if rot, err = b.beginCreation(ctx, params, &asker); err != nil {
			return nil, err
		}
		defer rot.left(&asker)
		made, err = rot.follow(ctx, c)
	}
	if err == nil && made.State == string(rotation.Undone) {
		err = fail(ipc.CodeNoKey, "to begin anew: broker add "+params.Profile+" --create", "make a key for profile %s: it was taken back meanwhile", params.Profile)
	}
	return made, err
}

// steer has a rotation go on, or back, and stays to see how that goes.
func (r *rotator) steer(ctx context.Context, c conversation, asker *caller, undo bool) (ipc.Rotation, error) {
	r.watchedBy(asker)
	defer r.left(asker)
	if err := r.command(ctx, undo); err != nil {
		return ipc.Rotation{}, err
	}
	return r.follow(ctx, c)
}

// creating returns the creation of a key for a profile, or nil.
func (b *Broker) creating(profile string) *rotator {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		if r.journal.Creating() && r.journal.Places[0].Profile == profile {
			return r
		}
	}
	return nil
}

// beginCreation writes the journal of a creation and has it carried out.
func (b *Broker) beginCreation(ctx context.Context, params ipc.CreateParams, asker *caller) (*rotator, error) {
	maker, err := b.maker(ctx, params, *asker)
	if err != nil {
		return nil, err
	}
	b.beginning.Lock()
	defer b.beginning.Unlock()
	if rot := b.creating(params.Profile); rot != nil {
		rot.watchedBy(asker)
		return rot, nil
	}
	if err := b.userFree(maker.UserName, maker.AccountID, "make a key for profile "+params.Profile); err != nil {
		return nil, err
	}
	j, err := rotation.PlanCreation(randomID(), maker, newItem(), params.Profile, newItem(), b.opts.Clock.Now())
	if err != nil {
		return nil, err
	}
	return b.begin(ctx, j, asker, hands{b, nil}.Save)
}

// maker finds out who asks IAM for a key, and for whose.
func (b *Broker) maker(ctx context.Context, params ipc.CreateParams, c caller) (rotation.Maker, error) {
	keys, err := b.keys()
	if err != nil {
		return rotation.Maker{}, err
	}
	if have, ok := keys[params.Profile]; ok {
		return rotation.Maker{}, fail(ipc.CodeKeyExists, "to put a new key in its place: broker rotate "+params.Profile,
			"profile %s has key %s already", params.Profile, have.AccessKeyID)
	}
	using, err := b.using(params, keys)
	if err != nil {
		return rotation.Maker{}, err
	}
	p, err := b.keyPlan(ctx, using, c)
	if err == nil {
		err = b.servable(p)
	}
	if err != nil {
		return rotation.Maker{}, err
	}
	m := rotation.Maker{Using: p.owner, UserName: params.UserName, SerialNumber: params.SerialNumber, NoMFA: params.NoMFA, Region: p.key.Region}
	if m.UserName == "" || m.UserName == p.key.UserName {
		if p.key.UserName == "" {
			return rotation.Maker{}, fail(ipc.CodeKeyInvalid, "name the user: broker add "+params.Profile+" --create --user NAME", "key %s is not of an IAM user", p.key.AccessKeyID)
		}
		m.UserName, m.AccountID, m.ARN = p.key.UserName, p.key.AccountID, p.key.ARN
		if m.SerialNumber == "" && !m.NoMFA { // the device of a user is that of all keys of it
			m.SerialNumber, m.NoMFA = p.key.SerialNumber, p.key.NoMFA
		}
	}
	return m, nil
}

// using returns the profile that asks IAM, by default the one that the new
// profile takes its credentials from so far, or the only one there is.
func (b *Broker) using(params ipc.CreateParams, keys map[string]record) (string, error) {
	if params.Using != "" {
		return params.Using, nil
	}
	pl, err := b.planner()
	if err != nil {
		return "", err
	}
	if p, err := pl.plan(params.Profile); err == nil {
		return p.owner, nil
	}
	if len(keys) == 1 {
		for profile := range keys {
			return profile, nil
		}
	}
	return "", fail(ipc.CodeUsage, "name one that has a key: broker add "+params.Profile+" --create --using PROFILE",
		"broker has %d keys: it cannot tell which one is to ask IAM for the key of profile %s", len(keys), params.Profile)
}

// enter makes the index name the new key of a creation. Whose key it is that was
// made for another user, AWS is asked when it is first used.
func (h hands) enter(ctx context.Context, j rotation.Journal) error {
	place, m := j.Places[0], j.Maker
	err := h.b.index.update(func(s *state) error {
		if have, ok := s.Keys[place.Profile]; ok {
			return fail(ipc.CodeKeyExists, "remove one of the two, then: broker add "+place.Profile+" --create",
				"profile %s has got another key meanwhile, %s", place.Profile, have.AccessKeyID)
		}
		r := record{
			AccessKeyID: j.New, Item: place.NewItem, AccountID: j.AccountID, ARN: j.ARN, SerialNumber: m.SerialNumber, NoMFA: m.NoMFA,
			Region: m.Region, AddedAt: h.b.opts.Clock.Now().UTC(),
		}
		if j.AccountID != "" {
			r.UserName = j.UserName
		}
		s.Keys[place.Profile] = r
		s.switchFacts("", j.New, false, h.Now().UTC()) // it takes the place of none
		return nil
	})
	if err != nil {
		return judged(err)
	}
	h.b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "key made", slog.String("profile", place.Profile), slog.String("access_key_id", j.New))
	return nil
}
