// SPDX-License-Identifier: Apache-2.0

//go:build linux && torture

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// number reads a variable of make torture.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is not a number", name, text)
	}
	return n
}

// TestTorture cuts rotations short at random: N schedules from number FROM on,
// in WORLDS worlds at once. A schedule follows from SEED and its number, so one
// that failed is seen again with FROM=number N=1.
func TestTorture(t *testing.T) {
	needRoot(t)
	seed := number(t, "SEED", rand.Uint64())
	from, n := number(t, "FROM", 0), number(t, "N", 1000)
	worlds := min(number(t, "WORLDS", 4), n)
	fmt.Fprintf(os.Stderr, "torture: SEED=%d FROM=%d N=%d WORLDS=%d\n", seed, from, n, worlds)
	began := time.Now()
	var next, done, dealt atomic.Uint64
	for world := range worlds {
		t.Run(strconv.FormatUint(world, 10), func(t *testing.T) {
			t.Parallel()
			racks := map[kind]*rack{}
			for i := from + next.Add(1) - 1; i < from+n; i = from + next.Add(1) - 1 {
				k, c := randomCut(rand.New(rand.NewPCG(seed, i)))
				if racks[k] == nil {
					racks[k] = newRackOf(t, k)
				}
				if schedule(t, racks[k], c, seed, i) {
					dealt.Add(1)
				}
				if d := done.Add(1); d%20 == 0 || d == n {
					fmt.Fprintf(os.Stderr, "torture: %d of %d schedules, %d of them cut short, %v\n", d, n, dealt.Load(), time.Since(began).Round(time.Second))
				}
			}
		})
	}
}

// schedule runs a schedule, and says which it was if it fails.
func schedule(t *testing.T, r *rack, c cut, seed, i uint64) (dealt bool) {
	t.Helper()
	began := time.Now()
	defer func() {
		took := time.Since(began).Round(time.Millisecond)
		if t.Failed() {
			fmt.Fprintf(os.Stderr, "torture: schedule %d failed after %v: %v %v; again: SEED=%d FROM=%d N=1\n", i, took, r.kind, c, seed, i)
		} else if testing.Verbose() {
			fmt.Fprintf(os.Stderr, "torture: schedule %d: %v, %v %v\n", i, took, r.kind, c)
		}
	}()
	r.tear(c)
	return r.dealt
}

// randomCut returns a schedule, and for which kind of rack it is.
func randomCut(rng *rand.Rand) (kind, cut) {
	k := [...]kind{plain, plain, plain, plain, coded, coded, typed, twins, twins, keyed}[rng.IntN(10)]
	c := cut{create: rng.IntN(5) == 0, hold: rng.IntN(8) == 0, term: rng.IntN(4) == 0, undo: rng.IntN(4) == 0}
	switch rng.IntN(8) {
	case 0:
		c.journal = 1 + rng.IntN(10)
	case 1:
		c.index = 1 + rng.IntN(5)
	case 2: // faults of AWS alone
	default:
		c.blow = randomBlow(rng, k)
		if c.blow.Op == "sealed-key" {
			c.knobs = append(c.knobs, "drop.CreateAccessKey=after:1")
		}
	}
	if c.blow.Op == "" && c.journal+c.index == 0 || rng.IntN(3) == 0 {
		for range 1 + rng.IntN(2) {
			c.knobs = append(c.knobs, randomFault(rng))
		}
	}
	if k == twins {
		switch rng.IntN(4) {
		case 0:
			c.never = true
		case 1, 2:
			c.knobs = append(c.knobs, "propagation=600ms:flap")
		}
	}
	if rng.IntN(4) == 0 {
		for c.second = randomBlow(rng, k); c.second.Fill != "" || len(c.second.Run) > 0 || c.second.Client; {
			c.second = randomBlow(rng, k)
		}
	}
	return k, c
}

// randomBlow returns a blow that a worker deals out in a rack of a kind.
func randomBlow(rng *rand.Rand, k kind) blow {
	ops := []string{"seal", "list-keys", "create-key", "create-key", "store-key", "verify-key", "set-key-status", "delete-key", "delete", "sealed-key"}
	switch k {
	case twins:
		ops = append(ops, "on-rotate", "on-rotate")
	case coded:
		ops = append(ops, "session-token")
	}
	b := blow{Op: ops[rng.IntN(len(ops))], Nth: 1, After: rng.IntN(2) == 0}
	switch b.Op {
	case "list-keys", "verify-key", "delete", "on-rotate":
		b.Nth += rng.IntN(2)
	}
	most := 6
	if k == typed || k == keyed {
		most++
	}
	switch rng.IntN(most) {
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
	case 6:
		b.Run = map[kind][]string{typed: {"lock"}, keyed: {"vanish"}}[k]
		b.Daemon = rng.IntN(3) == 0
	}
	return b
}

// randomFault is something that AWS does.
func randomFault(rng *rand.Rand) string {
	calls := []string{"ListAccessKeys", "CreateAccessKey", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "GetCallerIdentity", "GetUser", "GetAccessKeyLastUsed"}
	call := calls[rng.IntN(len(calls))]
	faults := []string{
		"fail.%s=500:1", "fail.%s=503:3", "fail.%s=Throttling:2", "fail.%s=AccessDenied:1", "fail.%s=InvalidClientTokenId:1",
		"drop.%s=before:1", "drop.%s=after:1", "drop.%s=after:2", "delay.%s=300ms",
	}
	return fmt.Sprintf(faults[rng.IntN(len(faults))], call)
}
