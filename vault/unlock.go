// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"

	"credbroker/internal/ipc"
)

// unlock opens a store for those who come after: it lets one that asks by
// itself ask, and has the key of one with a passphrase held. A passphrase is
// proven before anything else happens.
func (w *Worker) unlock(ctx context.Context, p ipc.UnlockParams) (any, error) {
	if p.Passphrase.IsZero() {
		if _, err := w.open(ctx, p.Store, false); err != nil {
			return nil, fmt.Errorf("unlock the %s vault: %w", p.Store.Backend, err)
		}
		return done{}, nil
	}
	if w.o.Unlock == nil {
		return nil, errors.New("unlock the vault: no passphrase is taken here")
	}
	backend, hold, err := w.o.Unlock(ctx, p)
	if err == nil && p.Create {
		err = NewStore(backend, w.o.Limits.Call).Probe(ctx)
	}
	if err == nil && p.Daemon != "" {
		err = hold(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("unlock the vault: %w", err)
	}
	return done{}, nil
}
