// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"credbroker/internal/ipc"
)

// opStatus says how things are. It works whatever is broken.
func (b *Broker) opStatus(ctx context.Context, _ ipc.Request, _ conversation) (any, error) {
	v := b.refresh()
	b.sweep()
	s := ipc.Status{
		Hello:              b.hello(),
		Backend:            v.settings.Vault.Backend,
		ConfigFile:         b.opts.Places.ConfigFile,
		StateFile:          b.opts.Places.StateFile,
		Socket:             b.opts.Places.Socket,
		AWSConfigFile:      v.files.Config,
		AWSCredentialsFile: v.files.Credentials,
		Problems:           v.problems(),
		Rotations:          b.describeRotations(),
		Pending:            []ipc.Pending{},
		Sessions:           []ipc.Session{},
		Keys:               []ipc.Key{},
	}
	s.Problems = append(s.Problems, b.rotationProblems()...)
	if _, err := b.commandEnviron(); err != nil {
		s.Problems = append(s.Problems, *coded(err))
	}
	if b.opts.Replaced != nil && b.opts.Replaced() {
		s.Problems = append(s.Problems, b.outdated())
	}
	if err := b.revoked.problem(); err != nil {
		s.Problems = append(s.Problems, *coded(err))
	}
	_, err := b.index.snapshot()
	switch {
	case err == nil:
		s.Keys = b.describeKeys(v)
		s.Reserved = b.strays.promised(b.opts.Clock.Boot())
		if strays := b.strayProblems(); v.settings.Vault.Backend == "pass" { // which machines may share
			s.Notes = append(s.Notes, strays...)
		} else {
			s.Problems = append(s.Problems, strays...)
		}
		problems, notes := b.orphans(v, s.Keys)
		s.Problems, s.Notes = append(s.Problems, problems...), append(s.Notes, notes...)
	case v.settled:
		s.Problems = append(s.Problems, *coded(err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Vault = b.vaultLocked()
	s.Prompts = b.prompts
	s.Outages = b.outagesLocked(ctx)
	for _, f := range b.flights {
		s.Pending = append(s.Pending, f.pendingLocked())
	}
	for _, e := range b.sessions {
		s.Sessions = append(s.Sessions, e.describe())
	}
	for _, e := range b.roles {
		s.Sessions = append(s.Sessions, e.describe())
	}
	slices.SortFunc(s.Pending, func(p, q ipc.Pending) int { return p.Since.Compare(q.Since) })
	slices.SortFunc(s.Sessions, func(p, q ipc.Session) int {
		return strings.Compare(p.SourceKeyID+p.RoleARN+p.AccessKeyID, q.SourceKeyID+q.RoleARN+q.AccessKeyID)
	})
	return s, nil
}

// outdated says that this daemon is not the one that is installed.
func (b *Broker) outdated() ipc.Error {
	return ipc.Error{
		Code:    ipc.CodeOutdated,
		Message: fmt.Sprintf("brokerd %s still runs, and its program was replaced or removed", b.opts.Version),
		Hint:    fmt.Sprintf("end it when a new MFA code is no trouble, the next command starts the new one: kill %d", b.opts.PID),
	}
}

// Idle reports whether nothing would be lost if the daemon ended now: there is
// no session, nobody waits for one, no rotation is on its way, and no vault would
// want its passphrase again.
func (b *Broker) Idle() bool {
	b.sweep()
	if b.onTheWay() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions)+len(b.roles)+len(b.flights)+len(b.mints) == 0 && b.vault.holder == nil
}

// keyList returns the keys sorted by profile.
func keyList(keys map[string]record) []ipc.Key {
	list := []ipc.Key{}
	for _, profile := range slices.Sorted(maps.Keys(keys)) {
		list = append(list, keys[profile].key(profile))
	}
	return list
}

func (b *Broker) opList(context.Context, ipc.Request, conversation) (any, error) {
	if _, err := b.keys(); err != nil {
		return nil, err
	}
	return ipc.KeyList{Keys: b.describeKeys(b.files.current())}, nil
}

// keys returns the index, whatever the AWS files say.
func (b *Broker) keys() (map[string]record, error) {
	if v := b.refresh(); !v.settled {
		return nil, v.settingsErr
	}
	return b.index.snapshot()
}

// opServes names the profiles whose plan starts at a stored key, and says of
// the one that it is asked about whether a session is there.
func (b *Broker) opServes(_ context.Context, _ ipc.Request, c conversation) (any, error) {
	var about ipc.CredentialsParams
	if err := c.Decode(&about); err != nil {
		return nil, err
	}
	pl, err := b.planner()
	if err != nil {
		return nil, err
	}
	names := append(pl.aws.Profiles(), slices.Collect(maps.Keys(pl.keys))...)
	slices.Sort(names)
	served := []string{}
	for _, name := range slices.Compact(names) {
		if _, err := pl.aws.Route(name, pl.hasKey); err == nil {
			served = append(served, name)
		}
	}
	files := b.files.current().files
	return ipc.Serves{
		Ready:         about.Profile != "" && b.isReady(pl, about),
		AWSConfigFile: files.Config, AWSCredentialsFile: files.Credentials,
		Profiles: served, OverlayDir: b.opts.Places.OverlayDir,
	}, nil
}

// isReady reports whether a request would be answered from memory.
func (b *Broker) isReady(pl *planner, about ipc.CredentialsParams) bool {
	p, err := pl.plan(about.Profile)
	if err != nil || p.key.AccountID == "" {
		return false
	}
	p, err = p.lasting(about, false)
	return err == nil && b.ready(p) != nil
}

// pendingLocked describes the flight for status.
func (f *flight) pendingLocked() ipc.Pending {
	p := ipc.Pending{
		SerialNumber: f.plan.id.serial, AccessKeyID: f.plan.id.accessKeyID, Profiles: []string{},
		Waiters: len(f.waiters), Attempt: max(f.attempt, 1), Reason: f.reason, Surface: firstOf(f.asking, surfaceWait),
		Since: f.since.UTC(), Deadline: f.deadline.UTC(),
	}
	for w := range f.waiters {
		if !slices.Contains(p.Profiles, w.profile) {
			p.Profiles = append(p.Profiles, w.profile)
		}
	}
	if len(p.Profiles) == 0 {
		p.Profiles = append(p.Profiles, f.plan.profile)
	}
	slices.Sort(p.Profiles)
	return p
}
