// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

func noDaemon(path string, err error) *Error {
	e := &Error{Code: CodeNoDaemon, Message: fmt.Sprintf("no daemon listens on %s", path), cause: err}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
	case errors.Is(err, syscall.EAGAIN):
		e.Code, e.Message = CodeBusy, "the daemon has too many clients waiting"
	default:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		e.Message = fmt.Sprintf("the daemon on %s cannot be reached: %v", path, err)
	}
	return e
}

func foreign(path, why string) *Error {
	return &Error{
		Code:    CodeForeignDaemon,
		Message: fmt.Sprintf("refuse the daemon on %s: %s", path, why),
		Hint:    "nothing was sent; look at who made that socket, and at BROKER_SOCKET if it is set",
	}
}
