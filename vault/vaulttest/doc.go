// SPDX-License-Identifier: Apache-2.0

// Package vaulttest tests stores: a Backend in memory that can be made to fail
// in every way that real ones do, the conformance suite that every Backend
// passes, and a real gnome-keyring on a private bus.
//
// It never links the keyring library, so that any test may import it, and every
// process that it starts ends with the test, even if the test is killed.
package vaulttest
