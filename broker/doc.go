// SPDX-License-Identifier: Apache-2.0

// Package broker is the core of the daemon: it turns a profile into temporary
// credentials, and asks for one MFA code however many processes wait.
//
//	conversation ──► Converse ──► plan ──► session ──► role ──► role ──► document
//	                   │           │          │          │
//	                   │     AWS files,   one flight   shared by all
//	                   │     settings,    per device   who ask for
//	                   │     index        and key      the same
//	                   │                      │
//	                   └── surfaces ─────► prompts ──► Worker (broker-vault), STS
//
// A plan is a pure function of the AWS files, broker's own config and the index
// of stored keys. Sessions live in memory only. A flight gets one session for
// one key and device: it belongs to the daemon, callers only wait for it, so a
// caller that is killed changes nothing and a late answer still fills the cache.
//
// Invariants:
//   - No long-lived secret is ever in this package: the Worker holds it, signs
//     the call itself and answers with temporary credentials.
//   - Expired credentials never leave. While something valid exists, nobody is
//     refused.
//   - A code is sent at most once, and only after AWS has been reached.
//   - The index is on disk before it is in memory.
//
// The package does no AWS or keychain I/O of its own: cmd/brokerd hands in a
// Worker and an STS.
package broker
