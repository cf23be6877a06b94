// SPDX-License-Identifier: Apache-2.0

package ipc

import "time"

// RotateParams begins the rotation of a profile's key, or says how the one that
// is under way is to go on. At most one of DryRun, Hold, Resume and Undo is set.
type RotateParams struct {
	Profile string `json:"profile"`
	DryRun  bool   `json:"dryRun,omitempty"` // change nothing: say what would happen
	Hold    bool   `json:"hold,omitempty"`   // keep both keys active after the switch
	Resume  bool   `json:"resume,omitempty"`
	Undo    bool   `json:"undo,omitempty"`
	// Unattended is set where nobody watches. Empty: a code is waited for that
	// comes from any terminal.
	Unattended Unattended `json:"unattended,omitempty"`
}

// Unattended says which codes are waited for where nobody watches.
type Unattended string

// What is waited for where nobody watches.
const (
	UnattendedWindow  Unattended = "window"  // codes that mfa_command or a window asks for
	UnattendedCommand Unattended = "command" // codes that mfa_command brings
)

// CreateParams makes a new key at IAM for a profile that has none, or goes on
// with what was begun for it.
type CreateParams struct {
	Profile string `json:"profile"`
	// Using is the profile whose key, or session, asks IAM. Empty: the one that
	// Profile takes its credentials from, or the only one that has a key.
	Using string `json:"using,omitempty"`
	// UserName is whose key it is to be. Empty: that of the key of Using.
	UserName     string `json:"userName,omitempty"`
	SerialNumber string `json:"serialNumber,omitempty"` // MFA device; empty: that of Using, for the same user
	NoMFA        bool   `json:"noMfa,omitempty"`
}

// Rotation is how far a rotation has come. It is the answer to OpRotate, when
// the rotation ends, waits for a person, or has only the time to wait for in
// which it can be undone; and before that an event, each time that it changes.
type Rotation struct {
	Profiles []string `json:"profiles"`
	UserName string   `json:"userName"`
	// State is "planned", "created", "stored", "verified", "switched",
	// "disabled", or an end: "deleted", "aborted", "undone"; of a creation, which
	// has no old key, "added".
	State string `json:"state"`
	Old   string `json:"old"`           // access key ID
	New   string `json:"new,omitempty"` // as soon as there is one
	Step  int    `json:"step"`          // of Steps
	Steps int    `json:"steps"`
	Back  bool   `json:"back,omitempty"` // it is being undone
	Hold  bool   `json:"hold,omitempty"`
	// Waiting is "propagation", "settling", "retrying", "held", "kept", "stuck",
	// "done", or empty while a step is under way.
	Waiting   string     `json:"waiting,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	Problem   *Error     `json:"problem,omitempty"` // why it stands still, or came to nothing
	PlannedAt time.Time  `json:"plannedAt"`
	// Earlier says, in an answer to OpRotate, that an earlier command began the
	// rotation and that there was nothing left to do: no other key was made.
	Earlier bool `json:"earlier,omitempty"`
}

// RotationPlan is the answer to a dry run.
type RotationPlan struct {
	Profiles []string   `json:"profiles"`
	UserName string     `json:"userName"`
	Old      string     `json:"old"`
	Keys     []KeyState `json:"keys"`
	// Obstacle is what would stop it before anything is changed; nil: nothing.
	Obstacle *Error `json:"obstacle,omitempty"`
	// Missing are the IAM actions that are not allowed, Unknown those of which
	// that cannot be told without doing them.
	Missing      []string `json:"missing"`
	Unknown      []string `json:"unknown"`
	KeepDisabled string   `json:"keepDisabled"` // as the config spells it
	OnRotate     string   `json:"onRotate,omitempty"`
}
