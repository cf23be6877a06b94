// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"credbroker/broker"
	"credbroker/credproc"
	"credbroker/internal/ipc"
)

// worker starts broker-vault, one process for each operation.
type worker struct {
	path string   // absolute
	home string   // of the user
	bus  string   // address of the session bus, or ""
	more []string // variables beside the fixed ones
	log  *slog.Logger
	held *os.File // keeps what path leads to; nil if path is that of the file

	calls calls
}

var _ broker.Worker = (*worker)(nil)

// newWorker returns a worker that starts the program at path. It holds the file
// open and starts that one: after an upgrade this daemon goes on with the
// worker that it came with, and never talks to another version.
func newWorker(path, home, bus string, calls calls, log *slog.Logger) *worker {
	w := &worker{path: path, home: home, bus: bus, calls: calls, log: log}
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		w.more = []string{"GOCOVERDIR=" + dir}
	}
	f, err := os.Open(path)
	if err != nil {
		log.Warn("broker-vault cannot be opened", "error", err)
		return w // it may be there when it is needed
	}
	held := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := os.Stat(held); err != nil {
		_ = f.Close() // without /proc the path has to do
		return w
	}
	w.path, w.held = held, f
	return w
}

// sibling returns the path of the program of that name beside this one. os
// knows where this one was, even if its file is gone.
func sibling(name string) string {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	return filepath.Join(filepath.Dir(exe), name+programSuffix)
}

// SessionToken implements broker.Worker.
func (w *worker) SessionToken(ctx context.Context, p ipc.SessionTokenParams) (credproc.Credentials, error) {
	raw, err := w.run(ctx, ipc.OpSessionToken, p.Store, p)
	if err != nil {
		return credproc.Credentials{}, err
	}
	defer clear(raw)
	credentials, err := credproc.Parse(raw)
	if err != nil {
		return credproc.Credentials{}, &ipc.Error{Code: ipc.CodeAWSGarbage, Message: err.Error(), Spent: p.TokenCode != ""}
	}
	return credentials, nil
}

// CallerIdentity implements broker.Worker.
func (w *worker) CallerIdentity(ctx context.Context, p ipc.ItemParams) (ipc.Identity, error) {
	return answer[ipc.Identity](ctx, w, ipc.OpCallerIdentity, p.Store, p)
}

// ListMFADevices implements broker.Worker.
func (w *worker) ListMFADevices(ctx context.Context, p ipc.ItemParams) (ipc.MFADevices, error) {
	return answer[ipc.MFADevices](ctx, w, ipc.OpListMFADevices, p.Store, p)
}

// Delete implements broker.Worker.
func (w *worker) Delete(ctx context.Context, p ipc.ItemParams) error {
	_, err := w.run(ctx, ipc.OpDelete, p.Store, p)
	return err
}

// answer runs an operation and reads what the worker says.
func answer[T any](ctx context.Context, w *worker, op string, store ipc.Store, params any) (T, error) {
	var said T
	raw, err := w.run(ctx, op, store, params)
	if err != nil {
		return said, err
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return said, &ipc.Error{Code: ipc.CodeInternal, Message: fmt.Sprintf("the vault worker's answer to %s cannot be read", op)}
	}
	return said, nil
}

func (w *worker) run(ctx context.Context, op string, store ipc.Store, params any) (json.RawMessage, error) {
	end, err := w.calls.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return ipc.WorkerCommand{
		Path:   w.path,
		Env:    ipc.WorkerEnv(store, w.home, w.bus, append(ipc.DialogEnv(store, os.Getenv), w.more...)...),
		Client: "brokerd " + version,
		Log:    w.log,
		Dialog: store.Backend != "file",
	}.Run(ctx, op, params)
}
