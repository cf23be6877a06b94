// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"

	"credbroker/broker/rotation"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// fail returns an error with a code. hint may be empty.
func fail(code ipc.Code, hint, format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// coded returns err as an *ipc.Error: the one in its chain, or what an error of
// the AWS files or of a context means. Anything else is a defect.
func coded(err error) *ipc.Error {
	var e *ipc.Error
	var c *awsconfig.Error
	var r *rotation.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &r):
		return &ipc.Error{Code: ipc.Code(r.Code), Message: r.Error(), Hint: r.Hint}
	case errors.As(err, &c):
		return &ipc.Error{Code: ipc.Code(c.Code), Message: c.Error(), Hint: c.Hint}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(ipc.CodeDeadline, "", "the work took longer than the caller waits")
	}
	return fail(ipc.CodeInternal, "", "%v", err)
}

// wrap puts what was being done before the message of err.
func wrap(err error, format string, args ...any) *ipc.Error {
	e := *coded(err)
	e.Message = fmt.Sprintf(format, args...) + ": " + e.Message
	return &e
}

func hasCode(err error, codes ...ipc.Code) bool {
	var e *ipc.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}
