// SPDX-License-Identifier: Apache-2.0

// Package rotation replaces an access key by a new one of the same user, and
// can be cut short at any instant without losing either.
//
//	planned ─► created ─► stored ─► verified ─► switched ─► (hold) ─► disabled ─► deleted
//	   ▲          │          │          │           │                     │
//	   └──────────┴──────────┴──────────┴───────────┴──────── undo ───────┘
//
// A Machine is a state machine without I/O of its own. Advance does exactly one
// step: it writes into the journal what it is about to do, has its Hands do it,
// and writes down that it is done. Whoever reads the journal after a crash
// knows which one call may or may not have happened, and Advance finds out.
//
// Invariants, at every instant and whatever call fails, is lost, or is cut off:
//   - A key that is active at IAM, is stored, and is the one that the index
//     names, works. Before a call that takes a key out of use, the one that is
//     to remain has just been seen to work.
//   - No call that cannot be undone is made before the journal that explains it
//     is on the disk.
//   - A key is deleted at IAM only if the journal shows that this rotation made
//     it, or replaced it. A key of anybody else stops the rotation.
//   - CreateAccessKey is sent once for each record that announces it: IAM has no
//     token that would make a second one harmless.
//
// A Machine may be used by several goroutines, but one Journal by one at a time.
package rotation
