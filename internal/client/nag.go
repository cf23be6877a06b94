// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"os"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/tty"
)

// nagLimit is how long a command waits to hear what there is to say.
const nagLimit = time.Second

// Nag writes one line on standard error about keys that are due, if somebody
// sits there who has not heard of them today. The daemon knows.
func (a *App) Nag(ctx context.Context) {
	if !a.stderrIsTerminal() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, nagLimit)
	defer cancel()
	var said ipc.Notices
	if err := a.AskRunning(ctx, ipc.OpNag, &said); err != nil || len(said.Notices) == 0 {
		return // what the command itself did is not to fail for it
	}
	first := said.Notices[0]
	text, next := first.Text, first.Next
	if len(said.Notices) > 1 {
		text += ", and there is more to say"
		next = "broker list --due"
	}
	fmt.Fprintf(a.Stderr, "broker: %s: %s\n", Printable(text), Printable(next))
}

func (a *App) stderrIsTerminal() bool {
	f, ok := a.Stderr.(*os.File)
	return ok && tty.IsTerminal(int(f.Fd()))
}
