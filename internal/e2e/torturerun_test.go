// SPDX-License-Identifier: Apache-2.0

//go:build linux && torture

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
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

// plan is what the schedules of a seed are to hit. One in eight has faults of AWS
// alone; the others go through all targets, again and again.
type plan struct {
	seed    uint64
	targets []target
}

// faultsAlone is one in how many schedules nothing cuts short.
const faultsAlone = 8

// target returns what schedule i is to hit, by its number in p.targets.
func (p plan) target(i uint64) (n uint64, ok bool) {
	return (i - i/faultsAlone - 1) % uint64(len(p.targets)), i%faultsAlone != 0
}

func (p plan) schedule(i uint64) (kind, cut) {
	rng := rand.New(rand.NewPCG(p.seed, i))
	if n, ok := p.target(i); ok {
		return randomCut(rng, &p.targets[n])
	}
	return randomCut(rng, nil)
}

// tally counts what becomes of the schedules.
type tally struct {
	plan
	done, planned, fell     atomic.Uint64 // schedules; those that are to be cut short; those that were
	plannedAgain, fellAgain atomic.Uint64 // second cuts
	began                   time.Time
	mu                      sync.Mutex
	meant, hit              map[uint64]bool // targets that schedules had, and that were hit
}

// Of a run of so many schedules, at least leastFell in a hundred of the planned
// cuts must have fallen: a schedule that went by undisturbed has shown nothing.
const (
	enoughToJudge = 200
	leastFell     = 80
)

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return fmt.Sprintf("%d of %d planned cuts fell, on %d of %d points and ways, %d of %d second ones; %d had faults of AWS alone; %v",
		y.fell.Load(), y.planned.Load(), len(y.hit), len(y.targets), y.fellAgain.Load(), y.plannedAgain.Load(), y.done.Load()-y.planned.Load(), time.Since(y.began).Round(time.Second))
}

// count adds a schedule that has ended.
func (y *tally) count(r *rack, c cut, i uint64) {
	if n, ok := y.target(i); ok {
		y.mu.Lock()
		y.meant[n] = true
		if r.dealt {
			y.hit[n] = true
		}
		y.mu.Unlock()
	}
	if c.planned() {
		y.planned.Add(1)
	}
	if c.planned() && r.dealt {
		y.fell.Add(1)
	}
	if c.second.Op != "" {
		y.plannedAgain.Add(1)
	}
	if r.dealtAgain {
		y.fellAgain.Add(1)
	}
	y.done.Add(1)
}

// judge says what all came to, and fails the test if the cuts did not fall.
func (y *tally) judge(t *testing.T) {
	t.Helper()
	fmt.Fprintf(os.Stderr, "torture: %d schedules: %v\n", y.done.Load(), y)
	if len(y.meant) == len(y.targets) { // all had their turn
		for n, missed := range y.targets {
			if !y.hit[uint64(n)] {
				t.Errorf("never hit: %v", missed)
			}
		}
	}
	if fell, planned := y.fell.Load(), y.planned.Load(); y.done.Load() >= enoughToJudge && fell*100 < planned*leastFell {
		t.Errorf("%d of %d planned cuts fell, want at least %d %%: see course", fell, planned, leastFell)
	}
}

// TestTorture cuts rotations short, see targets: N schedules from number FROM on,
// in WORLDS worlds at once. A schedule follows from SEED and its number, so one
// that failed is seen again with FROM=number N=1.
func TestTorture(t *testing.T) {
	needRoot(t)
	seed := number(t, "SEED", rand.Uint64())
	from, n := number(t, "FROM", 0), number(t, "N", 1000)
	worlds := min(number(t, "WORLDS", 4), n)
	fmt.Fprintf(os.Stderr, "torture: SEED=%d FROM=%d N=%d WORLDS=%d\n", seed, from, n, worlds)
	all := &tally{plan: plan{seed, targets(seed)}, began: time.Now(), meant: map[uint64]bool{}, hit: map[uint64]bool{}}
	t.Cleanup(func() { all.judge(t) })
	var next atomic.Uint64
	for world := range worlds {
		t.Run(strconv.FormatUint(world, 10), func(t *testing.T) {
			t.Parallel()
			racks := map[kind]*rack{}
			for i := from + next.Add(1) - 1; i < from+n; i = from + next.Add(1) - 1 {
				k, c := all.schedule(i)
				if racks[k] == nil {
					racks[k] = newRackOf(t, k)
				}
				schedule(t, racks[k], c, seed, i)
				all.count(racks[k], c, i)
				if d := all.done.Load(); d%20 == 0 && d < n {
					fmt.Fprintf(os.Stderr, "torture: %d of %d schedules: %v\n", d, n, all)
				}
			}
		})
	}
}

// schedule runs a schedule, and says which it was if it fails.
func schedule(t *testing.T, r *rack, c cut, seed, i uint64) {
	t.Helper()
	began := time.Now()
	defer func() {
		took := time.Since(began).Round(time.Millisecond)
		if t.Failed() {
			fmt.Fprintf(os.Stderr, "torture: schedule %d failed after %v: %v %v; again: SEED=%d FROM=%d N=1\n", i, took, r.kind, c, seed, i)
		} else if testing.Verbose() {
			fmt.Fprintf(os.Stderr, "torture: schedule %d: %v, fell=%v again=%v, %v %v\n", i, took, r.dealt, r.dealtAgain, r.kind, c)
		}
	}()
	r.tear(c)
}
