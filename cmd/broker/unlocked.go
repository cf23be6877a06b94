// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"time"

	"credbroker/internal/ipc"
)

// unlockGrace is how long a broker unlock that another command runs has to end
// when that is interrupted.
const unlockGrace = 5 * time.Second

// unlocked runs f and, if that failed because a vault with a passphrase is
// locked, lets the user unlock it right here and runs f once more. broker
// unlock does that in a process of its own: this one may become the command
// that exec runs, and has no use for a passphrase.
func (a *App) unlocked(ctx context.Context, f func() error) error {
	err := f()
	if !hasCode(err, ipc.CodeKeychainLocked) {
		return err
	}
	store, serr := a.pinned()
	if serr != nil || store.Holder == "" {
		return err
	}
	t, ok := openTerminal()
	if !ok {
		return err
	}
	_ = t.tty.Close() // it was only looked at
	path, perr := os.Executable()
	if perr != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "unlock")
	cmd.Env = daemonEnv(a.env)             // where things are, and nothing more
	cmd.Stdout, cmd.Stderr = nil, a.stderr // its output is not this command's
	// It has turned the terminal's echo off, and is to turn it on again.
	cmd.Cancel, cmd.WaitDelay = func() error { return askToEnd(cmd.Process) }, unlockGrace
	if cmd.Run() != nil {
		return cmp.Or(ctx.Err(), err) // why not it has said itself
	}
	return f()
}
