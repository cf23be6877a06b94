// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"os/exec"
	"time"

	"credbroker/internal/ipc"
)

// unlockGrace is how long a broker unlock that another command runs has to end
// when that is interrupted.
const unlockGrace = 5 * time.Second

// Unlocked runs f and, if that failed because a vault with a passphrase is
// locked, lets the user unlock it right here and runs f once more. broker
// unlock does that in a process of its own: this one may become the command
// that exec runs, and has no use for a passphrase.
func (a *App) Unlocked(ctx context.Context, f func() error) error {
	err := f()
	if !HasCode(err, ipc.CodeKeychainLocked) {
		return err
	}
	store, serr := a.Pinned()
	if serr != nil || store.Holder == "" {
		return err
	}
	t, ok := OpenTerminal()
	if !ok {
		return err
	}
	_ = t.TTY.Close() // it was only looked at
	path, perr := a.Sibling("broker-cli")
	if perr != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "unlock")
	cmd.Env = daemonEnv(a.Env)             // where things are, and nothing more
	cmd.Stdout, cmd.Stderr = nil, a.Stderr // its output is not this command's
	// It has turned the terminal's echo off, and is to turn it on again.
	cmd.Cancel, cmd.WaitDelay = func() error { return askToEnd(cmd.Process) }, unlockGrace
	if cmd.Run() != nil {
		return told{cmp.Or(ctx.Err(), err)} // it has said why
	}
	return f()
}
