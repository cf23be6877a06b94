// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	"credbroker/internal/ipc"
)

// vault has a worker do one operation on a store, in the user's own session:
// what a secret-service asks, it asks this user. A secret in params reaches
// the worker's standard input and nothing else.
func (a *app) vault(ctx context.Context, store ipc.Store, op string, params, result any) error {
	path, err := sibling("broker-vault")
	if err != nil {
		return err
	}
	p, err := a.places()
	if err != nil {
		return err
	}
	extra := ipc.DialogEnv(store, a.getenv)
	if dir := a.getenv("GOCOVERDIR"); dir != "" {
		extra = append(extra, "GOCOVERDIR="+dir)
	}
	bus := store.Service
	if bus == "" {
		bus = a.sessionBus()
	}
	raw, err := ipc.WorkerCommand{
		Path:   path,
		Env:    ipc.WorkerEnv(store, p.Home, bus, extra...),
		Client: "broker " + version,
		Dialog: true,
	}.Run(ctx, op, params)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return errorf(ipc.CodeProtocol, "the worker's answer to %s cannot be read", op)
	}
	return nil
}

// sessionBus returns the address of the user's own session bus, or "".
func (a *app) sessionBus() string {
	runtimeDir := filepath.Join("/run/user", strconv.Itoa(a.uid))
	return ipc.SessionBus(runtimeDir, a.getenv("DBUS_SESSION_BUS_ADDRESS"), a.uid)
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
