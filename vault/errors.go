// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"errors"

	"credbroker/internal/ipc"
)

// The ways in which a store fails. A Backend returns errors that wrap exactly
// one of them, most often inside an *Error; whatever wraps none counts as
// ErrFailed.
var (
	ErrNotFound        = errors.New("there is no such item")
	ErrExists          = errors.New("the item exists already")
	ErrLocked          = errors.New("the store is locked")
	ErrDenied          = errors.New("the store refused")
	ErrTimeout         = errors.New("the store did not answer in time")
	ErrGone            = errors.New("the store is not there")
	ErrCorrupt         = errors.New("the item cannot be read")
	ErrMismatch        = errors.New("the item is not the one that was stored")
	ErrWrongPassphrase = errors.New("the passphrase does not open the store")
	ErrUnsafe          = errors.New("the store could be read or changed by others")
	ErrFailed          = errors.New("the store failed")
	ErrNoBackend       = errors.New("broker has no such store")
)

// Error is a failure of a store in words for its user.
type Error struct {
	Kind error  // one of the sentinels above
	Text string // lower case, names the act and the thing; never a secret
	Hint string // what to do next; empty leaves it to the kind
	Err  error  // the cause, shown after Text; may be nil
}

// Error returns the text and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// AWSError is a call that AWS refused or did not answer, as an AWS reports it.
type AWSError struct {
	Code    ipc.Code
	Message string
	Hint    string // what to do next, where Code does not say it
	// Sent reports that the request may have left this machine, and with it
	// any MFA code it carried.
	Sent bool
}

// Error returns the message.
func (e *AWSError) Error() string { return e.Message }

// kinds maps the ways in which a store fails to what crosses the process
// boundary. The first that matches counts.
var kinds = []struct {
	err  error
	code ipc.Code
	hint string
}{
	{ErrLocked, ipc.CodeKeychainLocked, "unlock your keyring (logging in to the desktop does it) and try again"},
	{ErrDenied, ipc.CodeKeychainDenied, "try again and allow broker to use the keyring"},
	{ErrTimeout, ipc.CodeKeychainTimeout, "look for a dialog of your keyring, or restart its service, and try again"},
	{ErrGone, ipc.CodeKeychainGone, "start the keyring that broker init chose, and try again"},
	{ErrWrongPassphrase, ipc.CodeWrongPassphrase, "put back the passphrase file that the vault was made with"},
	{ErrMismatch, ipc.CodeKeychainCorrupt, "somebody moved items in the store: rebuild the index: broker recover"},
	{ErrCorrupt, ipc.CodeKeychainCorrupt, "store the key again: broker add PROFILE --replace"},
	{ErrNotFound, ipc.CodeKeychainCorrupt, "store the key again: broker add PROFILE --replace"},
	{ErrExists, ipc.CodeKeychainFailed, "try again: each try gets an item of its own"},
	{ErrUnsafe, ipc.CodeKeychainFailed, ""},
	{ErrNoBackend, ipc.CodeUsage, "choose a store for keys: broker init"},
}

// wire returns err as it crosses the process boundary.
func wire(err error) *ipc.Error {
	var done *ipc.Error
	if errors.As(err, &done) {
		return done
	}
	var fromAWS *AWSError
	if errors.As(err, &fromAWS) {
		return &ipc.Error{Code: fromAWS.Code, Message: err.Error(), Hint: cmp.Or(fromAWS.Hint, awsHints[fromAWS.Code])}
	}
	out := &ipc.Error{Code: ipc.CodeKeychainFailed, Message: err.Error()}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			out.Code, out.Hint = k.code, k.hint
			break
		}
	}
	if out.Code == ipc.CodeKeychainFailed && isContext(err) {
		out.Code, out.Hint = ipc.CodeDeadline, "try again"
	}
	var e *Error
	if errors.As(err, &e) && e.Hint != "" {
		out.Hint = e.Hint
	}
	return out
}

// awsHints say what to do about a refusal of AWS that a worker meets.
var awsHints = map[ipc.Code]string{
	ipc.CodeAWSUnreachable: "check the network, and https_proxy in broker's config",
	ipc.CodeAWSThrottled:   "wait a little and try again",
	ipc.CodeAWSDenied:      "ask who manages your AWS account for the permission",
	ipc.CodeAWSKeyUnknown:  "look in the IAM console: the key may be inactive or deleted",
	ipc.CodeAWSSecret:      "copy the secret access key again, whole and without blanks",
	ipc.CodeAWSClock:       "set this machine's clock",
	ipc.CodeMFAWrong:       "wait for the next code of the device and try again",
	ipc.CodeMFASerial:      "look up the device with broker add --replace, or set mfa_serial",
	ipc.CodeAWSUnavailable: "AWS has trouble of its own: try again in a moment",
	ipc.CodeAWSGarbage:     "check endpoint_url and https_proxy in broker's config: something answers in place of AWS",
}

func isContext(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
