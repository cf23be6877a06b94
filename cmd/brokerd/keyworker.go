// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"credbroker/internal/ipc"
)

// Seal implements broker.Worker.
func (w *worker) Seal(ctx context.Context, p ipc.SealParams) error {
	_, err := w.run(ctx, ipc.OpSeal, p.Store, p)
	return err
}

// CreateKey implements broker.Worker.
func (w *worker) CreateKey(ctx context.Context, p ipc.CreateKeyParams) (ipc.CreatedKey, error) {
	return answer[ipc.CreatedKey](ctx, w, ipc.OpCreateKey, p.Store, p)
}

// SealedKey implements broker.Worker. It needs no store.
func (w *worker) SealedKey(ctx context.Context, p ipc.SealedKeyParams) (ipc.SealedKey, error) {
	return answer[ipc.SealedKey](ctx, w, ipc.OpSealedKey, ipc.Store{Backend: "file"}, p)
}

// StoreKey implements broker.Worker.
func (w *worker) StoreKey(ctx context.Context, p ipc.StoreKeyParams) (ipc.StoredKey, error) {
	return answer[ipc.StoredKey](ctx, w, ipc.OpStoreKey, p.Store, p)
}

// VerifyKey implements broker.Worker.
func (w *worker) VerifyKey(ctx context.Context, p ipc.VerifyKeyParams) error {
	_, err := w.run(ctx, ipc.OpVerifyKey, p.Store, p)
	return err
}

// ListKeys implements broker.Worker.
func (w *worker) ListKeys(ctx context.Context, p ipc.IAMParams) (ipc.KeyStates, error) {
	return answer[ipc.KeyStates](ctx, w, ipc.OpListKeys, p.Store, p)
}

// ServicesUsed implements broker.Worker.
func (w *worker) ServicesUsed(ctx context.Context, p ipc.ServicesUsedParams) (ipc.ServicesUsed, error) {
	return answer[ipc.ServicesUsed](ctx, w, ipc.OpServicesUsed, p.Store, p)
}

// Strays implements broker.Worker.
func (w *worker) Strays(ctx context.Context, p ipc.StraysParams) (ipc.Strays, error) {
	return answer[ipc.Strays](ctx, w, ipc.OpStrays, p.Store, p)
}

// SetKeyStatus implements broker.Worker.
func (w *worker) SetKeyStatus(ctx context.Context, p ipc.KeyStatusParams) error {
	_, err := w.run(ctx, ipc.OpSetKeyStatus, p.Store, p)
	return err
}

// DeleteKey implements broker.Worker.
func (w *worker) DeleteKey(ctx context.Context, p ipc.TargetParams) error {
	_, err := w.run(ctx, ipc.OpDeleteKey, p.Store, p)
	return err
}

// OnRotate implements broker.Worker.
func (w *worker) OnRotate(ctx context.Context, p ipc.OnRotateParams) error {
	_, err := w.run(ctx, ipc.OpOnRotate, p.Store, p)
	return err
}
