// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"credbroker/internal/ipc"
)

const (
	// commandDeadline bounds one run of mfa_command.
	commandDeadline = 30 * time.Second
	// maxCommands is how often one flight runs it: a second time for a code
	// that was wrong or used, at the next time step. Then people are asked.
	maxCommands = 2
	// timeStep is the step of TOTP (RFC 6238, section 4.1).
	timeStep = 30 * time.Second
	// maxCommandOutput is far more than a code and its newline.
	maxCommandOutput = 256
)

// runCommand gets a code from mfa_command. When the code before was of no use
// it waits for the time step after that one's, because the program would print
// it again.
func (f *flight) runCommand(ctx context.Context, reason string) (string, error) {
	b := f.b
	now := b.opts.Clock.Now()
	b.mu.Lock()
	f.commands++
	before := firstOf(f.commandEnd, now)
	b.mu.Unlock()
	if reason != "" {
		// By our clock, not by that of AWS: the program looks at ours.
		t := time.NewTimer(untilStepAfter(before, now))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	environ, err := b.commandEnviron()
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "mfa_command runs with the daemon's environment", slog.Any("error", err))
	}
	code, err := commandCode(ctx, f.plan.command, environ, f.plan.id.serial)
	b.mu.Lock()
	f.commandEnd = b.opts.Clock.Now()
	b.mu.Unlock()
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "mfa_command gave no code",
			slog.String("profile", f.plan.profile), slog.Any("error", err))
		b.mu.Lock()
		f.commands = maxCommands
		b.mu.Unlock()
	}
	return code, err
}

// untilStepAfter returns how long it is from now to the time step after that
// of at; 0 if it has begun.
func untilStepAfter(at, now time.Time) time.Duration {
	return max(at.Truncate(timeStep).Add(timeStep).Sub(now), 0)
}

// commandEnviron returns what mfa_command is started with, and, for the log and
// status, why that is not what broker init recorded.
func (b *Broker) commandEnviron() ([]string, error) {
	if b.opts.CommandEnviron == nil {
		return nil, nil
	}
	environ, err := b.opts.CommandEnviron()
	if err != nil {
		return environ, fail(ipc.CodeConfigBroken, "remove that file and record it anew: broker init", "use the environment for mfa_command: %v", err)
	}
	return environ, nil
}

// commandCode runs a program without a shell and returns the code that it
// prints. What it prints is never part of an error: it may be a secret.
func commandCode(ctx context.Context, command, environ []string, serial string) (string, error) {
	if len(command) == 0 || !filepath.IsAbs(command[0]) {
		return "", errors.New("run mfa_command: the program must be an absolute path")
	}
	ctx, cancel := context.WithTimeout(ctx, commandDeadline)
	defer cancel()
	var out limitedBuffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	// The last one of a name counts, so the serial number is ours.
	cmd.Env = append(slices.Clip(environ), "BROKER_MFA_SERIAL="+serial)
	cmd.Dir = filepath.VolumeName(command[0]) + "/"
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second      // for a child that keeps our end of the pipe
	wait, err := ipc.StartGroup(cmd) // a script leaves no child behind
	if err == nil {
		err = wait()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("run mfa_command %s: %w", command[0], err)
	}
	code := string(bytes.TrimRight(out.buf.Bytes(), "\r\n"))
	if out.over || !isCode(code) {
		return "", fmt.Errorf("run mfa_command %s: it printed %d bytes that are not a code of six digits", command[0], out.buf.Len())
	}
	return code, nil
}

// limitedBuffer keeps the first bytes that are written to it.
type limitedBuffer struct {
	buf  bytes.Buffer
	over bool
}

// Write never fails: a program that prints too much is judged when it ends.
func (l *limitedBuffer) Write(p []byte) (int, error) {
	room := maxCommandOutput - l.buf.Len()
	l.over = l.over || len(p) > room
	l.buf.Write(p[:min(len(p), room)])
	return len(p), nil
}
