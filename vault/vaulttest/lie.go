// SPDX-License-Identifier: Apache-2.0

package vaulttest

// Lie is a way in which a Service says something else than what it did.
type Lie int

// The lies. Each is one that a real store, or the library in front of it, was
// seen to tell.
const (
	Honest  Lie = iota
	Forgets     // what is stored is acknowledged and not kept, as by KWallet
	Swaps       // another item's secret comes back
	Denies      // what is there is not found, as on macOS when it means "not now"
	Clings      // what is deleted stays
	Hides       // the list is empty
	Babbles     // the list has items that are none
)
