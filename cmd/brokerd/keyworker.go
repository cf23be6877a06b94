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
	var made ipc.CreatedKey
	err := w.decode(ctx, ipc.OpCreateKey, p.Store, p, &made)
	return made, err
}

// SealedKey implements broker.Worker. It needs no store.
func (w *worker) SealedKey(ctx context.Context, p ipc.SealedKeyParams) (ipc.SealedKey, error) {
	var key ipc.SealedKey
	err := w.decode(ctx, ipc.OpSealedKey, ipc.Store{Backend: "file"}, p, &key)
	return key, err
}

// StoreKey implements broker.Worker.
func (w *worker) StoreKey(ctx context.Context, p ipc.StoreKeyParams) (ipc.StoredKey, error) {
	var stored ipc.StoredKey
	err := w.decode(ctx, ipc.OpStoreKey, p.Store, p, &stored)
	return stored, err
}

// VerifyKey implements broker.Worker.
func (w *worker) VerifyKey(ctx context.Context, p ipc.VerifyKeyParams) error {
	_, err := w.run(ctx, ipc.OpVerifyKey, p.Store, p)
	return err
}

// ListKeys implements broker.Worker.
func (w *worker) ListKeys(ctx context.Context, p ipc.IAMParams) (ipc.KeyStates, error) {
	var keys ipc.KeyStates
	err := w.decode(ctx, ipc.OpListKeys, p.Store, p, &keys)
	return keys, err
}

// ServicesUsed implements broker.Worker.
func (w *worker) ServicesUsed(ctx context.Context, p ipc.ServicesUsedParams) (ipc.ServicesUsed, error) {
	var used ipc.ServicesUsed
	err := w.decode(ctx, ipc.OpServicesUsed, p.Store, p, &used)
	return used, err
}

// Strays implements broker.Worker.
func (w *worker) Strays(ctx context.Context, p ipc.StraysParams) (ipc.Strays, error) {
	var found ipc.Strays
	err := w.decode(ctx, ipc.OpStrays, p.Store, p, &found)
	return found, err
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
