// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const stranger = "AKIASOMEBODYELSES234"

// newCreation is a model in which oldKey asks IAM for a key of a profile that
// has none. The index names oldKey for the profile that asks all the time.
func newCreation(t *testing.T, seed uint64) *model {
	t.Helper()
	m := newModel(t, seed)
	maker := Maker{Using: "base", UserName: "ann", AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:user/ann"}
	j, err := PlanCreation(strings.Repeat("b", 32), maker, item(99), "second", item(11), m.now)
	if err == nil {
		err = m.Save(context.Background(), j)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.creates = true
	return m
}

// explained is the promise of a creation, at every instant: what IAM has made is
// named by the index, or by the journal on the disk; the secret of a key that is
// to stay is sealed, or stored; and nobody else's key is touched.
func (m *model) explained(when string) {
	m.t.Helper()
	j, err := Decode(m.journal)
	if err != nil {
		m.t.Fatal(err)
	}
	wrong := ""
	k, there := m.iam[m.second]
	if m.second != "" && (!there || !k.active || m.now.Before(k.knownAt) || m.vault[j.Places[0].NewItem] != m.second) {
		wrong = "the index names " + m.second + ", which does not work"
	}
	for id := range m.iam {
		open := !j.State.Ended() && (j.New == id || j.New == "" && j.Sent != nil)
		if id != oldKey && id != stranger && id != m.second && !open {
			wrong = "nobody names " + id + ", which IAM has"
		}
	}
	kept := m.sealed == j.New && m.vault[j.Seal] == "seal" || m.vault[j.Places[0].NewItem] == j.New
	if j.New != "" && !j.State.Ended() && !j.Back && !kept {
		wrong = "the secret of " + j.New + " is lost"
	}
	if m.strange && m.iam[stranger] == nil {
		wrong = "somebody else's key is deleted"
	}
	if wrong != "" {
		m.t.Fatalf("%s, %s: %s; %s", when, j.State, wrong, strings.Join(m.history, " "))
	}
}

// settled checks the end of a creation: a key that is named, stored and works, or
// no trace of one.
func (m *model) settled(j Journal) {
	m.t.Helper()
	keys, items := []string{oldKey}, []string{item(1), item(2)}
	if j.State == Added {
		keys, items = append(keys, j.New), append(items, j.Places[0].NewItem)
	}
	if m.strange {
		keys = append(keys, stranger)
	}
	named := m.second == ""
	if j.State == Added {
		named = m.second == j.New && m.vault[j.Places[0].NewItem] == j.New
	}
	slices.Sort(keys)
	slices.Sort(items)
	haveKeys, haveItems := slices.Sorted(maps.Keys(m.iam)), slices.Sorted(maps.Keys(m.vault))
	if !named || m.sealed != "" || m.index != oldKey || !slices.Equal(haveKeys, keys) || !slices.Equal(haveItems, items) {
		m.t.Fatalf("%s: IAM has %v, the vault %v, the file %q, the index %q; %s", j.State, haveKeys, haveItems, m.sealed, m.second, strings.Join(m.history, " "))
	}
	if j.State == Aborted && j.Problem == nil {
		m.t.Fatalf("it came to nothing, and does not say why; %s", strings.Join(m.history, " "))
	}
}

// TestAnyCreation is TestAnySchedule for add --create: whatever call is refused,
// lost or cut off, whatever somebody else does to the same user, and whenever the
// user wants it back.
func TestAnyCreation(t *testing.T) {
	const schedules = 600
	seed := rand.Uint64()
	ends := map[State]int{}
	for n := range uint64(schedules) {
		ends[anyCreation(t, seed+n).State]++
		if t.Failed() {
			return
		}
	}
	t.Logf("seed %d: %v", seed, ends)
	for _, s := range []State{Added, Undone, Aborted} {
		if ends[s] < schedules/50 {
			t.Errorf("%d of %d schedules came to %s: they do not try enough", ends[s], schedules, s)
		}
	}
}

func anyCreation(t *testing.T, seed uint64) Journal {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("creation %d", seed)
		}
	}()
	m := newCreation(t, seed)
	m.flap = time.Duration(m.rng.IntN(30)) * time.Second
	if m.rng.IntN(8) == 0 { // AWS never accepts it
		m.flap, m.period = 1000*time.Hour, 0
	}
	appears := 0
	if m.rng.IntN(4) == 0 {
		appears = 1 + m.rng.IntN(12)
	}
	m.calls = 0
	faults := m.rng.IntN(8)
	m.fault = func(m *model, _ string) faultKind {
		if m.calls == appears && len(m.iam) < maxKeys {
			m.appear()
		}
		if faults == 0 || m.rng.IntN(4) > 0 {
			return well
		}
		faults--
		return faultKind(m.rng.IntN(int(killAfter) + 1))
	}
	machine := m.machine()
	j := m.run(func(j Journal, _ Next) (Journal, error) {
		if m.strange && j.Problem.Code == "key_unexplained" { // whoever it is of takes it away
			m.strange = false
			delete(m.iam, stranger)
		}
		if m.rng.IntN(3) == 0 {
			return machine.Undo(context.Background(), j)
		}
		return machine.Resume(context.Background(), j)
	})
	m.settled(j)
	return j
}

// appear has somebody else make a key of the same user, long ago or just now,
// which they use.
func (m *model) appear() {
	used := m.now.Add(-time.Minute)
	k := &modelKey{active: m.rng.IntN(2) == 0, created: m.now, lastUsed: &used}
	if m.rng.IntN(2) == 0 {
		k.created, k.lastUsed = m.now.Add(-400*24*time.Hour), nil
	}
	m.iam[stranger], m.strange = k, true
}

// TestCreationCutAtEachCall cuts an otherwise undisturbed creation at each of
// its calls in each way, one at a time.
func TestCreationCutAtEachCall(t *testing.T) {
	for kind := refusedBefore; kind <= killAfter; kind++ {
		for at := 1; ; at++ {
			m := newCreation(t, 1)
			cut := ""
			m.calls, m.lucky = 0, true
			m.fault = func(m *model, call string) faultKind {
				if m.calls != at {
					return well
				}
				cut = call
				return kind
			}
			machine := m.machine()
			j := m.run(func(j Journal, _ Next) (Journal, error) { return machine.Resume(context.Background(), j) })
			m.settled(j)
			if cut == "" {
				break // it has fewer calls
			}
			if kind >= killBefore && j.State != Added {
				t.Errorf("killed at %s, call %d, it came to %s", cut, at, j.State)
			}
		}
	}
}

// TestCreationQuota: with both places taken nothing is written, and the user is
// told who has them.
func TestCreationQuota(t *testing.T) {
	m := newCreation(t, 1)
	m.appear()
	j := m.run(nobody(t))
	m.settled(j)
	if j.State != Aborted || j.Problem.Code != "key_quota" || !strings.Contains(j.Problem.Message, stranger) || m.vault[item(99)] != "" {
		t.Errorf("%s, %+v; the vault has %v", j.State, j.Problem, m.vault)
	}
}

// TestCreationIsNotUndoneOnceNamed: when the index may name the key, deleting it
// at IAM would leave a profile with a key that does not work.
func TestCreationIsNotUndoneOnceNamed(t *testing.T) {
	m := newCreation(t, 1)
	machine := m.machine()
	m.fault = func(_ *model, call string) faultKind {
		if call == "Forget" {
			return laterBefore
		}
		return well
	}
	j, err := Decode(m.journal)
	for range 200 {
		var next Next
		if j, next, err = machine.Advance(context.Background(), j); m.second != "" {
			break
		}
		m.now = slices.MaxFunc([]time.Time{m.now, next.At}, time.Time.Compare)
	}
	if j.State != Verified || err == nil {
		t.Fatalf("%s, %v", j.State, err)
	}
	var refused *Error
	if j, err = machine.Undo(context.Background(), j); !errors.As(err, &refused) || refused.Kind != Refused || j.Back || !strings.Contains(refused.Hint, "broker revoke second") {
		t.Errorf("%+v, %v", j, err)
	}
	m.fault = nil
	if j = m.run(nobody(t)); j.State != Added {
		t.Errorf("it came to %s", j.State)
	}
	if _, err := machine.Undo(context.Background(), j); err == nil || !strings.Contains(err.Error(), "make a key for profile second") {
		t.Errorf("who is too late is told: %v", err)
	}
	m.settled(j)
}
