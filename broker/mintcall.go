// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"credbroker/internal/ipc"
)

// awsOf says how to reach AWS for p, with the clock offset as it is known now.
func (b *Broker) awsOf(p *plan) ipc.AWS {
	to := p.aws
	to.ClockOffset = int(b.offset.Load())
	return to
}

func (b *Broker) item(p *plan) ipc.ItemParams {
	return ipc.ItemParams{
		Store: b.files.current().store(b.opts), Item: p.key.Item, Profile: p.owner,
		AccessKeyID: p.key.AccessKeyID, AWS: b.awsOf(p),
	}
}

// reach makes sure that AWS answers and learns how far its clock is off.
func (b *Broker) reach(ctx context.Context, p *plan) error {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	offset, err := b.opts.STS.Reach(ctx, b.awsOf(p))
	if err != nil || !b.blocked(p) {
		err = b.note(ctx, p, err)
	}
	if err != nil {
		return wrap(err, "profile %s", p.profile)
	}
	b.offset.Store(int64(offset.Round(time.Second) / time.Second))
	b.drift.Store(int64(b.driftNow()))
	return nil
}

// clockMoved reports whether somebody set the wall clock since AWS was reached:
// then the offset means nothing any more, and an Expiration neither.
func (b *Broker) clockMoved() bool {
	return (b.driftNow() - time.Duration(b.drift.Load())).Abs() > 2*time.Second
}

// driftNow returns how far the wall clock is ahead of the boot clock.
func (b *Broker) driftNow() time.Duration {
	return time.Duration(b.opts.Clock.Now().UnixNano()) - b.opts.Clock.Boot()
}

// identify learns whose key it is that was stored without asking, and returns
// the plan that follows from it.
func (b *Broker) identify(ctx context.Context, p *plan, c caller) (*plan, error) {
	if err := b.mayWait(p, c); err != nil {
		return nil, err
	}
	type identity string // a name of its own among the shared calls
	_, err := b.share(ctx, identity(p.key.Item), func(ctx context.Context) (*entry, error) {
		if err := b.opened(); err != nil {
			return nil, err
		}
		if err := b.reach(ctx, p); err != nil {
			return nil, err
		}
		id, err := b.opts.Worker.CallerIdentity(ctx, b.item(p))
		if err := b.noteKey(ctx, p, err); err != nil {
			return nil, wrap(err, "identify key %s of profile %s", p.key.AccessKeyID, p.owner)
		}
		key := p.key
		key.AccountID, key.ARN, key.UserName = id.AccountID, id.ARN, id.UserName
		return nil, b.index.learn(p.owner, key)
	})
	if err != nil {
		return nil, err
	}
	pl, err := b.planner()
	if err != nil {
		return nil, err
	}
	return pl.plan(p.profile)
}

// prepare does what can go wrong before a code is spent: it reaches AWS, and
// asks whether the user has the device, if that is not the recorded one.
func (b *Broker) prepare(ctx context.Context, p *plan) error {
	if err := b.reach(ctx, p); err != nil {
		return err
	}
	if p.id.serial == "" || p.id.serial == p.key.SerialNumber {
		return nil
	}
	found, err := b.opts.Worker.ListMFADevices(ctx, b.item(p))
	if err != nil {
		// A user need not have the permission to ask; then AWS will tell.
		b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "MFA devices not listed",
			slog.String("access_key_id", p.key.AccessKeyID), slog.Any("error", err))
		return nil
	}
	return foreignDevice(p, found.Devices)
}

// foreignDevice refuses the MFA device of p unless it is one of its user's, and
// names those.
func foreignDevice(p *plan, devices []ipc.MFADevice) error {
	var all []string
	hint := "add a virtual MFA device to the user in the IAM console"
	for _, d := range devices {
		if d.SerialNumber == p.id.serial {
			return nil
		}
		all = append(all, d.SerialNumber)
		if len(all) == 1 || !strings.Contains(d.SerialNumber, ":u2f/") {
			hint = "name one of them, in broker's config: [profile " + p.owner + "] mfa_serial = " + d.SerialNumber
		}
	}
	return fail(ipc.CodeMFASerial, hint, "profile %s: MFA device %s does not belong to %s, who has %s",
		p.profile, p.id.serial, firstOf(p.key.ARN, p.key.AccessKeyID), firstOf(strings.Join(all, ", "), "none"))
}

// replacedDevice adds to an error of AWS for an MFA device which ones the user
// has now, if that can be asked.
func (b *Broker) replacedDevice(ctx context.Context, p *plan, err *ipc.Error) *ipc.Error {
	found, lerr := b.opts.Worker.ListMFADevices(ctx, b.item(p))
	if lerr != nil {
		return err
	}
	if foreign := foreignDevice(p, found.Devices); foreign != nil {
		e := *coded(foreign)
		e.Spent = err.Spent
		return &e
	}
	return err
}

// sessionToken makes one GetSessionToken call, with code if that is not empty,
// and caches what it brings. lock is that of lockOf when it was begun.
func (b *Broker) sessionToken(ctx context.Context, p *plan, code string, lock uint64) (*entry, error) {
	p, ok := b.current(p)
	if !ok {
		return nil, removedMeanwhile(p)
	}
	if err := b.servable(p); err != nil {
		return nil, err
	}
	params := ipc.SessionTokenParams{ItemParams: b.item(p), DurationSeconds: int(p.duration / time.Second)}
	if code != "" {
		params.SerialNumber, params.TokenCode = p.id.serial, code
	}
	creds, err := b.opts.Worker.SessionToken(ctx, params)
	if hasCode(err, ipc.CodeAWSKeyUnknown) {
		err = b.explainUnknown(p, *coded(err))
	}
	if err := b.noteKey(ctx, p, err); err != nil {
		e := *coded(err) // the worker says of which key and profile
		if e.Code == ipc.CodeKeychainCorrupt && e.Hint == "" {
			e.Hint = "if the index is older than the store: broker recover; else store the key again: broker add " + p.owner + " --replace"
		}
		if e.Code == ipc.CodeMFASerial {
			return nil, b.replacedDevice(ctx, p, &e)
		}
		return nil, &e
	}
	e, err := b.accept(creds, p.key.AccountID, p.duration)
	if err != nil {
		e := wrap(err, "get a session for key %s of profile %s", p.key.AccessKeyID, p.owner)
		e.Spent = code != ""
		return nil, e
	}
	now, ok := b.current(p) // it may have been switched during the call
	if !ok {
		e := removedMeanwhile(p)
		e.Spent = code != ""
		return nil, e
	}
	e.id, e.lock = now.id, lock
	err = b.keep(e, p.profile, func() {
		// Of two that were made at the same time the longer one serves both.
		if have := b.sessions[e.id]; !have.valid(b.opts.Clock) || have.left(b.opts.Clock) <= e.left(b.opts.Clock) {
			b.sessions[e.id] = e
			delete(b.refused, e.id.accessKeyID)
			b.wakeRotations()
		}
	})
	if err != nil {
		e := *coded(err)
		e.Spent = code != ""
		return nil, &e
	}
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "session made", slog.String("profile", p.owner),
		slog.String("source_key_id", p.key.AccessKeyID), slog.String("access_key_id", e.creds.AccessKeyID), slog.Time("expiration", e.creds.Expiration))
	b.learnSoon(ctx)
	return e, nil
}

// keep has enter put e into the cache, unless it was dropped before it came.
func (b *Broker) keep(e *entry, profile string, enter func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.standsLocked(e, profile)
	if err == nil {
		enter()
		b.issued[e.creds.AccessKeyID] = e.describe()
	}
	return err
}

// current returns p with its key as the index has it now. While a code was
// waited for, the key may have been stored again, in another item, or removed
// from this profile and still be there under another, or a rotation may have put
// another key in its place. It reports false, and returns p, if the key is gone.
func (b *Broker) current(p *plan) (*plan, bool) {
	keys, err := b.index.snapshot()
	if err != nil {
		return p, false
	}
	profiles := append([]string{p.owner}, slices.Sorted(maps.Keys(keys))...)
	for id := p.key.AccessKeyID; id != ""; id = b.switchedTo(id) {
		for _, profile := range profiles {
			if key, ok := keys[profile]; ok && key.AccessKeyID == id {
				now := *p
				now.owner, now.key, now.id.accessKeyID = profile, key, id
				return &now, true
			}
		}
	}
	return p, false
}

func removedMeanwhile(p *plan) *ipc.Error {
	return fail(ipc.CodeNoKey, "", "key %s of profile %s was removed meanwhile", p.key.AccessKeyID, p.owner)
}
