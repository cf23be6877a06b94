// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"credbroker/internal/atomicfile"
)

// stateLock stands in the state directory. The lock beside the socket keeps
// two daemons off one socket; this one keeps them off one index, when they have
// different sockets: BROKER_SOCKET is set for one of them, or /run/user/UID came
// with a login after the first had started. Each holds the index in memory, and
// would write over what the other has stored.
const stateLock = "state.lock"

// errKept reports that another daemon holds the state directory.
var errKept = errors.New("end it, or set BROKER_SOCKET to its socket")

// holdState makes this daemon the only one that writes in dir, for as long as
// the file that it returns is open. It wraps errKept if another one is.
func holdState(dir, socket string) (*os.File, error) {
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	f, err := lockDir(dir)
	switch {
	case err == nil:
		sign(f, socket)
		return f, nil
	case f != nil:
		err = fmt.Errorf("%s keeps the keys in %s, for clients on another socket: %w", holder(f), dir, errKept)
		_ = f.Close() // only a lock
	}
	return nil, err
}

// sign says in the lock file whose it is, for people.
func sign(f *os.File, socket string) {
	text := fmt.Sprintf("process %d on %s\n", os.Getpid(), socket)
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(text), 0) // a full disk: it holds without, too
	}
}

// holder returns what the lock file says of the daemon that holds it.
func holder(f *os.File) string {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 4<<10))
	text := strings.TrimSpace(string(data))
	if err != nil || text == "" {
		return "another brokerd"
	}
	return fmt.Sprintf("another brokerd, %q,", text)
}
