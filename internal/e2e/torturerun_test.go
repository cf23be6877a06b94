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
	var done, dealt atomic.Uint64
	for world := range worlds {
		t.Run(strconv.FormatUint(world, 10), func(t *testing.T) {
			t.Parallel()
			r := newRack(t)
			for i := from + world; i < from+n; i += worlds {
				c := randomCut(rand.New(rand.NewPCG(seed, i)))
				func() {
					defer func() {
						if t.Failed() {
							fmt.Fprintf(os.Stderr, "torture: schedule %d failed: %v; again: SEED=%d FROM=%d N=1\n", i, c, seed, i)
						}
					}()
					r.tear(c)
				}()
				if r.dealt {
					dealt.Add(1)
				}
				if d := done.Add(1); d%20 == 0 || d == n {
					fmt.Fprintf(os.Stderr, "torture: %d of %d schedules, %d of them cut short, %v\n", d, n, dealt.Load(), time.Since(began).Round(time.Second))
				}
			}
		})
	}
}

// randomCut returns a schedule.
func randomCut(rng *rand.Rand) cut {
	var c cut
	ops := []string{"seal", "list-keys", "create-key", "create-key", "verify-key", "set-key-status", "delete-key", "delete", "sealed-key"}
	switch rng.IntN(8) {
	case 0:
		c.journal = 1 + rng.IntN(10)
	case 1:
		c.index = 1 + rng.IntN(5)
	case 2: // faults of AWS alone
	default:
		c.blow = blow{Op: ops[rng.IntN(len(ops))], Nth: 1, After: rng.IntN(2) == 0}
		switch c.blow.Op {
		case "list-keys", "verify-key", "delete":
			c.blow.Nth += rng.IntN(2)
		case "sealed-key":
			c.knobs = append(c.knobs, "drop.CreateAccessKey=after:1")
		}
		switch rng.IntN(4) {
		case 0:
			c.blow.Daemon = true
		case 1:
			c.blow.Worker = true
		case 2:
			c.blow.Daemon, c.blow.Worker = true, true
		case 3:
			c.blow.Fill = "STATE"
			c.blow.Daemon = rng.IntN(3) == 0
		}
	}
	if c.blow.Op == "" && c.journal+c.index == 0 || rng.IntN(3) == 0 {
		for range 1 + rng.IntN(2) {
			c.knobs = append(c.knobs, randomFault(rng))
		}
	}
	c.undo = rng.IntN(4) == 0
	return c
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
