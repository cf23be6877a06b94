// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// TestSilentDaemon: a daemon that takes connections and never answers, as one
// that was stopped, does not hold a command for ever.
func TestSilentDaemon(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "b-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is in /tmp
	socket := filepath.Join(dir, "broker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env := map[string]string{"HOME": dir, "BROKER_SOCKET": socket}
	a := &App{Getenv: func(name string) string { return env[name] }, UID: os.Getuid()}
	err = a.callWithin(t.Context(), 50*time.Millisecond, ipc.OpList, nil, nil)
	if !errors.Is(err, &ipc.Error{Code: ipc.CodeDeadline}) {
		t.Errorf("list: %v, want %s", err, ipc.CodeDeadline)
	}
	if got, least := CallLimit(ipc.OpRemove), ipc.Limit(ipc.OpDelete)+ipc.DialogTime; got <= least {
		t.Errorf("remove is given up after %v, and its worker may take %v", got, least)
	}
}
