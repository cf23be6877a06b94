// SPDX-License-Identifier: Apache-2.0

// Package nag decides when the user of a key hears that it is due, and of what.
//
// Everything in it is a pure function of what is known of the keys, the policy,
// what was said before, and the time, whose zone is that of the user's clock:
//
//	Judge   how a key stands: its age, when it is due, its level
//	Decide  what to say now, on one channel
//	Tell    what to remember of what was said
//
// Rules, whatever clocks, zones and sleep do:
//   - One notice per key and calendar day at most, on whichever channel.
//   - None in quiet hours, and none about a key that is snoozed.
//   - The desktop shows one notice at a time and one an hour, so that a laptop
//     that wakes up after a month says one thing and not ten.
package nag
