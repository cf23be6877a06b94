// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"credbroker/internal/ipc"
)

// DenySessions implements broker.Worker.
func (w *worker) DenySessions(ctx context.Context, p ipc.DenyParams) error {
	_, err := w.run(ctx, ipc.OpDenySessions, p.Store, p)
	return err
}

// AllowSessions implements broker.Worker.
func (w *worker) AllowSessions(ctx context.Context, p ipc.IAMParams) error {
	_, err := w.run(ctx, ipc.OpAllowSessions, p.Store, p)
	return err
}

// Quarantines implements broker.Worker.
func (w *worker) Quarantines(ctx context.Context, p ipc.IAMParams) ([]string, error) {
	found, err := answer[ipc.Quarantines](ctx, w, ipc.OpListQuarantines, p.Store, p)
	return found.Policies, err
}
