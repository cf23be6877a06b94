// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"time"

	"credbroker/internal/ipc"
)

// lagLimit is the age from which on a key that AWS does not know is none that it
// does not know yet. A minute has been seen.
const lagLimit = 10 * time.Minute

// explainUnknown adds to AWS's one answer for keys that are Inactive, deleted or
// too new what is known here of this one. Its secret stays where it is, whatever
// became of the key: only the user has it removed.
func (b *Broker) explainUnknown(p *plan, e ipc.Error) *ipc.Error {
	s, err := b.index.whole()
	if err != nil {
		return &e
	}
	b.mu.Lock()
	refused := b.refused[p.key.AccessKeyID]
	b.mu.Unlock()
	switch gone := s.Facts[p.key.AccessKeyID].Error; {
	case gone != nil && gone.Code == ipc.CodeKeyGone:
		e.Code = ipc.CodeKeyGone
		e.Message = "key " + p.key.AccessKeyID + " of profile " + p.owner + " is gone at AWS: " + e.Message
		e.Hint = "store the key that took its place: broker add " + p.owner + " --replace; or forget it: broker remove " + p.owner
	case refused: // the session of a key that is Inactive would go on
		e.Message = "AWS takes neither key " + p.key.AccessKeyID + " of profile " + p.owner + " nor the session that was made of it: its IAM user may be deleted: " + e.Message
		e.Hint = "look for user " + firstOf(p.key.UserName, "NAME") + " in the IAM console; store a key of whoever took its place: broker add " + p.owner +
			" --replace; or forget it: broker remove " + p.owner
	case b.mayBeLate(p):
		e.Hint = "the key is so new that AWS may not know it everywhere yet: try again in a minute"
	default:
		e.Hint = "make it active in the IAM console, or store another: broker add " + p.owner + " --replace"
	}
	return &e
}

// mayBeLate reports whether a key is so new that AWS may not know it everywhere.
func (b *Broker) mayBeLate(p *plan) bool {
	s, err := b.index.whole()
	if err != nil {
		return false
	}
	born, certain := s.born(p.key)
	return (certain || p.key.AccountID == "") && b.trueNow().Sub(born) < lagLimit
}
