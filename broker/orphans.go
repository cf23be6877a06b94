// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// orphans returns what IAM and broker disagree about, by what is known without
// asking anybody: keys whose secret is stored and that IAM does not have, keys of
// our users that are neither stored here nor explained by a journal, and what a
// rotation has left. keys are those of the index with their facts.
func (b *Broker) orphans(keys []ipc.Key) []ipc.Error {
	stored := map[string]bool{}
	for _, k := range keys {
		stored[k.AccessKeyID] = true
	}
	said := map[string]bool{}
	var list []ipc.Error
	for _, k := range keys {
		if said[k.AccessKeyID] || b.rotating(k.AccessKeyID) != nil || b.facts.isStale(k.AccessKeyID) {
			continue // what is known of it may be wrong by now
		}
		if k.FactsError != nil && k.FactsError.Code == ipc.CodeKeyGone {
			said[k.AccessKeyID] = true
			list = append(list, *fail(ipc.CodeKeyGone, "store the key that took its place: broker add "+k.Profile+" --replace; or forget it: broker remove "+k.Profile,
				"the secret of key %s is stored for profile %s, and IAM user %s does not have that key any more", k.AccessKeyID, k.Profile, k.UserName))
			continue
		}
		for _, other := range k.Others {
			if said[other.AccessKeyID] || stored[other.AccessKeyID] && (!other.Active || k.Active == nil || !*k.Active) {
				continue
			}
			said[k.AccessKeyID], said[other.AccessKeyID] = true, true
			list = append(list, *b.secondKey(k, other, stored[other.AccessKeyID]))
		}
	}
	return append(list, b.leftovers()...)
}

// secondKey is about a user with two keys. ours says that both are stored here.
func (b *Broker) secondKey(k ipc.Key, other ipc.KeyState, ours bool) *ipc.Error {
	if ours {
		return fail(ipc.CodeKeyUnexplained, "keep one of them: broker usage "+k.Profile+" tells which is in use, and the other one goes in the IAM console",
			"IAM user %s has two active keys, %s and %s, which leaves no place for a rotation", k.UserName, k.AccessKeyID, other.AccessKeyID)
	}
	state := "Inactive"
	if other.Active {
		state = "active"
	}
	return fail(ipc.CodeKeyUnexplained, "look who uses it: broker usage "+k.Profile+"; if nobody does, delete it in the IAM console",
		"IAM user %s has a key that broker neither stores nor has made: %s, %s, made %s", k.UserName, other.AccessKeyID, state, other.CreateDate.UTC().Format(time.DateOnly))
}

// leftovers are rotations whose time for second thoughts ran out while the
// machine was off, or nobody was there, and sealed keys without a journal.
func (b *Broker) leftovers() []ipc.Error {
	var list []ipc.Error
	known := map[string]bool{}
	b.rotations.mu.Lock()
	keep := b.files.current().settings.Rotation.KeepDisabled
	now := hands{b: b}.Now()
	for id, r := range b.rotations.all {
		known[id] = true
		j := r.journal
		if j.State != rotation.Disabled || j.Back || j.Problem != nil || r.err == nil || !now.After(j.DisabledAt.Add(keep)) {
			continue
		}
		e := coded(r.err)
		list = append(list, *fail(e.Code, firstOf(e.Hint, "to go on: "+j.ResumeCommand()),
			"key %s was to be deleted on %s, and still waits: %s", j.Old, j.DisabledAt.Add(keep).UTC().Format(time.DateOnly), e.Message))
	}
	b.rotations.mu.Unlock()
	entries, _ := os.ReadDir(b.rotationDir()) // what cannot be read, rotationProblems tells
	for _, entry := range entries {
		id, sealed := strings.CutSuffix(entry.Name(), ".sealed")
		if sealed && !known[id] && !exists(b.journalFile(id)) {
			list = append(list, ipc.Error{
				Code: ipc.CodeStorage, Message: fmt.Sprintf("%s holds a key that no journal knows", b.sealedFile(id)),
				Hint: "it is sealed and of no use to others; when IAM has no key that broker does not store, remove the file",
			})
		}
	}
	slices.SortFunc(list, func(x, y ipc.Error) int { return strings.Compare(x.Message, y.Message) })
	return list
}
