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
	var found ipc.Quarantines
	err := w.decode(ctx, ipc.OpListQuarantines, p.Store, p, &found)
	return found.Policies, err
}
