// SPDX-License-Identifier: Apache-2.0

// Package awsconfig reads ~/.aws/config and ~/.aws/credentials by the rules
// that AWS publishes for all SDKs, and broker's own config, which has the same
// syntax.
//
//   - What an AWS file names is data here: credential_process, mfa_process,
//     endpoint_url and ca_bundle. Nothing in the package starts a program, opens
//     a connection or looks at the environment.
//   - A Document is an edit that nothing has come of yet: it changes whole lines
//     and no other byte. Verify holds it against what it was for. Rewrite is the
//     one function that writes to an AWS file, whole or not at all.
//   - A secret found in a file is dropped while it is read: its key stays, its
//     value becomes secret.Redacted. So no Config, error or diff can show
//     one, and brokerd does not come to hold the keys of other profiles. Who
//     moves a key into the vault asks for that one: StaticKey.Read. A Document
//     holds its file whole, until it is wiped.
//   - What is invalid is an error that names file and line and never quotes the
//     line; nothing is guessed.
//   - A Config is immutable and may be used by several goroutines.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
package awsconfig
