// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"credbroker/broker/nag"
	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// orphans returns what IAM and broker disagree about, by what is known without
// asking anybody: keys whose secret is stored and that IAM does not have, keys of
// our users that are neither stored here nor explained by a journal, and what a
// rotation has left. keys are those of the index with their facts. A note is what
// may well be as somebody wants it: see second.
func (b *Broker) orphans(v *view, keys []ipc.Key) (problems, notes []ipc.Error) {
	stored := map[string]bool{}
	for _, k := range keys {
		stored[k.AccessKeyID] = true
	}
	said := map[string]bool{}
	for _, k := range keys {
		if said[k.AccessKeyID] || b.rotating(k.AccessKeyID) != nil || b.facts.isStale(k.AccessKeyID) {
			continue // what is known of it may be wrong by now
		}
		if k.FactsError != nil && k.FactsError.Code == ipc.CodeKeyGone {
			said[k.AccessKeyID] = true
			problems = append(problems, *fail(ipc.CodeKeyGone, "store the key that took its place: broker add "+k.Profile+" --replace; or forget it: broker remove "+k.Profile,
				"the secret of key %s is stored for profile %s, and IAM user %s does not have that key any more", k.AccessKeyID, k.Profile, k.UserName))
			continue
		}
		for _, other := range k.Others {
			switch {
			case said[other.AccessKeyID] || b.rotating(other.AccessKeyID) != nil:
				continue
			case !stored[other.AccessKeyID]:
				e, note := b.secondKey(v, k, other)
				if note {
					notes = append(notes, *e)
				} else {
					problems = append(problems, *e)
				}
			case !other.Active || k.Active == nil || !*k.Active:
				continue
			default:
				problems = append(problems, *fail(ipc.CodeKeyUnexplained, "keep one of them: broker usage "+k.Profile+" tells which is in use, and the other one goes in the IAM console",
					"IAM user %s has two active keys, %s and %s, which leaves no place for a rotation", k.UserName, k.AccessKeyID, other.AccessKeyID))
			}
			said[k.AccessKeyID], said[other.AccessKeyID] = true, true
		}
	}
	return append(problems, b.leftovers()...), notes
}

// secondKey is about a key of our user that is not stored here. As a rule it is
// that of another machine, and a note. It is a problem if it may be what a
// CreateAccessKey without an answer came to, or if it is older than our own key
// may become.
func (b *Broker) secondKey(v *view, k ipc.Key, other ipc.KeyState) (e *ipc.Error, note bool) {
	state := "Inactive"
	if other.Active {
		state = "active"
	}
	what := fmt.Sprintf("%s, %s, made %s", other.AccessKeyID, state, other.CreateDate.UTC().Format(time.DateOnly))
	if again := b.mayHaveMade(k, other); again != "" {
		return fail(ipc.CodeKeyUnexplained, again,
			"IAM user %s has a key whose secret nobody here has, and which broker may have made: %s", k.UserName, what), false
	}
	hint := "look who uses it: broker usage " + k.Profile + "; if nobody does, delete it in the IAM console"
	most := v.maxAge(k.Profile, map[string]record{k.Profile: {AccessKeyID: k.AccessKeyID}})
	if age := b.trueNow().Sub(other.CreateDate); most > 0 && age > most {
		return fail(ipc.CodeKeyUnexplained, hint, "IAM user %s has a key that broker neither stores nor has made, older than max_age (%s): %s",
			k.UserName, nag.Days(most), what), false
	}
	return fail(ipc.CodeKeyUnexplained, hint+"; another machine's is as it should be",
		"IAM user %s has a key that broker neither stores nor has made: %s", k.UserName, what), true
}

// mayHaveMade returns what to do about a key without a secret that is broker's
// own by what the journals say, and "" if it is not: one of them announced a key
// at that time, or cannot be read.
func (b *Broker) mayHaveMade(k ipc.Key, other ipc.KeyState) string {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	for _, r := range b.rotations.all {
		j := r.journal
		if j.UserName == k.UserName && (j.AccountID == "" || j.AccountID == k.AccountID) && j.Announced(other.CreateDate) {
			return "let broker find out: " + j.ResumeCommand()
		}
	}
	if len(b.rotations.broken) > 0 {
		return "a journal of a rotation cannot be read, which may be about it; if nobody uses the key (broker usage " + k.Profile + "), delete it in the IAM console"
	}
	return ""
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
