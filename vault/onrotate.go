// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"credbroker/internal/ipc"
)

// onRotateGrace is how long what on_rotate leaves behind may keep its standard
// input from being written.
const onRotateGrace = time.Second

// onRotate starts the user's program for a stored key. No shell looks at the
// command. The program's environment says which key it is; the secret is on its
// standard input, with a newline, and nowhere else. What it prints goes nowhere:
// it may be the secret in any form, whole or in pieces, that nobody can look for,
// and the error stands in the journal, the log and what status shows.
func (w *Worker) onRotate(ctx context.Context, p ipc.OnRotateParams) (any, error) {
	if len(p.Command) == 0 || !filepath.IsAbs(p.Command[0]) {
		return nil, &ipc.Error{Code: ipc.CodeUsage, Message: "run on_rotate: the program must be an absolute path"}
	}
	r, err := w.read(ctx, p.ItemParams)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, ipc.OnRotateTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.Env = append(p.Environ,
		"BROKER_PROFILE="+r.Profile, "BROKER_ACCESS_KEY_ID="+r.AccessKeyID, "BROKER_ACCOUNT_ID="+r.AccountID)
	cmd.Dir = filepath.VolumeName(p.Command[0]) + "/"
	secret := []byte(r.SecretAccessKey.Reveal() + "\n")
	defer clear(secret)
	cmd.Stdin = bytes.NewReader(secret)
	cmd.Stdout, cmd.Stderr = nil, nil // the null device
	cmd.WaitDelay = onRotateGrace
	wait, err := ipc.StartGroup(cmd) // a script leaves no child behind
	if err == nil {
		err = wait()
	}
	if err == nil {
		return done{}, nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it did not end within %v", ipc.OnRotateTime)
	}
	return nil, &ipc.Error{
		Code:    ipc.CodeOnRotate,
		Message: fmt.Sprintf("run on_rotate %s for key %s of profile %s: %v", p.Command[0], r.AccessKeyID, r.Profile, err),
		Hint:    "both keys work; what it prints is kept nowhere, because it has the secret: correct it, then: broker rotate " + r.Profile + " --resume; or go back: broker rotate " + r.Profile + " --undo",
	}
}
