// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"

	"credbroker/internal/ipc"
)

// showDialog asks in a window. One that could not be shown, or that broke, is
// not tried again in this flight: the next surface asks.
func (f *flight) showDialog(ctx context.Context, p ipc.Prompt) (string, error) {
	text, err := f.b.opts.Dialog.Ask(ctx, p)
	if err == nil || ctx.Err() != nil {
		return text, err
	}
	f.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "no code from a window",
		slog.String("profile", f.plan.profile), slog.Any("error", err))
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.dialog, f.dialogFailed = false, true
	return "", err
}
