// SPDX-License-Identifier: Apache-2.0

package rotation

import "time"

// Subject is the key that is to be rotated, and whose it is.
type Subject struct {
	UserName, AccountID, ARN string
	AccessKeyID              string
}

// Plan returns the journal of a rotation that has not begun. Nothing is written
// yet: the caller saves it, and Advance does the rest. id is 32 hexadecimal
// digits, seal the name of a vault item that is new, as are the NewItems of
// places.
func Plan(id string, s Subject, seal string, places []Place, hold bool, now time.Time) (Journal, error) {
	j := Journal{
		V: journalVersion, ID: id, State: Planned, UserName: s.UserName, AccountID: s.AccountID, ARN: s.ARN,
		Old: s.AccessKeyID, Places: places, Seal: seal, Hold: hold, PlannedAt: now.UTC(),
	}
	return j, j.check()
}
