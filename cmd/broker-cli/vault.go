// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// vault has a worker do one operation on a store, in the user's own session:
// what a secret-service asks, it asks this user. A secret in params reaches
// the worker's standard input and nothing else.
func (a *app) vault(ctx context.Context, store ipc.Store, op string, params, result any) error {
	return a.worker(ctx, op, params, result, store.Service, ipc.DialogEnv(store, a.Getenv), func(home, bus string, extra ...string) []string {
		return ipc.WorkerEnv(store, home, bus, extra...)
	})
}

// foreignVault is vault for an operation on the store of another program. store
// is zero unless broker's own is opened, too.
func (a *app) foreignVault(ctx context.Context, source ipc.Foreign, store ipc.Store, op string, params, result any) error {
	extra := ipc.DialogEnv(source.Store, a.Getenv)
	if len(extra) == 0 {
		extra = ipc.DialogEnv(store, a.Getenv)
	}
	return a.worker(ctx, op, params, result, store.Service, extra, func(home, bus string, extra ...string) []string {
		return ipc.ForeignEnv(source, store, home, bus, extra...)
	})
}

// worker runs a worker in the environment that env makes of the home directory,
// the session bus, and more.
func (a *app) worker(ctx context.Context, op string, params, result any, bus string, extra []string, env func(home, bus string, extra ...string) []string) error {
	path, err := a.Sibling("broker-vault")
	if err != nil {
		return err
	}
	p, err := a.Places()
	if err != nil {
		return err
	}
	if dir := a.Getenv("GOCOVERDIR"); dir != "" {
		extra = append(extra, "GOCOVERDIR="+dir)
	}
	if bus == "" {
		bus = a.SessionBus()
	}
	raw, err := ipc.WorkerCommand{
		Path:   path,
		Env:    env(p.Home, bus, extra...),
		Client: "broker " + version,
		Dialog: true,
	}.Run(ctx, op, params)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return client.Errorf(ipc.CodeProtocol, "the worker's answer to %s cannot be read", op)
	}
	return nil
}

// probeItem returns a name for an item that a probe makes and deletes. Nobody
// can plant an item under a name that cannot be guessed.
func probeItem() (string, error) {
	var bits [16]byte
	if err := random(bits[:]); err != nil {
		return "", fmt.Errorf("name an item: %w", err)
	}
	return "broker.v1." + hex.EncodeToString(bits[:]), nil
}
