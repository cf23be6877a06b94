// SPDX-License-Identifier: Apache-2.0

// Package fakeaws is a pretend AWS account that serves STS and IAM over HTTP,
// for tests and for broker-sandbox.
//
// It is stricter than AWS where that matters to a client: each request is
// verified by Signature Version 4 from first principles, keys have states,
// session tokens are bound to their key and expire, and each MFA code works
// once. Error codes, HTTP statuses, texts and XML shapes are AWS's, so a
// client that is right here is right there. It knows five actions:
// GetCallerIdentity, GetSessionToken, AssumeRole, ListMFADevices, GetUser.
//
// Nothing here is a real credential, but the log treats it as one: no entry
// holds a secret access key, a session token or an MFA code.
package fakeaws
