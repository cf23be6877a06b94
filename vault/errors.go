// SPDX-License-Identifier: Apache-2.0

package vault

import (
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
	ErrFull            = errors.New("the disk is full")
	ErrReadOnly        = errors.New("the file system is read-only")
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
	// Refused reports that AWS itself answered, and did not do it.
	Refused bool
}

// Error returns the message.
func (e *AWSError) Error() string { return e.Message }

// kinds maps the ways in which a store fails to what crosses the process
// boundary. The first that matches counts. What to do next is known by code,
// where the failure is shown; a hint here is for a kind that shares its code.
var kinds = []struct {
	err  error
	code ipc.Code
	hint string
}{
	{ErrLocked, ipc.CodeKeychainLocked, ""},
	{ErrDenied, ipc.CodeKeychainDenied, ""},
	{ErrTimeout, ipc.CodeKeychainTimeout, ""},
	{ErrGone, ipc.CodeKeychainGone, ""},
	{ErrWrongPassphrase, ipc.CodeWrongPassphrase, ""},
	{ErrMismatch, ipc.CodeKeychainCorrupt, "somebody moved items in the store: rebuild the index: broker recover"},
	{ErrCorrupt, ipc.CodeKeychainCorrupt, ""},
	{ErrNotFound, ipc.CodeKeychainCorrupt, ""},
	{ErrFull, ipc.CodeDiskFull, ""},
	{ErrReadOnly, ipc.CodeReadOnly, ""},
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
		return &ipc.Error{Code: fromAWS.Code, Message: err.Error(), Hint: fromAWS.Hint}
	}
	out := &ipc.Error{Code: ipc.CodeKeychainFailed, Message: err.Error()}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			out.Code, out.Hint = k.code, k.hint
			break
		}
	}
	if out.Code == ipc.CodeKeychainFailed && isContext(err) {
		out.Code = ipc.CodeDeadline
	}
	var e *Error
	if errors.As(err, &e) && e.Hint != "" {
		out.Hint = e.Hint
	}
	return out
}

func isContext(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
