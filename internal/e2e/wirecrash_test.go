// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"syscall"
	"testing"

	"credbroker/internal/testtracer"
)

// at strikes the nth call.
func at(n int, strike testtracer.Strike) func(testtracer.Call) testtracer.Strike {
	return func(c testtracer.Call) testtracer.Strike {
		if c.N == n {
			return strike
		}
		return testtracer.Strike{}
	}
}

// TestWireKilledAtEachStep: kill -9 before and after every system call by which an
// edit changes anything leaves each file whole, and the same command finishes the
// work.
func TestWireKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for name, edit := range edits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := edit(t)
			struck, left, halves := 0, 0, 0
			for n := 1; n <= len(s.steps); n++ {
				for _, moment := range []testtracer.When{testtracer.Before, testtracer.After} {
					when := fmt.Sprintf("kill -9 %v call %d, %v", moment, n, s.steps[n-1])
					s.reset()
					r, calls := s.struck(false, at(n, testtracer.Strike{Kill: moment}))
					if other := differ(s.stepsOf(calls), s.steps[:n]); r.status != -1 || len(calls) != n || other != "" {
						t.Fatalf("%s: exit status %d, %d calls: %s", when, r.status, len(calls), other)
					}
					struck++
					half := s.check(when)
					if half {
						halves++
					}
					left += len(s.temporaries())
					s.heals(when, half)
				}
			}
			if left == 0 || halves == 0 {
				t.Errorf("%d kills left a temporary file, %d came between the two files: they show nothing", left, halves)
			}
			if struck != 2*len(s.steps) {
				t.Errorf("%d kills at %d calls", struck, len(s.steps))
			}
			t.Logf("%d kills at %d calls, %d between the two files; %d states", struck, len(s.steps), halves, len(s.healed))
		})
	}
}

// TestWireDiskFullAtEachStep: a disk that is full, or fails, at any one system call
// of an edit leaves each file whole and nothing else, and what the command says is
// true.
func TestWireDiskFullAtEachStep(t *testing.T) {
	t.Parallel()
	for name, edit := range edits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := edit(t)
			reads := name == "wire" // the others read as it does
			steps := s.seen(reads)
			struck, failed := 0, 0
			for n, step := range steps {
				for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
					if errno == syscall.ENOSPC && !step.changes {
						continue
					}
					when := fmt.Sprintf("%v at call %d, %v", errno, n+1, step)
					s.reset()
					r, calls := s.struck(reads, at(n+1, testtracer.Strike{Fail: errno}))
					if other := differ(s.stepsOf(calls), steps[:n+1]); other != "" {
						t.Fatalf("%s: exit status %d, %d calls: %s; stderr %q", when, r.status, len(calls), other, r.stderr)
					}
					struck++
					if r.status != 0 {
						failed++
					}
					half := s.check(when)
					s.told(when, r)
					s.heals(when, half)
				}
			}
			if failed == 0 {
				t.Error("no failure reached the edit")
			}
			t.Logf("%d failures at %d calls, %d told of; %d states", struck, len(steps), failed, len(s.healed))
		})
	}
}
