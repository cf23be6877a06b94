// SPDX-License-Identifier: Apache-2.0

// Package vault keeps long-lived access keys at rest, and is what a
// broker-vault worker does with them.
//
// What holds for every key in it:
//
//   - An item is written once, under a random name, read back, and never
//     changed. Replacing a key means a new item, so no crash can leave an item
//     that is half of each.
//   - An item says which name, profile and access key ID it was stored for, and
//     is refused when read as anything else: items that were swapped, copied or
//     rolled back are noticed before AWS is called.
//   - "Not there" is an answer about a store that works. A store that is
//     locked, denied, silent or gone says so with an error of its own, and no
//     such error is ever taken for a missing item.
//   - Nothing is listed but by Recover.
//
// A Backend is one place that can hold items; package vault/keychain has the
// real ones, vault/vaulttest one in memory and the tests that all must pass. A
// Store is the rules above on any Backend. A Worker is the operations that
// cross the process boundary, one per process.
package vault
