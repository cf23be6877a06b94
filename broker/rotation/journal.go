// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// State is how far a rotation has come. Each one is written when its step is
// done.
type State string

// The states, in their order. Aborted, Undone, Added and Deleted are ends: nothing is
// left to do but to forget the journal.
const (
	Planned  State = "planned"  // nothing is changed anywhere
	Created  State = "created"  // IAM has the new key, and a sealed file its secret
	Stored   State = "stored"   // the vault has it, and it was read back
	Verified State = "verified" // it was seen to work, steadily
	Switched State = "switched" // the index names it; the old one still works
	Disabled State = "disabled" // the old one is Inactive, and can be made Active again
	Deleted  State = "deleted"  // the old one is gone, at IAM and in the vault
	Aborted  State = "aborted"  // no new key was made, or it is gone again
	Undone   State = "undone"   // the user took the rotation back
	Added    State = "added"    // of a creation: the index names the new key
)

// States returns all states in their order.
func States() []State {
	return []State{Planned, Created, Stored, Verified, Switched, Disabled, Deleted, Aborted, Undone, Added}
}

// Ended reports whether nothing is left to do.
func (s State) Ended() bool { return s == Deleted || s == Aborted || s == Undone || s == Added }

// journalVersion is the version of a Journal's JSON.
const journalVersion = 1

// Journal is all that is known of one rotation. It holds no secret. The zero
// Journal is none: see Plan.
type Journal struct {
	V         int    `json:"v"`
	ID        string `json:"id"` // 32 hexadecimal digits
	State     State  `json:"state"`
	UserName  string `json:"userName"`
	AccountID string `json:"accountId"`
	ARN       string `json:"arn"` // of the user: what both keys must answer
	// Maker is there for a creation, which has no Old.
	Maker *Maker `json:"maker,omitempty"`
	// Old is the access key ID that is replaced, New the one that replaces it;
	// New is empty until it is known.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Places are the profiles that have the key. Never empty.
	Places []Place `json:"places"`
	// Spoilt are items that the new key was to have and that the vault did not
	// keep, or that have the secret of a key that was given up: they go when the
	// rotation ends.
	Spoilt []Place `json:"spoilt,omitempty"`
	// Seal is the vault item that the secret is sealed with until it is stored.
	Seal string `json:"seal"`
	// Before are the access key IDs that the user had at IAM when CreateAccessKey
	// was announced: whatever else is there afterwards is newer.
	Before []string `json:"before,omitempty"`
	// Sent is when CreateAccessKey was announced; nil when no call is open. While
	// it is not nil and New is empty, the call may or may not have happened.
	Sent *time.Time `json:"sent,omitempty"`
	// Attempts counts the announcements.
	Attempts int `json:"attempts,omitempty"`
	// Hold keeps both keys active after the switch until Resume.
	Hold bool `json:"hold,omitempty"`
	// Back is set when everything that was done is being taken back.
	Back bool `json:"back,omitempty"`
	// Telling is set before on_rotate is first run for the new key: from then on
	// somebody may have it. Told is set when on_rotate has ended well for the key
	// that the index names.
	Telling bool `json:"telling,omitempty"`
	Told    bool `json:"told,omitempty"`
	// Streak is what the last tries of the key that is verified came to. It is not
	// written by itself: after a crash it begins anew.
	Streak Streak `json:"-"`
	// Used is the use of the old key since the switch that stopped the rotation,
	// Accepted the one that the user said is of no concern.
	Used     *time.Time `json:"used,omitempty"`
	Accepted *time.Time `json:"accepted,omitempty"`
	// Problem is why the rotation stands still; nil when it does not. At the end
	// it is why it came to nothing.
	Problem *Problem `json:"problem,omitempty"`
	// Cause is why the Machine itself takes everything back.
	Cause *Problem `json:"cause,omitempty"`

	PlannedAt  time.Time  `json:"plannedAt"`
	StoredAt   *time.Time `json:"storedAt,omitempty"`
	SwitchedAt *time.Time `json:"switchedAt,omitempty"`
	DisabledAt *time.Time `json:"disabledAt,omitempty"`
	EndedAt    *time.Time `json:"endedAt,omitempty"`
}

// Place is one profile that has the key, with the items of the vault that hold
// the old one and the new one.
type Place struct {
	Profile string `json:"profile"`
	OldItem string `json:"oldItem,omitempty"` // of a creation: empty
	NewItem string `json:"newItem"`
	// Key is whose secret a spoilt item may hold, where that is not Journal.New:
	// that of a key which IAM made, and about which no answer came.
	Key string `json:"key,omitempty"`
}

// Streak is a run of tries that all ended alike.
type Streak struct {
	Good  bool
	Count int
	Since time.Time // of the first one
}

// Problem is why a rotation stands still, for the user. It stands in the journal
// so that a restart does not forget it.
type Problem struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Hint    string    `json:"hint,omitempty"`
	At      time.Time `json:"at"`
}

var (
	idShape   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	itemShape = regexp.MustCompile(`^broker\.v1\.[0-9a-f]{32}$`)
	keyShape  = regexp.MustCompile(`^AKIA[A-Z0-9]{12,124}$`)
)

// Encode returns the JSON of j.
func (j Journal) Encode() ([]byte, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

// Decode reads what Encode wrote, and believes nothing else.
func Decode(data []byte) (Journal, error) {
	var j Journal
	if err := json.Unmarshal(data, &j); err != nil {
		return Journal{}, errors.New("read the journal of a rotation: it is not the JSON that broker writes")
	}
	if err := j.check(); err != nil {
		return Journal{}, err
	}
	return j, nil
}

// check refuses what no Machine writes.
func (j Journal) check() error {
	wrong := ""
	switch {
	case j.V != journalVersion:
		return fmt.Errorf("read the journal of a rotation: it has version %d, not %d", j.V, journalVersion)
	case !slices.Contains(States(), j.State):
		wrong = "its state"
	case !idShape.MatchString(j.ID) || !itemShape.MatchString(j.Seal):
		wrong = "its name"
	case j.Creating() != (j.Old == "") || j.Old != "" && !keyShape.MatchString(j.Old) || j.New != "" && !keyShape.MatchString(j.New) || j.New == j.Old && j.New != "":
		wrong = "its keys"
	case j.New == "" && slices.Contains([]State{Created, Stored, Verified, Switched, Disabled, Deleted, Added}, j.State):
		wrong = "its new key"
	case len(j.Places) == 0,
		slices.ContainsFunc(j.Places, func(p Place) bool { return !p.valid() || p.Key != "" || j.Creating() != (p.OldItem == "") }),
		slices.ContainsFunc(j.Spoilt, func(p Place) bool {
			return !p.valid() || p.OldItem != "" || p.Key != "" && !keyShape.MatchString(p.Key)
		}):
		wrong = "its places"
	case j.State == Disabled && j.DisabledAt == nil, j.State == Switched && j.SwitchedAt == nil:
		wrong = "its times"
	default:
		return nil
	}
	return fmt.Errorf("read the journal of a rotation: %s cannot be right", wrong)
}

func (p Place) valid() bool {
	return p.Profile != "" && (p.OldItem == "" || itemShape.MatchString(p.OldItem)) && itemShape.MatchString(p.NewItem) && p.OldItem != p.NewItem
}

// Profiles returns the profiles that have the key.
func (j Journal) Profiles() []string {
	names := make([]string, len(j.Places))
	for i, p := range j.Places {
		names[i] = p.Profile
	}
	return names
}

// Since returns from when on the next step could be done, as far as the journal
// tells, with an old key that is kept for so long.
func (j Journal) Since(keepDisabled time.Duration) time.Time {
	switch {
	case j.DisabledAt != nil:
		return j.DisabledAt.Add(keepDisabled)
	case j.SwitchedAt != nil:
		return *j.SwitchedAt
	case j.StoredAt != nil:
		return *j.StoredAt
	}
	return j.PlannedAt
}

// Items returns the vault items that a rotation in this state may have, or
// need: none of them is an orphan.
func (j Journal) Items() []string {
	items := []string{j.Seal}
	for _, p := range j.Places {
		items = append(items, p.OldItem, p.NewItem)
	}
	items = append(items, j.spoiltItems()...)
	return slices.DeleteFunc(items, func(item string) bool { return item == "" })
}

// Holds returns the profile and the key that an item of j is for. The key is ""
// where nobody has named it yet, and of j.Seal, which is for none.
func (j Journal) Holds(item string) (profile, accessKeyID string) {
	for _, p := range j.Places {
		switch item {
		case p.OldItem:
			return p.Profile, j.Old
		case p.NewItem:
			return p.Profile, j.New
		}
	}
	for _, p := range j.Spoilt {
		if item == p.NewItem {
			return p.Profile, cmp.Or(p.Key, j.New)
		}
	}
	return j.Places[0].Profile, ""
}

// Steps says how many of the steps are done, for progress: of total ones.
func (j Journal) Steps() (done, total int) {
	forward := []State{Planned, Created, Stored, Verified, Switched, Disabled, Deleted}
	if j.Creating() {
		forward = []State{Planned, Created, Stored, Verified, Added}
	}
	return max(slices.Index(forward, j.State), 0), len(forward) - 1
}
