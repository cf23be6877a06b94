// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/tty"
)

// shortLimit is how long a shell prompt waits for us at most.
const shortLimit = 300 * time.Millisecond

// statusShort is one line for a shell prompt, or none when all is well. It starts
// no daemon: where none runs nobody has used a key.
func (a *app) statusShort(ctx context.Context, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, shortLimit)
	defer cancel()
	var list ipc.KeyList
	if err := a.askRunning(ctx, ipc.OpList, &list); err != nil {
		list.Keys = nil // a prompt is no place for errors: broker status has them
	}
	due := []ipc.Key{}
	for _, k := range dueKeys(list.Keys) {
		if k.SnoozedUntil == nil {
			due = append(due, k)
		}
	}
	switch {
	case asJSON:
		return a.printJSON(ipc.KeyList{Keys: due})
	case len(due) == 1:
		a.printf("aws key of %s: %s (%s)\n", due[0].Profile, levelText(due[0], a.now()), ageText(due[0], a.now()))
	case len(due) > 1:
		a.printf("%d aws keys due: %s\n", len(due), profilesOf(due))
	}
	return nil
}

// statusCheck fails when a key is due, snoozed or not: it is for programs that
// look after this machine.
func (a *app) statusCheck(ctx context.Context, asJSON bool) error {
	var list ipc.KeyList
	if err := a.call(ctx, ipc.OpList, nil, &list); err != nil {
		return err
	}
	due := dueKeys(list.Keys)
	if asJSON {
		if err := a.printJSON(ipc.KeyList{Keys: due}); err != nil {
			return err
		}
	}
	switch len(due) {
	case 0:
		return nil
	case 1:
		text, next := dueText(due[0], a.now())
		return &ipc.Error{Code: ipc.CodeKeyDue, Message: text, Hint: "do it now: " + next}
	}
	return errorf(ipc.CodeKeyDue, "%d keys are due: %s", len(due), profilesOf(due))
}

func profilesOf(keys []ipc.Key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Profile)
	}
	return strings.Join(names, ", ")
}

// askRunning puts one request to the daemon if it runs.
func (a *app) askRunning(ctx context.Context, op string, result any) error {
	p, err := a.places()
	if err != nil {
		return err
	}
	client := &ipc.Client{Socket: p.Socket, Name: "broker " + version}
	raw, err := client.Converse(ctx, ipc.Request{Op: op}, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

// nagLimit is how long a command waits to hear what there is to say.
const nagLimit = time.Second

// nagging reports whether a command has somebody in front of it to tell of keys
// that are due.
func nagging(command string) bool {
	switch command {
	case execName, "export", "mfa", "list", "status", "explain", "unlock":
		return true
	}
	return false
}

// nag writes one line on standard error about keys that are due, if somebody
// sits there who has not heard of them today. The daemon knows.
func (a *app) nag(ctx context.Context) {
	if len(a.line.path) == 0 || !nagging(a.line.path[0]) || a.line.has("json") || a.line.has("short") || a.line.has("check") || !a.stderrIsTerminal() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, nagLimit)
	defer cancel()
	var said ipc.Notices
	if err := a.askRunning(ctx, ipc.OpNag, &said); err != nil || len(said.Notices) == 0 {
		return // what the command itself did is not to fail for it
	}
	first := said.Notices[0]
	text, next := first.Text, first.Next
	if len(said.Notices) > 1 {
		text += ", and there is more to say"
		next = "broker list --due"
	}
	fmt.Fprintf(a.stderr, "broker: %s: %s\n", printable(text), printable(next))
}

func (a *app) stderrIsTerminal() bool {
	f, ok := a.stderr.(*os.File)
	return ok && tty.IsTerminal(int(f.Fd()))
}
