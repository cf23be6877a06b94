// SPDX-License-Identifier: Apache-2.0

//go:build linux && torture

package e2e

import (
	"fmt"
	"math"
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

// planned reports whether there is more than faults of AWS.
func (c cut) planned() bool { return c.blow.Op != "" || c.journal+c.index > 0 }

// target is a point of a course, and what happens there.
type target struct {
	what string // the record or call
	nth  int    // which one of these, from 1
	blow blow   // at a call
	term bool   // at a record the daemon is asked to end, not killed
	on   []kind // the racks that can be hit like that; nil: any
}

func (t target) String() string {
	if t.blow.Op != "" {
		return t.blow.String()
	}
	return fmt.Sprintf("%s %d term=%v", t.what, t.nth, t.term)
}

// targets are all of them: each call and record of each course, before and after
// it, in each way. Their order follows from the seed.
func targets(seed uint64) []target {
	var all []target
	seen := map[string]int{}
	for _, k := range []kind{plain, coded, twins} {
		for _, how := range []struct{ cold, lost bool }{{false, false}, {false, true}, {k == coded, true}} {
			n := map[string]int{}
			for _, what := range course(k, cut{cold: how.cold}, how.lost) {
				if n[what]++; n[what] > seen[what] {
					seen[what] = n[what]
					all = append(all, targetsAt(what, n[what])...)
				}
			}
		}
	}
	rand.New(rand.NewPCG(seed, math.MaxUint64)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func targetsAt(what string, nth int) (all []target) {
	if slices.Contains(records, what) {
		return []target{{what: what, nth: nth}, {what: what, nth: nth, term: true}}
	}
	for _, after := range []bool{false, true} {
		for _, b := range []blow{
			{Daemon: true},
			{Worker: true},
			{Daemon: true, Worker: true},
			{Term: true},
			{Client: true},
			{Fill: "STATE"},
			{Fill: "STATE/rotations"},
			{Fill: "STATE/vault"},
			{Run: []string{"lock"}},
			{Run: []string{"vanish"}},
			{Run: []string{"shut"}},
		} {
			b.Op, b.Nth, b.After = what, nth, after
			t := target{what: what, nth: nth, blow: b}
			switch {
			case len(b.Run) > 0 && (what == "on-rotate" || what == "session-token"):
				continue // these are of racks whose vault stays open
			case len(b.Run) > 0 && b.Run[0] == "lock":
				t.on = []kind{typed}
			case len(b.Run) > 0:
				t.on = []kind{keyed}
			}
			all = append(all, t)
		}
	}
	return all
}

// in returns where in a course a target is, or false.
func (t target) in(path []string) (at int, ok bool) {
	nth := 0
	for i, what := range path {
		if what == t.what {
			nth++
		}
		if nth == t.nth {
			return i, true
		}
	}
	return 0, false
}

// randomCut returns a schedule, and for which kind of rack it is: one that is cut
// short at the target, or, without one, one with faults of AWS alone.
func randomCut(rng *rand.Rand, t *target) (kind, cut) {
	k, c, lost := randomCourse(rng)
	path := course(k, c, lost)
	at, ok := 0, true // with faults alone nothing must have happened before them
	if t != nil {
		at, ok = t.in(path)
		ok = ok && (t.on == nil || slices.Contains(t.on, k))
	}
	if !ok {
		return randomCut(rng, t)
	}
	switch {
	case t == nil:
	case t.what == "journal":
		c.journal, c.term = t.nth, t.term
	case t.what == "index":
		c.index, c.term = t.nth, t.term
	default:
		c.blow = t.blow
		b := &c.blow
		b.Worker = b.Worker || b.Term && rng.IntN(3) == 0
		b.Daemon = b.Daemon || (b.Client || b.Fill != "" || len(b.Run) > 0) && rng.IntN(3) == 0
	}
	if t == nil || rng.IntN(3) == 0 {
		for range 1 + rng.IntN(2) {
			c.knobs = append(c.knobs, randomFault(rng, path[:at], c.knobs))
		}
	}
	if rest := c.rest(k, lost, at); len(rest) > 0 && rng.IntN(4) == 0 {
		c.second = randomSecond(rng, rest)
	}
	return k, c
}

// randomCourse returns a schedule that is not cut short, and whether the first
// answer to CreateAccessKey is lost in it.
func randomCourse(rng *rand.Rand) (k kind, c cut, lost bool) {
	k = [...]kind{plain, plain, plain, coded, coded, typed, twins, twins, keyed, keyed}[rng.IntN(10)]
	c = cut{create: rng.IntN(5) == 0, undo: rng.IntN(4) == 0, cold: k == coded && rng.IntN(3) == 0}
	c.hold = !c.create && rng.IntN(8) == 0
	switch n := rng.IntN(4); {
	case k != twins:
		c.slow = n == 0
	case n == 0:
		c.never = true
	case n < 3:
		c.knobs = append(c.knobs, "propagation=600ms:flap")
	}
	if lost = rng.IntN(7) == 0; lost {
		c.knobs = append(c.knobs, "drop.CreateAccessKey=after:1")
	}
	return k, c, lost
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

// randomSecond returns the blow on the way to the end: at a call, somebody is hit.
func randomSecond(rng *rand.Rand, rest []string) blow {
	rest = slices.DeleteFunc(rest, func(s string) bool { return slices.Contains(records, s) })
	if len(rest) == 0 {
		return blow{}
	}
	what := rest[rng.IntN(len(rest))]
	at := 1 + rng.IntN(len(slices.DeleteFunc(slices.Clone(rest), func(s string) bool { return s != what })))
	all := slices.DeleteFunc(targetsAt(what, at), func(t target) bool { return t.blow.Fill != "" || len(t.blow.Run) > 0 || t.blow.Client })
	return all[rng.IntN(len(all))].blow
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
