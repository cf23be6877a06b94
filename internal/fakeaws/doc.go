// SPDX-License-Identifier: Apache-2.0

// Package fakeaws is a pretend AWS account that serves STS, IAM and CloudTrail
// over HTTP, for tests and for broker-sandbox.
//
// It is stricter than AWS where that matters to a client: each request is
// verified by Signature Version 4 from first principles, keys have states,
// session tokens are bound to their key and expire, and each MFA code works
// once. Error codes, HTTP statuses, texts and the shapes of XML and JSON are
// AWS's, so a client that is right here is right there.
//
// Of IAM it has what the life of an access key takes: making, disabling,
// deleting and listing keys and their last use, the inline policies of a user
// and the attached ones, and the report of the services used. A policy that a
// request puts into a user is evaluated, for what it denies. CloudTrail looks
// up events, of which each request leaves one in the Region that it was signed
// for. IAM itself knows of a change at once; the endpoints that verify
// signatures learn of a changed key as the knob propagation says.
//
// Nothing here is a real credential, but the log treats it as one: no entry
// holds a secret access key, a session token or an MFA code.
package fakeaws
