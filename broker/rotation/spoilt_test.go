// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// tearing is a model whose vault spoils what it is given first, some times.
type tearing struct {
	*model
	times int      // how often Store fails yet
	torn  []string // the items that are spoilt
}

func (m *tearing) Store(ctx context.Context, j Journal) error {
	for _, p := range j.Places {
		if slices.Contains(m.torn, p.NewItem) {
			return &Error{Kind: Refused, Code: "keychain_corrupt", Err: fmt.Errorf("%w: again", ErrSpoilt)}
		}
	}
	if m.times > 0 {
		m.times--
		m.torn = append(m.torn, j.Places[0].NewItem)
		m.vault[j.Places[0].NewItem] = "torn"
		return &Error{Kind: Refused, Code: "keychain_corrupt", Err: ErrSpoilt}
	}
	return m.model.Store(ctx, j)
}

// tornRun advances a rotation whose items are spoilt some times, and returns how
// it ended and how often a person had to be asked.
func tornRun(t *testing.T, times int) (*tearing, Journal, int) {
	t.Helper()
	m := &tearing{model: creates(t, 1), times: times}
	names, asked := 100, 0
	machine := m.machine()
	machine.Hands = m
	machine.NewItem = func() string { names++; return item(names) }
	m.plan(false)
	for range 1000 {
		j, err := Decode(m.journal)
		if err != nil {
			t.Fatal(err)
		}
		_, next, err := machine.Advance(context.Background(), j)
		if errors.Is(err, ErrUnsaved) {
			t.Fatal(err)
		}
		if j, err = Decode(m.journal); err != nil {
			t.Fatal(err)
		}
		switch {
		case next.Why == Done:
			return m, j, asked
		case next.Why == Stuck:
			asked++
			if j, err = machine.Resume(context.Background(), j); err != nil {
				t.Fatal(err)
			}
		case !next.At.IsZero():
			m.now = next.At
		}
		m.verify(machine, j)
	}
	t.Fatal("it does not end")
	return m, Journal{}, asked
}

// verify makes up for Streak, which Decode forgets: nobody is killed here.
func (m *tearing) verify(machine *Machine, j Journal) {
	for j.State == Stored && !j.Back {
		var next Next
		if j, next, _ = machine.Advance(context.Background(), j); !next.At.IsZero() {
			m.now = next.At
		}
	}
}

// TestF04SpoiltItem: what the vault did not keep is stored again under another
// name, and never written over; when that happens again and again, a person
// looks at the store. Nothing of it is left in the end.
func TestF04SpoiltItem(t *testing.T) {
	for times, persons := range map[int]int{1: 0, 2: 0, 3: 1, 7: 2} {
		m, j, asked := tornRun(t, times)
		if j.State != Deleted || asked != persons || len(j.Spoilt) != times*len(j.Places) {
			t.Errorf("spoilt %d times: %s, a person was asked %d times, want %d; spoilt: %v", times, j.State, asked, persons, j.Spoilt)
		}
		if len(m.vault) != len(j.Places) {
			t.Errorf("spoilt %d times: the vault has %v", times, m.vault)
		}
		for _, p := range j.Places {
			if m.vault[p.NewItem] != j.New || slices.Contains(m.torn, p.NewItem) {
				t.Errorf("spoilt %d times: item %s of %s holds %q", times, p.NewItem, p.Profile, m.vault[p.NewItem])
			}
		}
	}
}

// TestF24LostSecretInTheVault: the disk was full, so the sealed file was not
// written; the vault has the secret; and nobody heard. The key is deleted, and
// what the vault has of it too, under whatever name.
func TestF24LostSecretInTheVault(t *testing.T) {
	for _, lost := range []int{1, attempts} {
		m := creates(t, 1)
		j := m.plan(false)
		var items []string
		m.fault = func(m *model, call string) faultKind {
			if call != "CreateKey" || len(items) == lost*len(j.Places) {
				return well
			}
			made := fmt.Sprintf("AKIALOSTLOSTLOSTLO%d", len(items))
			m.iam[made] = &modelKey{active: true, created: m.now}
			now, err := Decode(m.journal)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range now.Places {
				m.vault[p.NewItem] = made
				items = append(items, p.NewItem)
			}
			return lostBefore
		}
		m.lucky = true
		j = m.run(nobody(t))
		m.converged(j)
		if want := map[int]State{1: Deleted, attempts: Aborted}[lost]; j.State != want || len(items) != lost*len(j.Places) {
			t.Errorf("lost %d times, it came to %s: %v", lost, j.State, items)
		}
	}
}
