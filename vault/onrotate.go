// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"credbroker/internal/ipc"
)

// onRotateGrace is how long what on_rotate leaves behind may keep our end of its
// output open.
const onRotateGrace = time.Second

// maxOnRotateWords is how much of what on_rotate says of its failure is shown.
const maxOnRotateWords = 300

// onRotate starts the user's program for a stored key. No shell looks at the
// command. The program's environment says which key it is; the secret is on its
// standard input, with a newline, and nowhere else.
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
	said := firstWords{limit: maxOnRotateWords + len(secret)} // a secret at the end of what is shown is whole
	cmd.Stdout, cmd.Stderr = io.Discard, &said
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
	// What it says may have the secret in it.
	words := strings.ReplaceAll(said.line(), r.SecretAccessKey.Reveal(), "[redacted]")
	if words = strings.ToValidUTF8(words[:min(len(words), maxOnRotateWords)], ""); words != "" {
		words = ": " + words
	}
	return nil, &ipc.Error{
		Code:    ipc.CodeOnRotate,
		Message: fmt.Sprintf("run on_rotate %s for key %s of profile %s: %v%s", p.Command[0], r.AccessKeyID, r.Profile, err, words),
		Hint:    "both keys work; correct it, then: broker rotate " + r.Profile + " --resume; or go back: broker rotate " + r.Profile + " --undo",
	}
}

// firstWords keeps the beginning of what is written to it.
type firstWords struct {
	limit int
	text  []byte
}

// Write implements io.Writer, and never fails.
func (f *firstWords) Write(p []byte) (int, error) {
	f.text = append(f.text, p[:min(len(p), f.limit-len(f.text))]...)
	return len(p), nil
}

// line returns the first line that is not empty, fit to be shown.
func (f *firstWords) line() string {
	for line := range strings.Lines(string(f.text)) {
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == '\ufffd' {
				return -1
			}
			return r
		}, line)
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
