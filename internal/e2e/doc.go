// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests that run the real programs together: broker,
// brokerd, broker-vault and broker-sandbox, each in a home, a state directory
// and a socket of its own.
//
// A test here shows what a user is promised, as the user would see it. What
// one package does by itself is shown beside that package.
package e2e
