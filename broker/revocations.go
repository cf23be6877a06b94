// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"credbroker/internal/atomicfile"
	"credbroker/internal/ipc"
)

const (
	revocationsName    = "revocations.json" // beside state.json
	revocationsVersion = 1
	// maxRevocations is far above what the sessions of many keys need.
	maxRevocations = 4 << 20
)

// revocation is what is known of one revoked key. It holds no secret.
type revocation struct {
	AccessKeyID string    `json:"accessKeyId"`
	Profiles    []string  `json:"profiles"`
	UserName    string    `json:"userName,omitempty"`
	ARN         string    `json:"arn,omitempty"`
	RevokedAt   time.Time `json:"revokedAt"`
	// Inactive says that IAM has made the key Inactive, or that AWS does not
	// take it. WasInactive says that it was so before, and is to stay so.
	Inactive    bool `json:"inactive,omitempty"`
	WasInactive bool `json:"wasInactive,omitempty"`
	// DenyBefore is set before IAM is asked for the policy, and Denied when IAM
	// has it: what is in between may be there.
	DenyBefore *time.Time    `json:"denyBefore,omitempty"`
	Denied     bool          `json:"denied,omitempty"`
	Sessions   []ipc.Session `json:"sessions,omitempty"` // that were made with it
}

// user names whose key it is; keys of one user are revoked together.
func (r revocation) user() string { return firstOf(r.ARN, r.AccessKeyID) }

func (r revocation) describe(now time.Time) ipc.RevokedKey {
	at := r.RevokedAt.UTC()
	out := ipc.RevokedKey{
		AccessKeyID: r.AccessKeyID, Profiles: slices.Sorted(slices.Values(r.Profiles)), UserName: r.UserName,
		RevokedAt: &at, Inactive: r.Inactive, Sessions: []ipc.Session{},
	}
	if r.Denied {
		before := r.DenyBefore.UTC()
		out.DeniedBefore = &before
	}
	for _, s := range r.Sessions {
		if s.Expiration.After(now) {
			out.Sessions = append(out.Sessions, s)
		}
	}
	slices.SortFunc(out.Sessions, func(x, y ipc.Session) int {
		return cmp.Or(x.Expiration.Compare(y.Expiration), cmp.Compare(x.AccessKeyID, y.AccessKeyID))
	})
	return out
}

// revocations are the revoked keys. Unlike the index, they are in memory before
// they are on the disk: to stop serving a key must not depend on a disk. What
// cannot be written is lost with the daemon, and who asked is told so.
type revocations struct {
	path string

	mu   sync.Mutex
	all  map[string]revocation // by access key ID; a value is never changed in place
	kept map[string]*entry     // by user: the session with which it can be taken back
	lost error                 // why the file cannot be read
}

func newRevocations(stateFile string) *revocations {
	x := &revocations{
		path: filepath.Join(filepath.Dir(stateFile), revocationsName),
		all:  map[string]revocation{}, kept: map[string]*entry{},
	}
	if err := x.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.lost = fail(ipc.CodeStorage, "look at each key in the IAM console, then remove the file",
			"read which keys are revoked from %s: %v", x.path, err)
	}
	return x
}

// revocationsFile is the content of the file.
type revocationsFile struct {
	V    int          `json:"v"`
	Keys []revocation `json:"keys"`
}

func (x *revocations) load() error {
	data, err := atomicfile.Read(x.path, maxRevocations)
	if err != nil {
		return err
	}
	var f revocationsFile
	if err := json.Unmarshal(data, &f); err != nil || f.V != revocationsVersion {
		return errors.New("it is not what broker writes")
	}
	for _, r := range f.Keys {
		if !keyShape.MatchString(r.AccessKeyID) || r.Denied && r.DenyBefore == nil {
			return errors.New("it has an entry that is not a key")
		}
		x.all[r.AccessKeyID] = r
	}
	return nil
}

// of returns the revocation of a key, if it is revoked.
func (x *revocations) of(accessKeyID string) (revocation, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, ok := x.all[accessKeyID]
	return r, ok
}

// list returns all of them, by access key ID.
func (x *revocations) list() []revocation {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.SortedFunc(maps.Values(x.all), func(a, b revocation) int { return cmp.Compare(a.AccessKeyID, b.AccessKeyID) })
}

// change makes a change count at once, and then durable.
func (x *revocations) change(f func(all map[string]revocation)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x.all)
	file := revocationsFile{V: revocationsVersion, Keys: []revocation{}}
	for _, id := range slices.Sorted(maps.Keys(x.all)) {
		file.Keys = append(file.Keys, x.all[id])
	}
	data, err := json.Marshal(file)
	if err == nil {
		err = atomicfile.MkdirAll(filepath.Dir(x.path), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(x.path, append(data, '\n'), 0o600)
	}
	if err != nil {
		return fail(ipc.StorageCode(err), "", "write down which keys are revoked: %v", err)
	}
	x.lost = nil
	return nil
}

// set changes what is known of one revoked key.
func (x *revocations) set(accessKeyID string, f func(*revocation)) error {
	return x.change(func(all map[string]revocation) {
		if r, ok := all[accessKeyID]; ok {
			f(&r)
			all[accessKeyID] = r
		}
	})
}

// keep keeps the session of a user with which a revocation can be taken back;
// nil forgets it.
func (x *revocations) keep(user string, e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e == nil {
		delete(x.kept, user)
		return
	}
	x.kept[user] = e
}

// session returns the kept session of a user, or nil.
func (x *revocations) session(user string) *entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.kept[user]
}

// forget drops the kept sessions of a key, or with "" all of them.
func (x *revocations) forget(accessKeyID string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	maps.DeleteFunc(x.kept, func(_ string, e *entry) bool { return accessKeyID == "" || e.id.accessKeyID == accessKeyID })
}

// problem says what is wrong with the file, or nil.
func (x *revocations) problem() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lost
}

// notRevoked refuses to make anything of a key that is revoked.
func (b *Broker) notRevoked(profile, accessKeyID string) error {
	r, ok := b.revoked.of(accessKeyID)
	if !ok {
		return nil
	}
	return fail(ipc.CodeKeyInactive, "to take it back: broker revoke "+profile+" --undo; or store another key: broker add "+profile+" --replace",
		"key %s of profile %s was revoked at %s", accessKeyID, profile, r.RevokedAt.UTC().Format(time.RFC3339))
}

// servable refuses a plan that begins at a revoked key, unless it is of the
// revocation itself.
func (b *Broker) servable(p *plan) error {
	if p.want.revokes {
		return nil
	}
	return b.notRevoked(p.owner, p.key.AccessKeyID)
}
