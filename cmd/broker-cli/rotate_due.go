// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// rotatedKey is what became of one key of rotate --due.
type rotatedKey struct {
	Profile     string          `json:"profile"`
	AccessKeyID string          `json:"accessKeyId"`
	Level       string          `json:"level"`
	Rotation    json.RawMessage `json:"rotation,omitempty"` // or what a dry run says
	Error       *ipc.Error      `json:"error,omitempty"`
}

// rotateDue rotates each key that is due, one after the other. One that fails
// does not keep the next from its turn; the exit status is the worst. Without a
// terminal, as under cron, forty keys must not wait one after the other for codes
// that nobody is asked for.
func (a *app) rotateDue(ctx context.Context, o rotateOptions) error {
	var list ipc.KeyList
	if err := a.Call(ctx, ipc.OpList, nil, &list); err != nil {
		return err
	}
	results := []rotatedKey{}
	var failed []ipc.Key
	worst := client.ExitOK
	if t, ok := client.OpenTerminal(); ok {
		_ = t.TTY.Close() // it was only looked at
	} else {
		o.params.Unattended = ipc.UnattendedWindow
	}
	for _, k := range dueKeys(list.Keys) {
		if ctx.Err() != nil {
			break // what became of the others is to be heard all the same
		}
		result := rotatedKey{Profile: k.Profile, AccessKeyID: k.AccessKeyID, Level: k.Level}
		if k.Level == ipc.LevelUnused {
			a.tellUnused(k, o.json)
			results = append(results, result)
			continue
		}
		one := o
		one.params.Profile = k.Profile
		raw, err := a.rotateOne(ctx, one)
		result.Rotation = raw
		if err != nil {
			failed = append(failed, k)
			var status int
			result.Error, status = client.Failure(err)
			worst = max(worst, status)
			if o.params.Unattended != "" && unanswered(result.Error.Code) { // nor would the next window be
				o.params.Unattended = ipc.UnattendedCommand
			}
			if !o.json {
				client.Report(a.Stderr, err)
			}
		}
		results = append(results, result)
	}
	switch {
	case o.json:
		if err := a.printJSON(struct {
			Keys []rotatedKey `json:"keys"`
		}{results}); err != nil {
			return err
		}
	case len(results) == 0:
		a.printf("no key is due\n")
	}
	if len(failed) == 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &client.StatusError{Status: worst, Err: &ipc.Error{
		Message: "not rotated: " + profilesOf(failed), Hint: "correct what each error says, and try again: broker rotate --due",
	}}
}

// unanswered reports whether an error says that no code came.
func unanswered(code ipc.Code) bool {
	return code == ipc.CodeMFARequired || code == ipc.CodeMFATimeout || code == ipc.CodeMFACancelled
}

// tellUnused says why a key that is due is not rotated.
func (a *app) tellUnused(k ipc.Key, quiet bool) {
	if text, next := dueText(k, a.Now()); !quiet {
		a.printf("%s\nnext: %s\n", text, next)
	}
}
