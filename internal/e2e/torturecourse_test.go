// SPDX-License-Identifier: Apache-2.0

//go:build linux && torture

package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// course is what happens in a schedule that nothing cuts short, in its order:
// calls of the worker, and records of the journal and of the index. With lost,
// the answer to the first CreateAccessKey is. What happens more often than here,
// as the tries of a key of which AWS learns slowly do, happens earlier.
func course(k kind, c cut, lost bool) []string {
	text := "journal list-keys seal journal create-key "
	if c.cold {
		text = "journal session-token list-keys seal journal create-key "
	}
	if lost {
		text += "sealed-key list-keys delete-key journal list-keys seal journal create-key "
	}
	text += "journal store-key journal verify-key "
	if c.never {
		return strings.Fields(text)
	}
	text += "verify-key verify-key journal index "
	if c.create {
		return strings.Fields(text + "index delete index journal")
	}
	text += "journal journal "
	if k == twins {
		text += "on-rotate on-rotate "
	}
	text += "journal "
	if c.hold {
		return strings.Fields(text)
	}
	return strings.Fields(text + "list-keys verify-key set-key-status journal list-keys verify-key delete-key index delete index delete index journal")
}

// records are what in a course is not a call of the worker.
var records = []string{"journal", "index"}

// point draws a point of a course: the record or call, and which one of these.
func point(rng *rand.Rand, path []string) (at int, what string, nth int) {
	calls := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(path))), func(s string) bool { return slices.Contains(records, s) })
	what = calls[rng.IntN(len(calls))]
	if i := rng.IntN(7); i < len(records) && slices.Contains(path, records[i]) {
		what = records[i]
	}
	var points []int
	for i, s := range path {
		if s == what {
			points = append(points, i)
		}
	}
	nth = rng.IntN(len(points))
	return points[nth], what, nth + 1
}

// randomCut returns a schedule, and for which kind of rack it is. One in eight
// has faults of AWS alone; the others are cut short at a point of their course.
func randomCut(rng *rand.Rand) (kind, cut) {
	k := [...]kind{plain, plain, plain, coded, coded, typed, twins, twins, keyed, keyed}[rng.IntN(10)]
	c := cut{create: rng.IntN(5) == 0, term: rng.IntN(4) == 0, undo: rng.IntN(4) == 0, cold: k == coded && rng.IntN(3) == 0}
	c.hold = !c.create && rng.IntN(8) == 0
	switch n := rng.IntN(4); {
	case k != twins:
		c.slow = n == 0
	case n == 0:
		c.never = true
	case n < 3:
		c.knobs = append(c.knobs, "propagation=600ms:flap")
	}
	lost := rng.IntN(7) == 0
	if lost {
		c.knobs = append(c.knobs, "drop.CreateAccessKey=after:1")
	}
	path := course(k, c, lost)
	at := 0 // of a schedule with faults alone: nothing must have happened before them
	if rng.IntN(8) > 0 {
		var what string
		var nth int
		switch at, what, nth = point(rng, path); what {
		case "journal":
			c.journal = nth
		case "index":
			c.index = nth
		default:
			c.blow = randomBlow(rng, k, what, nth)
		}
	}
	if !c.planned() || rng.IntN(3) == 0 {
		for range 1 + rng.IntN(2) {
			c.knobs = append(c.knobs, randomFault(rng, path[:at], c.knobs))
		}
	}
	if rest := c.rest(k, lost, at); len(rest) > 0 && rng.IntN(4) == 0 {
		c.second = randomSecond(rng, k, rest)
	}
	return k, c
}

// rest is what may happen after the cut.
func (c cut) rest(k kind, lost bool, at int) []string {
	if c.undo && !c.create || c.never {
		return []string{"verify-key", "delete-key", "delete"}
	}
	path := course(k, cut{create: c.create, cold: c.cold}, lost)
	if !c.planned() { // a fault for which it waits cuts it short, too
		at = slices.IndexFunc(path, func(call string) bool {
			return slices.ContainsFunc(c.knobs, func(fault string) bool { return halts(call, fault) })
		})
		if at < 0 || path[at] == "list-keys" || path[at] == "create-key" { // it goes on, or is over
			return nil
		}
	}
	return path[at+1:]
}

// randomSecond returns the blow on the way to the end.
func randomSecond(rng *rand.Rand, k kind, rest []string) blow {
	rest = slices.DeleteFunc(rest, func(s string) bool { return slices.Contains(records, s) })
	if len(rest) == 0 {
		return blow{}
	}
	_, op, nth := point(rng, rest)
	b := randomBlow(rng, k, op, nth)
	for b.Fill != "" || len(b.Run) > 0 || b.Client {
		b = randomBlow(rng, k, op, nth)
	}
	return b
}

// randomBlow returns a blow at a call of a worker, in a rack of a kind.
func randomBlow(rng *rand.Rand, k kind, op string, nth int) blow {
	b := blow{Op: op, Nth: nth, After: rng.IntN(2) == 0}
	words := map[kind][]string{typed: {"lock"}, keyed: {"vanish", "shut"}}[k]
	switch rng.IntN(6 + len(words)) {
	case 0:
		b.Daemon = true
	case 1:
		b.Worker = true
	case 2:
		b.Daemon, b.Worker = true, true
	case 3:
		b.Term, b.Worker = true, rng.IntN(3) == 0
	case 4:
		b.Client, b.Daemon = true, rng.IntN(3) == 0
	case 5:
		b.Fill = [...]string{"STATE", "STATE/rotations", "STATE/vault"}[rng.IntN(3)]
		b.Daemon = rng.IntN(3) == 0
	default:
		b.Run = []string{words[rng.IntN(len(words))]}
		b.Daemon = rng.IntN(3) == 0
	}
	return b
}

// halting are faults that end a rotation, or have it wait for a person, at a
// call.
var halting = map[string]*regexp.Regexp{
	"list-keys":      regexp.MustCompile(`fail\.(ListAccessKeys|GetAccessKeyLastUsed)=(503|AccessDenied|InvalidClientTokenId)`),
	"create-key":     regexp.MustCompile(`CreateAccessKey=(503|Throttling|AccessDenied|InvalidClientTokenId|after:2)`),
	"verify-key":     regexp.MustCompile(`GetCallerIdentity=AccessDenied`),
	"set-key-status": regexp.MustCompile(`UpdateAccessKey=AccessDenied`),
	"delete-key":     regexp.MustCompile(`DeleteAccessKey=AccessDenied`),
}

func halts(call, fault string) bool { return halting[call] != nil && halting[call].MatchString(fault) }

// randomFault is something that AWS does, beside other things, and that does not
// keep a rotation from going past what is before it.
func randomFault(rng *rand.Rand, before, others []string) string {
	calls := []string{"ListAccessKeys", "CreateAccessKey", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "GetCallerIdentity", "GetUser", "GetAccessKeyLastUsed"}
	faults := []string{
		"fail.%s=500:1", "fail.%s=503:3", "fail.%s=Throttling:2", "fail.%s=AccessDenied:1", "fail.%s=InvalidClientTokenId:1",
		"drop.%s=before:1", "drop.%s=after:1", "drop.%s=after:2", "delay.%s=300ms",
	}
	of := func(fault string) bool { return strings.Contains(fault, ".CreateAccessKey=") }
	for {
		fault := fmt.Sprintf(faults[rng.IntN(len(faults))], calls[rng.IntN(len(calls))])
		over := slices.ContainsFunc(before, func(call string) bool { return halts(call, fault) })
		twice := slices.Contains(before, "create-key") && of(fault) && slices.ContainsFunc(others, of) // it is asked for twice at most
		if !over && !twice {
			return fault
		}
	}
}
