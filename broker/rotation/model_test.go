// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	oldKey = "AKIAOLDOLDOLDOLDOLD2"
	itemID = "broker.v1.00000000000000000000000000000000"
)

func item(n int) string { return fmt.Sprintf("broker.v1.%032x", n) }

// modelKey is a key at the model's IAM.
type modelKey struct {
	active   bool
	created  time.Time
	knownAt  time.Time // AWS accepts it from then on; before, now and then
	lastUsed *time.Time
}

// model is a world in one user's account, and on one laptop, that keeps only
// what a crash leaves: IAM, the vault, the sealed file, the index, the journal.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Time
	iam     map[string]*modelKey
	made    int
	named   int               // items, by newItem
	vault   map[string]string // item → access key ID, or "seal"
	sealed  string
	index   string
	second  string // what the index names for the profile of a creation
	journal []byte
	told    []string

	creates bool          // see creation_test.go
	lucky   bool          // no worker dies by itself
	strange bool          // somebody else has a key, too
	flap    time.Duration // how long a key that is new to AWS is known now and then only
	period  time.Duration // of now and then; 0 is never
	calls   int
	void    bool // somebody has deleted the key that the index names: nothing can be promised
	skipped bool // the user went back without on_rotate, which failed
	holds   bool // the user wants both keys active, and has not let it go on from there
	fault   func(m *model, call string) faultKind
	history []string
}

// faultKind is what happens to one call.
type faultKind int

const (
	well faultKind = iota
	refusedBefore
	laterBefore
	lostBefore // not carried out, and nobody knows
	lostAfter  // carried out, and nobody knows
	killBefore
	killAfter
)

// killed is what a call panics with when the process dies in it.
type killed struct{}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		iam: map[string]*modelKey{}, vault: map[string]string{item(1): oldKey, item(2): oldKey}, index: oldKey,
	}
	m.iam[oldKey] = &modelKey{active: true, created: m.now.Add(-100 * 24 * time.Hour)}
	m.period = time.Duration(1+m.rng.IntN(8)) * time.Second // a run of successes is shorter than VerifyFor
	return m
}

func (m *model) plan(hold bool) Journal {
	m.t.Helper()
	m.holds = hold
	places := []Place{{Profile: "base", OldItem: item(1), NewItem: item(11)}, {Profile: "twin", OldItem: item(2), NewItem: item(12)}}
	j, err := Plan(strings.Repeat("a", 32), Subject{"ann", "111122223333", "arn:aws:iam::111122223333:user/ann", oldKey}, item(99), places, hold, m.now)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.Save(context.Background(), j); err != nil {
		m.t.Fatal(err)
	}
	return j
}

// call wraps one call with what is to happen to it, and looks at the invariant
// on both sides of it.
func (m *model) call(name string, do func() error) error {
	m.calls++
	m.safe("before " + name)
	m.now = m.now.Add(time.Duration(m.rng.IntN(900)) * time.Millisecond)
	kind := well
	if m.fault != nil {
		kind = m.fault(m, name)
	}
	m.history = append(m.history, fmt.Sprintf("%s(%d)", name, kind))
	defer func() { m.safe("after " + name) }()
	switch kind {
	case refusedBefore:
		return &Error{Kind: Refused, Code: "aws_denied", Err: errors.New(name + " refused")}
	case laterBefore:
		return &Error{Kind: Later, Code: "aws_unreachable", Err: errors.New(name + " reached nobody")}
	case lostBefore:
		return errors.New(name + " lost")
	case killBefore:
		panic(killed{})
	}
	err := do()
	switch {
	case kind == killAfter:
		panic(killed{})
	case kind == lostAfter:
		return errors.New(name + " answered, and the answer was lost")
	}
	return err
}

// safe is the promise: what the index names is stored, active and known to AWS.
func (m *model) safe(when string) {
	m.t.Helper()
	if m.void {
		return
	}
	k, there := m.iam[m.index]
	stored := 0
	for _, id := range m.vault {
		if id == m.index {
			stored++
		}
	}
	if !there || !k.active || m.now.Before(k.knownAt) || stored < 2 {
		m.t.Fatalf("%s: the index names %s: at IAM %v, stored %d times; %s", when, m.index, k, stored, strings.Join(m.history, " "))
	}
	if m.creates {
		m.explained(when)
	}
}

func (m *model) Now() time.Time { return m.now }

func (m *model) Save(_ context.Context, j Journal) error {
	return m.call("Save:"+string(j.State), func() error {
		data, err := j.Encode()
		if err == nil {
			m.journal = data
		}
		return err
	})
}

func (m *model) ListKeys(context.Context, Journal) (keys []Key, err error) {
	err = m.call("ListKeys", func() error {
		for id, k := range m.iam {
			keys = append(keys, Key{AccessKeyID: id, Active: k.active, CreateDate: k.created, LastUsed: k.lastUsed, ServiceName: "s3"})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

func (m *model) Prepare(_ context.Context, j Journal) error {
	return m.call("Prepare", func() error { m.vault[j.Seal] = "seal"; return nil })
}

func (m *model) CreateKey(_ context.Context, j Journal) (id string, err error) {
	err = m.call("CreateKey", func() error {
		if len(m.iam) >= 2 {
			return &Error{Kind: Refused, Code: "key_quota", Err: errors.New("LimitExceeded")}
		}
		m.made++
		id = fmt.Sprintf("AKIANEWNEWNEWNEWN%03d", m.made)
		m.iam[id] = &modelKey{active: true, created: m.now, knownAt: m.now.Add(m.flap)}
		if m.lucky || m.rng.IntN(3) > 0 { // else the worker died between IAM's answer and the file
			m.sealed = id
			return nil
		}
		if m.rng.IntN(2) == 0 { // or the file could not be written, and only then it died
			for _, p := range j.Places {
				m.vault[p.NewItem] = id
			}
		}
		id = ""
		return errors.New("the worker died")
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (m *model) Sealed(context.Context, Journal) (id string, err error) {
	err = m.call("Sealed", func() error { id = m.sealed; return nil })
	return id, err
}

func (m *model) Store(_ context.Context, j Journal) error {
	return m.call("Store", func() error {
		if m.sealed != j.New || m.vault[j.Seal] != "seal" {
			m.t.Fatalf("store %s: the file has %q, sealed with %q; %s", j.New, m.sealed, m.vault[j.Seal], strings.Join(m.history, " "))
		}
		for _, p := range j.Places {
			if have := m.vault[p.NewItem]; have != "" && have != j.New {
				m.t.Fatalf("store %s: item %s has %s; %s", j.New, p.NewItem, have, strings.Join(m.history, " "))
			}
			m.vault[p.NewItem] = j.New
		}
		return nil
	})
}

func (m *model) Try(_ context.Context, _ Journal, id string) error {
	return m.call("Try", func() error {
		k, there := m.iam[id]
		if !there || !k.active || !m.known(k) {
			return &Error{Kind: Refused, Code: "key_unknown", Err: fmt.Errorf("try %s: %w", id, ErrNotYet)}
		}
		return nil
	})
}

// known reports whether AWS accepts a key at this moment.
func (m *model) known(k *modelKey) bool {
	left := k.knownAt.Sub(m.now)
	return left <= 0 || m.period > 0 && (left/m.period)%2 == 0
}

func (m *model) Switch(_ context.Context, j Journal, id string) error {
	return m.call("Switch:"+id, func() error {
		if j.Creating() {
			m.second = id
		} else {
			m.index = id
		}
		return nil
	})
}

func (m *model) Tell(_ context.Context, _ Journal, id string) error {
	return m.call("Tell", func() error { m.told = append(m.told, id); return nil })
}

func (m *model) SetActive(_ context.Context, _ Journal, id string, active bool) error {
	if m.holds && id == oldKey && !active {
		m.t.Fatalf("the old key is made Inactive in spite of --hold; %s", strings.Join(m.history, " "))
	}
	return m.call("SetActive", func() error {
		k, there := m.iam[id]
		if !there {
			return &Error{Kind: Refused, Code: "key_gone", Err: ErrGone}
		}
		if active && !k.active {
			k.knownAt = m.now.Add(m.flap)
		}
		k.active = active
		return nil
	})
}

func (m *model) DeleteKey(_ context.Context, _ Journal, id string) error {
	return m.call("DeleteKey", func() error {
		if _, there := m.iam[id]; !there {
			return &Error{Kind: Refused, Code: "key_gone", Err: ErrGone}
		}
		delete(m.iam, id)
		return nil
	})
}

func (m *model) Forget(_ context.Context, j Journal, items []string) error {
	return m.call("Forget", func() error {
		for _, name := range items {
			have := m.vault[name]
			if have != "" && have == m.second {
				m.t.Fatalf("forget %s, which the index names; %s", m.second, strings.Join(m.history, " "))
			}
			if _, id := j.Holds(name); have == "seal" || have == "torn" || have == id {
				delete(m.vault, name) // a worker deletes no other key's
			}
		}
		if slices.Contains(items, j.Seal) {
			m.sealed = ""
		}
		return nil
	})
}

func (m *model) machine() *Machine {
	return &Machine{Hands: m, VerifyFor: 10 * time.Second, KeepDisabled: 24 * time.Hour, NewItem: m.newItem}
}

// newItem returns the name of an item that the vault has not, nor ever had.
func (m *model) newItem() string {
	m.named++
	return item(1000 + m.named)
}

// run advances until the rotation ends, as a daemon would, which is started
// again after each crash. user is asked when the rotation waits for a person.
func (m *model) run(user func(j Journal, next Next) (Journal, error)) Journal {
	m.t.Helper()
	machine := m.machine()
	for range 2000 {
		j, err := Decode(m.journal)
		if err != nil {
			m.t.Fatal(err)
		}
		if ended := m.session(machine, j, user); ended != nil {
			return *ended
		}
		m.now = m.now.Add(time.Duration(m.rng.IntN(90)) * time.Second) // the daemon is started again
	}
	m.t.Fatalf("it does not end: %s", strings.Join(m.history[max(0, len(m.history)-60):], " "))
	return Journal{}
}

// session runs until the end; or, and then it is nil, until the process is
// killed or has to read the journal again.
func (m *model) session(machine *Machine, before Journal, user func(Journal, Next) (Journal, error)) (ended *Journal) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
		}
	}()
	for range 2000 {
		j, next, err := machine.Advance(context.Background(), before)
		before = j
		if errors.Is(err, ErrUnsaved) {
			return nil
		}
		if data, err := j.Encode(); err != nil || string(data) != string(m.journal) {
			m.t.Fatalf("Advance returned what is not on the disk: %s, and there is %s (%v)", data, m.journal, err)
		}
		switch next.Why {
		case Done:
			return &j
		case Held, Stuck:
			m.holds = m.holds && next.Why != Held
			if before, err = user(j, next); errors.Is(err, ErrUnsaved) {
				return nil
			}
		default:
			if next.At.After(m.now) {
				m.now = next.At
			}
		}
	}
	m.t.Fatalf("it does not end: %s", strings.Join(m.history[max(0, len(m.history)-60):], " "))
	return nil
}

// converged checks that one key is left, stored in its places, and nothing else.
func (m *model) converged(j Journal) {
	m.t.Helper()
	items := []string{item(1), item(2)}
	if j.State == Deleted {
		items = []string{j.Places[0].NewItem, j.Places[1].NewItem}
		slices.Sort(items)
	}
	var have []string
	for name, id := range m.vault {
		if id != m.index {
			m.t.Fatalf("%s: item %s holds %s, and the index names %s; %s", j.State, name, id, m.index, strings.Join(m.history, " "))
		}
		have = append(have, name)
	}
	slices.Sort(have)
	if len(m.iam) != 1 || m.iam[m.index] == nil || !slices.Equal(have, items) || m.sealed != "" {
		m.t.Fatalf("%s: IAM has %v, the vault %v, the file %q, the index %s; %s", j.State, m.iam, have, m.sealed, m.index, strings.Join(m.history, " "))
	}
	if want := oldKey; j.State != Deleted && m.index != want {
		m.t.Fatalf("%s: the index names %s", j.State, m.index)
	}
	if !m.skipped && len(m.told) > 0 && m.told[len(m.told)-1] != m.index {
		m.t.Fatalf("%s: on_rotate was last run for %s, and the index names %s; %s", j.State, m.told[len(m.told)-1], m.index, strings.Join(m.history, " "))
	}
}
