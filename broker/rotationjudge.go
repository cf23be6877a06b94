// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// judged says what an error means for a rotation. What nobody has refused may be
// tried again: every step but CreateKey is harmless twice.
func judged(err error) error {
	if err == nil {
		return nil
	}
	e := coded(err)
	kind := rotation.Later
	switch e.Code {
	case ipc.CodeKeyGone:
		err = fmt.Errorf("%w: %w", rotation.ErrGone, err)
		kind = rotation.Refused
	case ipc.CodeAWSDenied, ipc.CodeAWSExplicitDeny, ipc.CodeAWSQuarantined, ipc.CodeAWSBlocked, ipc.CodeAWSFailed, ipc.CodeKeyQuota,
		ipc.CodeKeyInvalid, ipc.CodeKeyExists, ipc.CodeOnRotate, ipc.CodeKeychainCorrupt, ipc.CodeUsage, ipc.CodeNoKey:
		kind = rotation.Refused
	}
	return &rotation.Error{Kind: kind, Code: string(e.Code), Hint: e.Hint, Err: err}
}

// spoiltItem is judged for an item that does not hold what was written to it.
func spoiltItem(e *ipc.Error) error {
	return &rotation.Error{Kind: rotation.Refused, Code: string(e.Code), Hint: e.Hint, Err: fmt.Errorf("%w: %w", rotation.ErrSpoilt, e)}
}

// judgedOnce is judged for CreateKey: only a worker that answered knows what
// became of it.
func judgedOnce(err error) error {
	e := coded(err)
	if e.Spent || e.Code == ipc.CodeInternal || e.Code == ipc.CodeKeychainTimeout || e.Code == ipc.CodeDeadline {
		return &rotation.Error{Kind: rotation.Unknown, Code: string(e.Code), Hint: e.Hint, Err: err}
	}
	return judged(err)
}
