// SPDX-License-Identifier: Apache-2.0

package ipc

import "time"

// The operations of broker-vault that end the sessions of a user, and what AWS
// has done about one. A worker writes the one policy that is meant here, and no
// other. Each is harmless when it is done twice.
const (
	OpDenySessions    = "deny-sessions"    // DenyParams → empty: one PutUserPolicy
	OpAllowSessions   = "allow-sessions"   // IAMParams → empty: one DeleteUserPolicy; none that is there is no error
	OpListQuarantines = "list-quarantines" // IAMParams → Quarantines: one ListAttachedUserPolicies
)

// DenyParams denies everything to the sessions of a user that AWS made earlier.
type DenyParams struct {
	IAMParams
	Before time.Time `json:"before"` // by AWS's clock, in whole seconds
}

// Quarantines are the policies that AWS attaches to the user of a key that it
// has found in public.
type Quarantines struct {
	Policies []string `json:"policies"` // names
}
