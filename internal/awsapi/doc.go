// SPDX-License-Identifier: Apache-2.0

// Package awsapi calls STS and IAM and answers in broker's own types. It is
// the only package of the product that imports the AWS SDK.
//
// What holds for every call:
//
//   - Nothing comes from the environment or from AWS config files: each client
//     is built by hand from Options, with its own transport. The SDK's
//     LoadDefaultConfig would run credential_process again, and again.
//   - The SDK retries nothing. Calls that carry an MFA code are sent once, all
//     others up to three times; [Error.Sent] says whether a request may have
//     left this machine.
//   - An answer is read up to a limit, decoded, and checked before it is
//     believed. Nothing of it but AWS's own error text gets into an error.
//   - Signatures use the time of Options.Now plus the clock offset.
package awsapi
