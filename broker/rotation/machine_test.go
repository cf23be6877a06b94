// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// nobody fails the test when the rotation waits for a person.
func nobody(t *testing.T) func(Journal, Next) (Journal, error) {
	return func(j Journal, next Next) (Journal, error) {
		t.Helper()
		t.Fatalf("it waits for a person: %s, %+v", next.Why, j.Problem)
		return j, nil
	}
}

// creates makes CreateKey come out well, which in the model is a matter of luck.
func creates(t *testing.T, seed uint64) *model {
	t.Helper()
	for ; ; seed++ {
		m := newModel(t, seed)
		m.plan(false)
		if j := m.run(nobody(t)); j.State == Deleted && j.Attempts == 1 && !slices.Contains(m.history, "Sealed(0)") {
			return newModel(t, seed)
		}
	}
}

func TestARotation(t *testing.T) {
	m := creates(t, 1)
	m.flap = 15 * time.Second
	m.plan(false)
	j := m.run(nobody(t))
	m.converged(j)
	if j.State != Deleted || m.index != j.New || len(m.told) != 1 {
		t.Errorf("%s: the index names %s, told %v", j.State, m.index, m.told)
	}
	if kept := j.EndedAt.Sub(*j.DisabledAt); kept < 24*time.Hour {
		t.Errorf("the old key was kept for %v", kept)
	}
	if verified := j.SwitchedAt.Sub(*j.StoredAt); verified < 10*time.Second {
		t.Errorf("the new key was verified for %v", verified)
	}
}

// TestAnySchedule is the promise against chance: whatever call is lost, refused
// or cut off, and whenever the user changes their mind, what the index names
// works at every instant, and in the end one key is left.
func TestAnySchedule(t *testing.T) {
	const schedules = 4000
	seed := rand.Uint64()
	ends := map[State]int{}
	for n := range uint64(schedules) {
		j := anySchedule(t, seed+n)
		if t.Failed() {
			return
		}
		ends[j.State]++
	}
	t.Logf("seed %d: %v", seed, ends)
	for _, s := range []State{Deleted, Undone, Aborted} {
		if ends[s] < schedules/50 {
			t.Errorf("%d of %d schedules came to %s: they do not try enough", ends[s], schedules, s)
		}
	}
}

func anySchedule(t *testing.T, seed uint64) Journal {
	t.Helper()
	m := newModel(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("schedule %d", seed)
		}
	}()
	m.flap = time.Duration(m.rng.IntN(30)) * time.Second
	m.plan(m.rng.IntN(4) == 0)
	m.calls = 0
	faults := m.rng.IntN(6)
	m.fault = func(m *model, _ string) faultKind {
		if faults == 0 || m.rng.IntN(5) > 0 {
			return well
		}
		faults--
		return faultKind(m.rng.IntN(int(killAfter) + 1))
	}
	machine := m.machine()
	j := m.run(func(j Journal, _ Next) (Journal, error) {
		if m.rng.IntN(3) == 0 {
			m.skipped, m.holds = m.skipped || j.Back && j.State == Verified, false
			return machine.Undo(context.Background(), j)
		}
		return machine.Resume(context.Background(), j)
	})
	m.converged(j)
	return j
}

// TestF06NeverValid: the new key is taken back, and the old one serves.
func TestF06NeverValid(t *testing.T) {
	m := creates(t, 1)
	m.flap, m.period = 1000*time.Hour, 0
	m.plan(false)
	j := m.run(nobody(t))
	m.converged(j)
	if j.State != Aborted || j.Problem == nil || j.Problem.Code != "key_not_valid" || slices.Contains(m.history, "Switch:"+j.New+"(0)") {
		t.Errorf("%s, %+v, %v", j.State, j.Problem, m.history)
	}
}

// TestF11SecondKey: nothing is written when the second slot is taken.
func TestF11SecondKey(t *testing.T) {
	m := newModel(t, 1)
	used := m.now.Add(-time.Hour)
	m.iam["AKIASOMEBODYELSES234"] = &modelKey{active: true, created: m.now.Add(-400 * 24 * time.Hour), lastUsed: &used}
	j := m.plan(false)
	j, _, err := m.machine().Advance(context.Background(), j)
	if j.State != Aborted || err == nil || len(m.iam) != 2 || len(m.vault) != 2 {
		t.Fatalf("%s, %v; IAM has %v, the vault %v", j.State, err, m.iam, m.vault)
	}
	for _, want := range []string{"AKIASOMEBODYELSES234", "2025-01-25", used.Format(time.RFC3339), "s3"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %s", err, want)
		}
	}
	for _, call := range m.history {
		if strings.HasPrefix(call, "CreateKey") || strings.HasPrefix(call, "DeleteKey") || strings.HasPrefix(call, "SetActive") {
			t.Errorf("%s was called", call)
		}
	}
}

// TestUsedElsewhere: a use of the old key after the switch stops the rotation,
// until the user has been told of that use.
func TestUsedElsewhere(t *testing.T) {
	m := creates(t, 1)
	m.fault = func(m *model, call string) faultKind {
		if call == "Tell" {
			at := m.now.Add(2 * overlap)
			m.iam[oldKey].lastUsed = &at
		}
		return well
	}
	m.plan(false)
	machine, asked := m.machine(), 0
	j := m.run(func(j Journal, next Next) (Journal, error) {
		asked++
		if j.State != Switched || j.Problem.Code != "key_in_use" || !m.iam[oldKey].active || !strings.Contains(j.Problem.Message, "s3") {
			t.Errorf("stopped at %s: %+v", j.State, j.Problem)
		}
		return machine.Resume(context.Background(), j)
	})
	m.converged(j)
	if asked != 1 || j.State != Deleted {
		t.Errorf("asked %d times, ended %s", asked, j.State)
	}
}

// TestF09Undo: within the grace everything is as it was before.
func TestF09Undo(t *testing.T) {
	for _, at := range []State{Created, Stored, Verified, Switched, Disabled} {
		m := creates(t, 1)
		m.flap = 3 * time.Second
		j := m.plan(false)
		machine := m.machine()
		for j.State != at {
			var next Next
			j, next, _ = machine.Advance(context.Background(), j)
			if j.State != at && next.At.After(m.now) {
				m.now = next.At
			}
		}
		j, err := machine.Undo(context.Background(), j)
		if err != nil {
			t.Fatal(err)
		}
		j = m.run(nobody(t))
		m.converged(j)
		if j.State != Undone {
			t.Errorf("undone at %s, it ended %s", at, j.State)
		}
		if _, err := machine.Undo(context.Background(), j); err == nil {
			t.Error("what has ended was undone")
		}
	}
}

// TestF02Stranger: a key that this rotation cannot have made is not deleted.
func TestF02Stranger(t *testing.T) {
	used := time.Date(2026, 3, 1, 9, 0, 5, 0, time.UTC)
	for name, stranger := range map[string]modelKey{
		"made earlier": {active: true, created: used.Add(-time.Hour)},
		"made later":   {active: true, created: used.Add(time.Hour)},
		"used":         {active: true, created: used, lastUsed: &used},
	} {
		m := newModel(t, 1)
		m.fault = func(m *model, call string) faultKind {
			if call == "CreateKey" {
				m.iam["AKIASOMEBODYELSES234"] = &stranger
				return lostBefore
			}
			return well
		}
		m.plan(false)
		machine, asked := m.machine(), false
		m.run(func(j Journal, _ Next) (Journal, error) {
			asked = true
			if j.Problem.Code != "key_unexplained" || m.iam["AKIASOMEBODYELSES234"] == nil {
				t.Errorf("%s: %+v, IAM has %v", name, j.Problem, m.iam)
			}
			delete(m.iam, "AKIASOMEBODYELSES234") // the user does
			return machine.Undo(context.Background(), j)
		})
		if !asked {
			t.Errorf("%s: nobody was asked", name)
		}
	}
}

// TestF14RotatedElsewhere: the old key was deleted by somebody else meanwhile.
func TestF14RotatedElsewhere(t *testing.T) {
	m := creates(t, 1)
	m.fault = func(m *model, call string) faultKind {
		if call == "Tell" {
			delete(m.iam, oldKey)
		}
		return well
	}
	m.plan(false)
	j := m.run(nobody(t))
	m.converged(j)
	if j.State != Deleted {
		t.Errorf("it ended %s", j.State)
	}
}

// TestSurvivorGone: nothing is taken out of use while what is to remain does
// not work.
func TestSurvivorGone(t *testing.T) {
	m := creates(t, 1)
	j := m.plan(false)
	machine := m.machine()
	for j.State != Switched || !j.Told {
		var next Next
		j, next, _ = machine.Advance(context.Background(), j)
		if next.At.After(m.now) {
			m.now = next.At
		}
	}
	m.void = true
	delete(m.iam, j.New)
	for range 500 {
		var next Next
		if j, next, _ = machine.Advance(context.Background(), j); next.Why == Stuck {
			break
		}
		m.now = next.At
	}
	if j.Problem == nil || j.Problem.Code != "key_not_valid" || !m.iam[oldKey].active {
		t.Errorf("%+v, IAM has %v", j.Problem, m.iam)
	}
}

func TestDecodeRefuses(t *testing.T) {
	m := newModel(t, 1)
	m.plan(false)
	good := string(m.journal)
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"v":1`, `"v":2`},
		{`"planned"`, `"lost"`},
		{`"planned"`, `"created"`},
		{`"planned"`, `"switched"`},
		{oldKey, "ASIAOLDOLDOLDOLDOLD2"},
		{item(99), "item"},
		{item(11), item(1)},
		{`"twin"`, `"twin","key":"` + oldKey + `"`},
		{`{`, `[`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := Decode([]byte(bad)); err == nil || bad == good {
			t.Errorf("%s in place of %s was taken", change[1], change[0])
		}
	}
}

// FuzzJournalReplay runs any schedule of faults: each byte says what happens to
// one call.
func FuzzJournalReplay(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 5, 0, 6, 0, 4})
	f.Add([]byte{6, 6, 6, 6, 6, 6, 6, 6, 6, 6})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 100)] // a disk that never keeps a journal keeps it from ending
		m := newModel(t, uint64(len(script)))
		m.plan(false)
		m.fault = func(_ *model, _ string) faultKind {
			if len(script) == 0 {
				return well
			}
			kind := faultKind(script[0] % byte(killAfter+1))
			script = script[1:]
			return kind
		}
		machine := m.machine()
		m.converged(m.run(func(j Journal, _ Next) (Journal, error) { return machine.Resume(context.Background(), j) }))
	})
}

func TestErrorKinds(t *testing.T) {
	if kindOf(errors.New("x")) != Unknown || kindOf(&Error{Kind: Later, Err: ErrGone}) != Later || !errors.Is(&Error{Err: ErrGone}, ErrGone) {
		t.Error("an error does not say what it means")
	}
}
