// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the tests of the project's own rules: who may import
// whom, what each program may link, which files may reveal a secret, what
// every package and exported name must say about itself, and that the
// documents name only commands that exist.
//
// Each rule is a function from a set of source files to a list of violations.
// It runs twice: on the module, where it must find nothing, and on a planted
// violation, which it must find. A rule without a plant does not compile into
// the table, so none can rot into one that is always satisfied.
//
// There is no code here, only tests, and the gate command that .ci/test puts
// behind go test.
package archtest
