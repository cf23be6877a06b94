// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestOwnLastUse: a call of broker's own with the old key that ended as the
// index switched is nobody else's.
func TestOwnLastUse(t *testing.T) {
	m := creates(t, 1)
	m.fault = func(m *model, call string) faultKind {
		if call == "Tell" {
			at := m.now.Add(time.Second)
			m.iam[oldKey].lastUsed = &at
		}
		return well
	}
	m.plan(false)
	if j := m.run(nobody(t)); j.State != Deleted {
		t.Errorf("it ended %s", j.State)
	}
}

// TestClockSetAhead: a clock that runs away is found out by the answer of IAM
// before the old key is deleted.
func TestClockSetAhead(t *testing.T) {
	m := creates(t, 1)
	j := m.plan(false)
	machine := m.machine()
	for j.State != Disabled {
		var next Next
		j, next, _ = machine.Advance(context.Background(), j)
		if next.At.After(m.now) {
			m.now = next.At
		}
	}
	right := m.now
	m.now = right.Add(365 * 24 * time.Hour)
	m.fault = func(m *model, call string) faultKind {
		if call == "ListKeys" {
			m.now = right // the answer has a date
		}
		return well
	}
	if j, next, err := machine.Advance(context.Background(), j); err != nil || next.Why != Kept || j.State != Disabled || m.iam[oldKey] == nil {
		t.Errorf("%s, %+v, %v, IAM has %v", j.State, next, err, m.iam)
	}
}

// TestIndexRebuilt: an index that names the old key again after a rebuild is put
// right before that key is taken out of use.
func TestIndexRebuilt(t *testing.T) {
	for _, state := range []State{Switched, Disabled} {
		m := creates(t, 1)
		j := m.plan(false)
		machine := m.machine()
		for j.State != state {
			var next Next
			j, next, _ = machine.Advance(context.Background(), j)
			if next.At.After(m.now) {
				m.now = next.At
			}
		}
		m.index, m.void = oldKey, state == Disabled
		if state == Disabled {
			m.now = m.now.Add(machine.KeepDisabled)
		}
		for j.State == state {
			var err error
			if j, _, err = machine.Advance(context.Background(), j); err != nil {
				t.Fatal(err)
			}
		}
		if m.index != j.New {
			t.Errorf("after %s it was %s, and the index names %s", state, j.State, m.index)
		}
	}
}

// TestF09UndoAfterALostAnswer: the old key was made Inactive, and nobody heard.
// Who goes back then has it made active again.
func TestF09UndoAfterALostAnswer(t *testing.T) {
	m := creates(t, 1)
	j := m.plan(false)
	machine := m.machine()
	lost := false
	m.fault = func(_ *model, call string) faultKind {
		if call == "SetActive" && !lost {
			lost = true
			return lostAfter
		}
		return well
	}
	for !lost {
		var next Next
		j, next, _ = machine.Advance(context.Background(), j)
		if next.At.After(m.now) {
			m.now = next.At
		}
	}
	if j.State != Switched || m.iam[oldKey].active {
		t.Fatalf("%s, IAM has %v", j.State, m.iam)
	}
	if _, err := machine.Undo(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	if j := m.run(nobody(t)); j.State != Undone || m.index != oldKey || !m.iam[oldKey].active {
		t.Errorf("it ended %s, the index names %s, IAM has %v", j.State, m.index, m.iam)
	}
}

// TestUndoWithADeadOldKey: there is nothing to go back to, so the rotation goes
// on with the new key, when the user has been told.
func TestUndoWithADeadOldKey(t *testing.T) {
	for _, at := range []State{Created, Stored, Verified} {
		m := creates(t, 1)
		m.plan(false)
		machine := m.machine()
		j := m.reach(machine, at)
		m.void = true
		delete(m.iam, oldKey)
		if _, err := machine.Undo(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		asked := 0
		j = m.run(func(j Journal, _ Next) (Journal, error) {
			if asked++; j.Back || j.Problem.Code != "key_not_valid" || !strings.Contains(j.Problem.Hint, "the new key works") {
				t.Fatalf("at %s, asked %d times: back %v, %+v", at, asked, j.Back, j.Problem)
			}
			return machine.Resume(context.Background(), j)
		})
		m.converged(j)
		if j.State != Deleted || asked != 1 || m.index != j.New {
			t.Errorf("undone at %s with a dead old key, it ended %s, asked %d times; the index names %s", at, j.State, asked, m.index)
		}
	}
}

// reach advances until a state.
func (m *model) reach(machine *Machine, state State) Journal {
	m.t.Helper()
	j, err := Decode(m.journal)
	if err != nil {
		m.t.Fatal(err)
	}
	for range 1000 {
		var next Next
		if j, next, _ = machine.Advance(context.Background(), j); j.State == state {
			return j
		}
		if next.At.After(m.now) {
			m.now = next.At
		}
	}
	m.t.Fatalf("it does not come to %s", state)
	return j
}

// TestRefusedThenNotForgotten: a refusal is told as what it is, though the vault
// could not be tidied up at once: nobody has taken anything back.
func TestRefusedThenNotForgotten(t *testing.T) {
	forgets := 0
	m := creates(t, 1)
	m.fault = func(_ *model, call string) faultKind {
		switch call {
		case "Forget":
			if forgets++; forgets == 1 {
				return laterBefore
			}
		case "CreateKey":
			return refusedBefore
		}
		return well
	}
	m.plan(false)
	j := m.run(nobody(t))
	m.converged(j)
	if j.State != Aborted || j.Problem == nil || j.Problem.Code != "aws_denied" || forgets != 2 {
		t.Errorf("%s, %+v, forgotten %d times", j.State, j.Problem, forgets)
	}
}
