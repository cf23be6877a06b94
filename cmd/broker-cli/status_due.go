// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"time"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// shortLimit is how long a shell prompt waits for us at most.
const shortLimit = 300 * time.Millisecond

// statusShort is one line for a shell prompt, or none when all is well. It starts
// no daemon: where none runs nobody has used a key.
func (a *app) statusShort(ctx context.Context, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, shortLimit)
	defer cancel()
	var list ipc.KeyList
	if err := a.AskRunning(ctx, ipc.OpList, &list); err != nil {
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
		a.printf("aws key of %s: %s (%s)\n", due[0].Profile, levelText(due[0], a.Now()), ageText(due[0], a.Now()))
	case len(due) > 1:
		a.printf("%d aws keys due: %s\n", len(due), profilesOf(due))
	}
	return nil
}

// statusCheck fails when a key is due, snoozed or not: it is for programs that
// look after this machine.
func (a *app) statusCheck(ctx context.Context, asJSON bool) error {
	var list ipc.KeyList
	if err := a.Call(ctx, ipc.OpList, nil, &list); err != nil {
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
		text, next := dueText(due[0], a.Now())
		return &ipc.Error{Code: ipc.CodeKeyDue, Message: text, Hint: "do it now: " + next}
	}
	return client.Errorf(ipc.CodeKeyDue, "%d keys are due: %s", len(due), profilesOf(due))
}

func profilesOf(keys []ipc.Key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Profile)
	}
	return strings.Join(names, ", ")
}

// nagging reports whether a command has somebody in front of it to tell of keys
// that are due.
func nagging(command string) bool {
	switch command {
	case client.ExecName, "export", "mfa", "list", "status", "explain", "unlock":
		return true
	}
	return false
}

// nags reports whether the command line has somebody in front of it to tell of
// keys that are due.
func nags(l client.Line) bool {
	return len(l.Path) > 0 && nagging(l.Path[0]) && !l.Has("json") && !l.Has("short") && !l.Has("check")
}
