// SPDX-License-Identifier: Apache-2.0

package ipc

import "time"

// RevokeParams takes the key of a profile out of use at once, or all keys; or
// takes that back.
type RevokeParams struct {
	Profile string `json:"profile,omitempty"` // empty with All
	All     bool   `json:"all,omitempty"`
	// DenySessions has IAM deny everything to the sessions that the user of the
	// key has by then.
	DenySessions bool `json:"denySessions,omitempty"`
	Undo         bool `json:"undo,omitempty"`
	// Using is the profile of somebody else who may change the user and signs
	// for it. Not with All.
	Using string `json:"using,omitempty"`
}

// Revoked is what became of it. What is done on this machine is done in any
// case; what is not done at AWS, each key says by itself.
type Revoked struct {
	Sessions int          `json:"sessions"` // that were dropped
	Prompts  int          `json:"prompts"`  // that were withdrawn
	Keys     []RevokedKey `json:"keys"`     // sorted by profile
	// Since is the start of the daemon: sessions that were made before that are
	// in no list.
	Since time.Time `json:"since"`
	// Problem says why the next daemon will not know of it, or that there may be
	// a key more, which was just being made; nil: neither.
	Problem *Error `json:"problem,omitempty"`
	// TakenBack says that the profile had no key, and one was just being made for
	// it: Keys are those that IAM had made, and that are deleted.
	TakenBack bool `json:"takenBack,omitempty"`
}

// RevokedKey is one revoked key.
type RevokedKey struct {
	AccessKeyID string     `json:"accessKeyId"`
	Profiles    []string   `json:"profiles"` // sorted
	UserName    string     `json:"userName,omitempty"`
	RevokedAt   *time.Time `json:"revokedAt,omitempty"` // nil: it is not, or not any more
	// Inactive says that IAM has made the key Inactive, or that AWS does not
	// take it any more. While it is false the key may work at AWS.
	Inactive bool `json:"inactive"`
	// DeniedBefore is the time before which AWS must have made a session of the
	// user for everything to be denied to it; nil: nothing is denied.
	DeniedBefore *time.Time `json:"deniedBefore,omitempty"`
	// Sessions are those that were made with the key and have not ended. AWS
	// takes them, unless they are of kind "session" and DeniedBefore is set.
	Sessions []Session `json:"sessions"`
	// Quarantine are the policies that AWS itself has attached to the user.
	Quarantine  []string `json:"quarantine,omitempty"`
	Problem     *Error   `json:"problem,omitempty"`     // why Inactive is not as it was to be
	DenyProblem *Error   `json:"denyProblem,omitempty"` // why DeniedBefore is not
}
