// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"slices"
	"time"
)

// keyQuota is how many access keys a user may have, whatever their status.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const keyQuota = 2

// endpoint is one of the places that verify signatures. Each learns of a
// change of a key in its own time.
type endpoint struct{ service, region string }

// keyRecord is what the account knows of an access key.
type keyRecord struct {
	AccessKey // its Status is the one at IAM, which knows at once
	user      *User
	changes   []keyChange      // of Status by requests, oldest first
	asked     map[endpoint]int // how often each endpoint looked while a change was on its way
}

// keyChange is a change of a key's status.
type keyChange struct {
	at  time.Time
	was string // the status before; statusDeleted before the key was made
}

// change sets the status by a request: the endpoints learn of it later.
func (k *keyRecord) change(status string, now time.Time) {
	k.changes = append(k.changes, keyChange{now, k.Status})
	k.asked = map[endpoint]int{}
	k.Status = status
}

// settle sets the status for every endpoint at once, as the knob key.ID does.
func (k *keyRecord) settle(status string) {
	k.Status, k.changes = status, nil
}

// seen returns the status of the key as an endpoint sees it. While a change is
// on its way that is the old one or, if changes flap, the new and the old one
// in turn: the first endpoint that looks sees the new one first, the second one
// the old one first.
func (k *keyRecord) seen(at endpoint, now time.Time, p propagation) string {
	old := k.Status
	for _, c := range k.changes {
		if now.Sub(c.at) < p.takes {
			old = c.was
			break
		}
	}
	if old == k.Status {
		return old
	}
	n, known := k.asked[at]
	if !known {
		n = len(k.asked)
	}
	k.asked[at] = n + 1
	if p.flaps && n%2 == 0 {
		return k.Status
	}
	return old
}

// newKeys returns the records of the keys that the users start with.
func newKeys(users []*User) []*keyRecord {
	var keys []*keyRecord
	for _, u := range users {
		for _, k := range u.AccessKeys {
			keys = append(keys, &keyRecord{AccessKey: k, user: u})
		}
	}
	return keys
}

// keyLocked returns the record of a key, of a deleted one too, or nil.
func (s *Server) keyLocked(accessKeyID string) *keyRecord {
	for _, k := range s.keys {
		if k.AccessKeyID == accessKeyID {
			return k
		}
	}
	return nil
}

// keysOfLocked returns the keys that a user has at IAM, oldest first.
func (s *Server) keysOfLocked(user *User) []*keyRecord {
	var keys []*keyRecord
	for _, k := range s.keys {
		if k.user == user && k.Status != statusDeleted {
			keys = append(keys, k)
		}
	}
	return keys
}

// Users returns the users with their keys as IAM lists them, those made by
// requests included, deleted ones left out. The first user is ann, who starts
// with one active key and one device.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	var users []User
	for _, u := range s.users {
		c := *u
		c.Devices = slices.Clone(u.Devices)
		c.AccessKeys = nil
		for _, k := range s.keysOfLocked(u) {
			c.AccessKeys = append(c.AccessKeys, k.AccessKey)
		}
		users = append(users, c)
	}
	return users
}

// User returns one of Users by name.
func (s *Server) User(name string) (User, bool) {
	users := s.Users()
	if i := slices.IndexFunc(users, func(u User) bool { return u.UserName == name }); i >= 0 {
		return users[i], true
	}
	return User{}, false
}
