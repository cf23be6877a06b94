// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"slices"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// opReserve names a place in the vault for a key that the client is about to
// store. Nothing is written: a reservation that is not used costs nothing.
func (b *Broker) opReserve(_ context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.ReserveParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	pl, err := b.planner()
	if err != nil {
		return nil, err
	}
	if err := checkKey(pl.keys, params.Profile, params.AccessKeyID, params.Replace); err != nil {
		return nil, err
	}
	if err := b.opened(); err != nil {
		return nil, wrap(err, "store key %s of profile %s", params.AccessKeyID, params.Profile)
	}
	r := ipc.Reservation{Item: newItem(), Store: b.files.current().store(b.opts)}
	b.strays.promise(r.Item, b.opts.Clock.Boot())
	// The key counts as the profile's already, so that its route ends there.
	has := func(profile string) (string, bool) {
		if profile == params.Profile {
			return params.AccessKeyID, true
		}
		return pl.hasKey(profile)
	}
	// A profile that contradicts itself is no reason not to store its key.
	route, err := pl.aws.Route(params.Profile, has)
	if err != nil {
		route = awsconfig.Route{Path: []awsconfig.ProfileSettings{{Profile: params.Profile}}}
	}
	r.AWS = pl.endpoint(route, record{})
	r.AWS.ClockOffset = int(b.offset.Load())
	_, region := pl.region(route)
	r.SerialNumber, r.Region = pl.serialOf(route.Profile()).value, region.value
	return r, nil
}

// checkKey reports why a key cannot be stored under a profile.
func checkKey(keys map[string]record, profile, accessKeyID string, replace bool) error {
	if err := awsconfig.ValidProfileName(profile); err != nil {
		return err
	}
	if !keyShape.MatchString(accessKeyID) {
		return fail(ipc.CodeKeyInvalid, "it begins with AKIA", "the access key ID for profile %s is not that of a long-lived key", profile)
	}
	if have, ok := keys[profile]; ok && have.AccessKeyID != accessKeyID && !replace {
		return fail(ipc.CodeKeyExists, "to put the new key in its place: broker add "+profile+" --replace",
			"profile %s has key %s already", profile, have.AccessKeyID)
	}
	return nil
}

// opAdopt enters an item that a worker has stored. A replaced key leaves the
// index first and the vault after that: a crash in between leaves an item too
// many, never one too few.
func (b *Broker) opAdopt(ctx context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.AdoptParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if _, err := b.keys(); err != nil {
		return nil, err
	}
	var old, now record
	b.beginning.Lock() // no rotation counts the profiles of a key meanwhile
	err := b.index.update(func(s *state) error {
		if err := checkAdoption(s.Keys, params); err != nil {
			return err
		}
		old, now = s.Keys[params.Profile], b.newRecord(params, s.Keys)
		if err := b.mayLose(params.Profile, old); err != nil {
			return err
		}
		if err := b.notRotating(params.Profile, now); err != nil {
			return err
		}
		if err := b.notGoing(params.Profile, now.AccessKeyID); err != nil {
			return err
		}
		s.Keys[params.Profile] = now
		s.spare(now.Item)
		if old.Item != "" && old.Item != now.Item {
			s.condemn(params.Profile, old)
		}
		return nil
	})
	b.beginning.Unlock()
	if err != nil {
		return nil, err
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "key stored", slog.String("profile", params.Profile), slog.String("access_key_id", now.AccessKeyID))
	b.strays.forget(now.Item)
	if old.Item != "" {
		b.abandonRotation(old.AccessKeyID)
		b.withdrawNotice(old.AccessKeyID)
	}
	b.dropUnowned()
	b.deleteDoomed(ctx)
	return now.key(params.Profile), nil
}

func checkAdoption(keys map[string]record, p ipc.AdoptParams) error {
	if err := checkKey(keys, p.Profile, p.AccessKeyID, p.Replace); err != nil {
		return err
	}
	if !itemShape.MatchString(p.Item) {
		return fail(ipc.CodeUsage, "", "the item for profile %s has a name that broker does not give", p.Profile)
	}
	for profile, have := range keys {
		if have.Item == p.Item && profile != p.Profile {
			return fail(ipc.CodeUsage, "", "the item for profile %s belongs to profile %s", p.Profile, profile)
		}
	}
	return nil
}

// newRecord keeps the day on which a key was first stored, and whose it is: a
// key is of one user for ever, and who stores it again need not ask AWS.
func (b *Broker) newRecord(p ipc.AdoptParams, keys map[string]record) record {
	r := record{
		AccessKeyID: p.AccessKeyID, Item: p.Item, AccountID: p.AccountID, ARN: p.ARN, UserName: p.UserName,
		SerialNumber: p.SerialNumber, NoMFA: p.NoMFA, Region: p.Region, AddedAt: b.opts.Clock.Now().UTC(),
	}
	if have, ok := keys[p.Profile]; ok && have.AccessKeyID == p.AccessKeyID {
		r.AddedAt = have.AddedAt
		if r.AccountID == "" {
			r.AccountID, r.ARN, r.UserName = have.AccountID, have.ARN, have.UserName
		}
	}
	return r
}

// opRemove forgets a key. The item is marked first: from then on it is deleted,
// now or after a restart. It leaves the index when the vault no longer has it.
func (b *Broker) opRemove(ctx context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.RemoveParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if _, err := b.keys(); err != nil {
		return nil, err
	}
	if params.Item != "" {
		return b.removeStray(ctx, params)
	}
	var key record
	err := b.index.update(func(s *state) error {
		var ok bool
		if key, ok = s.Keys[params.Profile]; !ok {
			return fail(ipc.CodeNoKey, "list the stored keys: broker list", "no key is stored for profile %s", params.Profile)
		}
		if err := b.mayLose(params.Profile, key); err != nil {
			return err
		}
		s.condemn(params.Profile, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d := doomed{params.Profile, key.AccessKeyID, key.Item}
	if err := b.deleteItem(ctx, d, false); err != nil {
		if hasCode(err, ipc.CodeKeychainLocked, ipc.CodeKeychainDenied, ipc.CodeKeychainGone, ipc.CodeWrongPassphrase,
			ipc.CodeDiskFull, ipc.CodeReadOnly) {
			// The store did nothing: the key stays, and no later start may
			// delete what the user was told is there.
			if uerr := b.index.update(func(s *state) error { s.spare(d.Item); return nil }); uerr != nil {
				return nil, uerr
			}
			return nil, err
		}
		why := *coded(err) // the worker says which key it could not delete
		why.Hint = "it stays marked and is deleted as soon as the store lets it; look with: broker list"
		return nil, &why
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "key removed", slog.String("profile", params.Profile), slog.String("access_key_id", key.AccessKeyID))
	b.abandonRotation(key.AccessKeyID)
	b.withdrawNotice(key.AccessKeyID)
	b.dropUnowned()
	return key.key(params.Profile), nil
}

// condemn puts the item of a key on the list of those to be deleted.
func (s *state) condemn(profile string, r record) {
	s.spare(r.Item)
	s.Doomed = append(s.Doomed, doomed{profile, r.AccessKeyID, r.Item})
}

// spare takes an item off the list of those to be deleted.
func (s *state) spare(item string) {
	s.Doomed = slices.DeleteFunc(s.Doomed, func(d doomed) bool { return d.Item == item })
}

// deleteItem deletes one item from the vault and then from the index. silent
// is for when no user waits for it, who could be asked to unlock the vault.
func (b *Broker) deleteItem(ctx context.Context, d doomed, silent bool) error {
	store := b.files.current().store(b.opts)
	store.Silent = silent
	err := b.opts.Worker.Delete(context.WithoutCancel(ctx), ipc.ItemParams{
		Store: store, Item: d.Item, Profile: d.Profile, AccessKeyID: d.AccessKeyID,
		AWS: ipc.AWS{Region: "us-east-1"}, // a worker wants one, though nothing is called
	})
	if err != nil {
		return err
	}
	return b.index.update(func(s *state) error {
		s.spare(d.Item)
		if have, ok := s.Keys[d.Profile]; ok && have.Item == d.Item {
			delete(s.Keys, d.Profile)
		}
		return nil
	})
}

// deleteDoomed finishes what was marked. What cannot be deleted now is tried
// again later, and so no dialog may come up for it: each minute there would be
// another one.
func (b *Broker) deleteDoomed(ctx context.Context) {
	if b.opened() != nil {
		return
	}
	for _, d := range b.index.doomed() {
		if err := b.deleteItem(ctx, d, true); err != nil {
			b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "item not deleted yet", slog.String("profile", d.Profile),
				slog.String("access_key_id", d.AccessKeyID), slog.Any("error", err))
		}
	}
}

// opRestore puts what a worker found in the store in the place of the index.
func (b *Broker) opRestore(ctx context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.RestoreParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	v := b.refresh()
	if !v.settled {
		return nil, v.settingsErr
	}
	if v.settings.Vault.Backend == "" {
		return nil, v.usable()
	}
	b.beginning.Lock() // as above
	defer b.beginning.Unlock()
	before, err := b.index.snapshot()
	if err != nil {
		before = nil // that is what restore is for
	}
	if len(params.Keys) == 0 && len(before) > 0 {
		return nil, fail(ipc.CodeRefused, "see what it lacks: broker doctor; to take keys out of the index: broker remove PROFILE",
			"restore the index: the store holds none of its keys that can be read, and the index stays as it was")
	}
	keys := map[string]record{}
	for _, p := range params.Keys {
		if _, twice := keys[p.Profile]; twice {
			return nil, fail(ipc.CodeUsage, "", "profile %s is there twice", p.Profile)
		}
		if err := checkAdoption(keys, p); err != nil {
			return nil, err
		}
		keys[p.Profile] = b.newRecord(p, before)
	}
	err = b.index.replace(keys, func() error {
		for profile, key := range keys {
			if err := b.notGoing(profile, key.AccessKeyID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "index restored", slog.Int("keys", len(keys)))
	b.dropUnowned()
	return ipc.KeyList{Keys: keyList(keys)}, nil
}

// dropUnowned drops the sessions and flights of keys that the index no longer has.
func (b *Broker) dropUnowned() {
	keys, err := b.index.snapshot()
	if err != nil {
		return
	}
	owned := map[string]bool{}
	for _, r := range keys {
		owned[r.AccessKeyID] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.sessions {
		if !owned[id.accessKeyID] {
			delete(b.sessions, id)
		}
	}
	for k, e := range b.roles {
		if !owned[e.id.accessKeyID] {
			delete(b.roles, k)
		}
	}
	for id, f := range b.flights {
		if !owned[id.accessKeyID] {
			f.end(fail(ipc.CodeNoKey, "", "the key %s was removed meanwhile", id.accessKeyID))
		}
	}
}
