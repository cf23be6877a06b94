// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"credbroker/broker"
	"credbroker/internal/desktop"
	"credbroker/internal/ipc"
)

// dialog asks for codes in a window of the desktop. It shows what the daemon
// knows, and nothing that a client said.
type dialog struct{ window *desktop.Dialog }

var _ broker.Dialog = dialog{}

func newDialog(environ func() []string) dialog {
	return dialog{&desktop.Dialog{Programs: desktop.Programs(), Environ: environ, Start: ipc.StartGroup}}
}

// Ready implements broker.Dialog.
func (d dialog) Ready() bool { return d.window.Ready() }

// Ask implements broker.Dialog.
func (d dialog) Ask(ctx context.Context, p ipc.Prompt) (string, error) {
	q := desktop.Question{
		Title: "broker",
		Text:  "MFA code for profile " + p.Profile + "\nDevice: " + p.SerialNumber + "\nAccess key: " + p.AccessKeyID,
		Label: "Code:",
	}
	switch p.Reason {
	case ipc.ReasonWrongCode:
		q.Error = "AWS did not accept that code."
	case ipc.ReasonUsedCode:
		q.Error = "That code was used before: wait for the next one."
	}
	return d.window.Ask(ctx, q)
}
