// SPDX-License-Identifier: Apache-2.0

package ipc

import "context"

// Start is not there on Windows, whose own store needs no holder.
func (w WorkerCommand) Start(context.Context, string, any, ...string) error {
	return &Error{
		Code: CodeUnsupported, Message: "a vault that opens with a passphrase is not supported on Windows",
		Hint: "use the wincred store, or a passphrase file",
	}
}
