// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"strings"
	"testing"
)

func TestHold(t *testing.T) {
	m := creates(t, 1)
	m.plan(true)
	machine, asked := m.machine(), 0
	j := m.run(func(j Journal, next Next) (Journal, error) {
		asked++
		if next.Why != Held || !m.iam[oldKey].active || !m.iam[j.New].active || len(m.told) != 1 {
			t.Errorf("%s: IAM has %v, told %v", next.Why, m.iam, m.told)
		}
		return machine.Resume(context.Background(), j)
	})
	m.converged(j)
	if asked != 1 {
		t.Errorf("held %d times", asked)
	}
}

// TestHoldOutlivesAStop: whatever stops a rotation on its way to where it is
// held, and however often the user has it go on, it is held there.
func TestHoldOutlivesAStop(t *testing.T) {
	for _, call := range []string{"Store", "Try", "Switch", "Tell"} {
		m := creates(t, 1)
		failures := 2
		m.fault = func(_ *model, name string) faultKind {
			if strings.HasPrefix(name, call) && failures > 0 {
				failures--
				return refusedBefore
			}
			return well
		}
		m.plan(true)
		machine, stops, held := m.machine(), 0, 0
		j := m.run(func(j Journal, next Next) (Journal, error) {
			if next.Why == Stuck {
				stops++
			} else if held++; !m.iam[oldKey].active {
				t.Errorf("after %s failed: held with IAM %v", call, m.iam)
			}
			return machine.Resume(context.Background(), j)
		})
		m.converged(j)
		if stops != 2 || held != 1 {
			t.Errorf("after %s failed: %d stops, held %d times", call, stops, held)
		}
	}
}

// TestHoldLater: a rotation that began without is held too, up to when the old
// key may be Inactive; from then on the user is told that it is too late.
func TestHoldLater(t *testing.T) {
	for _, at := range []State{Planned, Created, Stored, Verified, Switched, Disabled} {
		for _, told := range []bool{false, true} {
			m := creates(t, 1)
			m.lucky = true
			j := m.plan(false)
			machine := m.machine()
			for j.State != at || at == Switched && j.Told != told {
				var next Next
				j, next, _ = machine.Advance(context.Background(), j)
				if j.State != at && next.At.After(m.now) {
					m.now = next.At
				}
			}
			late := at == Disabled || at == Switched && told
			j, err := machine.Hold(context.Background(), j)
			if m.holds = err == nil; m.holds == late || m.holds != j.Hold {
				t.Fatalf("at %s, told %v: %v, hold is %v", at, told, err, j.Hold)
			}
			held := 0
			m.converged(m.run(func(j Journal, _ Next) (Journal, error) { held++; return machine.Resume(context.Background(), j) }))
			if held == 1 == late {
				t.Errorf("at %s, told %v: held %d times", at, told, held)
			}
		}
	}
}
