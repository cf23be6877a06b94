// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package desktop

import "context"

// Ready reports false: notifications are made for Linux desktops.
func (n *Notifier) Ready(context.Context) bool { return false }

// Notify returns ErrUnnoticed.
func (n *Notifier) Notify(context.Context, Notice) (Answer, error) { return Answer{}, ErrUnnoticed }

// Close has nothing to wait for.
func (n *Notifier) Close() {}
