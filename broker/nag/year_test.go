// SPDX-License-Identifier: Apache-2.0

package nag

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine
)

// go test ./broker/nag -run TestAYear -update writes testdata/year.golden anew.
var update = flag.Bool("update", false, "write the files that tests compare with")

const day = 24 * time.Hour

// tick is how often a simulated daemon looks: the real one does each minute.
const tick = 5 * time.Minute

// laptop is one member of the team for a year.
type laptop struct {
	name    string
	policy  Policy
	desktop bool // else only commands tell
	zone    func(time.Time) *time.Location
	skew    func(time.Time) time.Duration // of the wall clock
	awake   func(local time.Time) bool    // by the true local time
	begin   map[time.Time]Key             // keys that are added
	patient int                           // notices about a due key before its user rotates it; 0: never does
	snooze  map[string]time.Duration      // by access key ID: at its third notice

	keys   []Key
	memory Memory
	heard  map[string]int            // notices, by key
	due    map[string]int            // those about a key that was due
	days   map[string]map[string]int // notices by key and true local day
	chance map[string]map[string]int // ticks at which a key could have been mentioned
	last   time.Time                 // of the desktop, true time
	woke   bool
	spoken int // since it woke, within the hour
	wakeAt time.Time
	lines  []string
}

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func place(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return l
}

func always(name string) func(time.Time) *time.Location {
	l := place(name)
	return func(time.Time) *time.Location { return l }
}

func exact(time.Time) time.Duration { return 0 }

// office is open on weekdays from nine to half past five.
func office(t time.Time) bool {
	if t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		return false
	}
	minute := t.Hour()*60 + t.Minute()
	return minute >= 9*60 && minute < 17*60+30
}

// night is 22:00 to 08:00.
func night(t time.Time) bool { return t.Hour() >= 22 || t.Hour() < 8 }

func usual() Policy {
	return Policy{WarnBefore: 14 * day, UnusedAfter: 60 * day, Repeat: day, Quiet: night}
}

func key(id, born string, age time.Duration, profiles ...string) Key {
	return Key{AccessKeyID: id, Profiles: profiles, Born: at(born), Certain: true, MaxAge: age}
}

// team are the laptops: one that is simply used, one that travels, one that is
// off for three months, one whose clock is wrong, and one with an old key that
// nobody uses and one that IAM tells nothing of.
func team() []*laptop {
	travel := []struct {
		from string
		zone *time.Location
	}{
		{"2026-01-01 00:00", place("Europe/Berlin")},
		{"2026-03-08 05:00", place("America/New_York")}, // the day on which its clocks change
		{"2026-03-28 12:00", place("Europe/Berlin")},    // the day before its clocks do
		{"2026-06-10 08:00", place("Asia/Tokyo")},
		{"2026-06-20 03:00", place("America/Los_Angeles")}, // over the date line
		{"2026-07-01 00:00", place("Pacific/Auckland")},    // and back
		{"2026-07-10 00:00", place("Europe/Berlin")},
	}
	return []*laptop{
		{
			name: "ann", policy: usual(), desktop: true, zone: always("Europe/Berlin"), skew: exact, awake: office, patient: 2,
			begin: map[time.Time]Key{
				at("2026-01-05 00:00"): key("A-DEV", "2026-01-05 00:00", 90*day, "dev"),
				at("2026-01-05 00:05"): key("A-OPS", "2025-10-20 00:00", 90*day, "ops", "prod"),
				at("2026-08-03 00:00"): key("A-NEW", "2026-08-03 00:00", 30*day, "new"),
			},
		},
		{
			name: "bob", policy: usual(), desktop: true, skew: exact, patient: 10,
			zone: func(t time.Time) *time.Location {
				now := travel[0].zone
				for _, leg := range travel {
					if !t.Before(at(leg.from)) {
						now = leg.zone
					}
				}
				return now
			},
			awake:  func(t time.Time) bool { return t.Hour() >= 6 || t.Hour() < 1 }, // works late
			begin:  map[time.Time]Key{at("2026-01-05 00:00"): key("B-DEV", "2025-12-10 00:00", 90*day, "dev"), at("2026-04-20 00:00"): key("B-TWO", "2026-03-20 00:00", 90*day, "two")},
			snooze: map[string]time.Duration{"B-TWO": 7 * day},
		},
		{
			name: "cat", policy: usual(), desktop: true, zone: always("America/New_York"), skew: exact, patient: 1,
			awake: func(t time.Time) bool { return office(t) && (t.Month() < time.June || t.Month() > time.August) },
			begin: map[time.Time]Key{
				at("2026-01-05 00:00"): key("C-ONE", "2026-03-10 00:00", 90*day, "one"),
				at("2026-01-05 00:05"): key("C-TWO", "2026-03-20 00:00", 90*day, "two"),
				at("2026-01-05 00:10"): key("C-THREE", "2026-04-01 00:00", 90*day, "three"),
			},
		},
		{
			name: "dan", policy: Policy{WarnBefore: 7 * day, Repeat: 3 * day, Quiet: night}, zone: always("Europe/London"), awake: office, patient: 4,
			skew: func(t time.Time) time.Duration {
				switch {
				case t.After(at("2026-04-01 12:00")) && t.Before(at("2026-04-02 14:00")):
					return 40 * day // a flat battery
				case t.After(at("2026-04-06 09:10")) && t.Before(at("2026-04-06 16:00")):
					return -3 * time.Hour
				}
				return 0
			},
			begin: map[time.Time]Key{at("2026-01-05 00:00"): key("D-DEV", "2026-01-05 00:00", 90*day, "dev")},
		},
		{
			name: "eve", policy: usual(), zone: always("Europe/Berlin"), skew: exact, awake: office,
			begin: map[time.Time]Key{
				at("2026-02-02 00:00"): {AccessKeyID: "E-OLD", Profiles: []string{"old"}, Born: at("2026-02-02 00:00"), Certain: true, UseKnown: true, LastUsed: at("2026-10-12 09:00"), MaxAge: 0},
				at("2026-09-07 08:00"): {AccessKeyID: "E-DARK", Profiles: []string{"dark"}, Born: at("2026-09-07 08:00"), MaxAge: 90 * day},
			},
		},
	}
}

// TestAYear lives a year with every laptop of the team.
func TestAYear(t *testing.T) {
	t.Parallel()
	var all []string
	for _, l := range team() {
		l.memory, l.heard, l.due = Memory{}, map[string]int{}, map[string]int{}
		l.days, l.chance = map[string]map[string]int{}, map[string]map[string]int{}
		for now := at("2026-01-05 00:00"); now.Before(at("2027-01-05 00:00")); now = now.Add(tick) {
			l.live(t, now)
		}
		l.check(t)
		all = append(all, l.lines...)
	}
	got := strings.Join(all, "\n") + "\n"
	golden := filepath.Join("testdata", "year.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("the year is another one from line %d on:\nwant %s\ngot  %s\nif that is meant: go test ./broker/nag -run TestAYear -update", i+1, a[i], b[min(i, len(b)-1)])
			}
		}
		t.Fatalf("%d lines more than in %s", len(b)-len(a), golden)
	}
}

// live is one tick of a laptop.
func (l *laptop) live(t *testing.T, now time.Time) {
	if k, ok := l.begin[now]; ok {
		l.keys = append(l.keys, k)
	}
	local := now.In(l.zone(now))
	if !l.awake(local) {
		l.woke = false
		return
	}
	if !l.woke {
		l.woke, l.wakeAt, l.spoken = true, now, 0
	}
	wall := local.Add(l.skew(now))
	for _, k := range l.keys {
		if v := l.policy.Judge(k, wall); v.Level != None && !night(wall) && !wall.Before(l.memory[k.AccessKeyID].Snoozed) {
			bump(l.chance, k.AccessKeyID, local)
		}
	}
	channel := Desktop
	if !l.desktop {
		if local.Minute() != 30 { // a command each hour
			return
		}
		channel = CLI
	}
	notices := l.policy.Decide(l.keys, l.memory, wall, channel)
	for _, n := range notices {
		l.hear(t, n, now, wall)
	}
	if channel == Desktop && len(notices) > 0 {
		if now.Sub(l.last) < gap {
			t.Errorf("%s: two notices within an hour at %v", l.name, local)
		}
		if l.spoken += len(notices); now.Sub(l.wakeAt) < gap && l.spoken > 1 {
			t.Errorf("%s: %d notices on waking at %v", l.name, l.spoken, local)
		}
		l.last = now
	}
}

// hear is what the user does about a notice.
func (l *laptop) hear(t *testing.T, n Notice, now, wall time.Time) {
	local := now.In(l.zone(now))
	id := n.AccessKeyID
	switch {
	case night(wall):
		t.Errorf("%s: a notice in quiet hours, at %v", l.name, local)
	case wall.Before(l.memory[id].Snoozed):
		t.Errorf("%s: a notice about a snoozed key, at %v", l.name, local)
	}
	if bump(l.days, id, local) > 1 {
		t.Errorf("%s: a second notice about %s on %s", l.name, id, local.Format(time.DateOnly))
	}
	l.lines = append(l.lines, fmt.Sprintf("%s  %s %-7s %-6s %s: %s", local.Format("2006-01-02 15:04 MST"), l.name, n.Channel, n.Level, n.Text, n.Next))
	l.memory[id] = l.memory[id].Tell(wall)
	l.heard[id]++
	if n.Level.Due() {
		l.due[id]++
	}
	if d := l.snooze[id]; d > 0 && l.heard[id] == 3 {
		m := l.memory[id]
		m.Snoozed = wall.Add(d)
		l.memory[id] = m
		l.lines = append(l.lines, fmt.Sprintf("%s  %s snoozes %s for %s", local.Format("2006-01-02 15:04 MST"), l.name, id, Days(d)))
	}
	if i := slices.IndexFunc(l.keys, func(k Key) bool { return k.AccessKeyID == id }); l.patient > 0 && l.due[id] >= l.patient && i >= 0 {
		k := l.keys[i]
		k.AccessKeyID, k.Born = id+"+", now
		l.keys[i] = k
		l.lines = append(l.lines, fmt.Sprintf("%s  %s rotates %s", local.Format("2006-01-02 15:04 MST"), l.name, id))
	}
}

// check holds the year against the config: a key that stood at a level for a
// whole working day, and was not mentioned for repeat before, was mentioned.
func (l *laptop) check(t *testing.T) {
	const working = 90 // ticks: seven and a half hours
	for id, days := range l.chance {
		silent := 0
		for _, d := range sortedDays(days) {
			switch {
			case l.days[id][d] > 0:
				silent = 0
			case days[d] >= working:
				silent++
			}
			if silent >= int(l.policy.Repeat/day)+1 {
				t.Errorf("%s: nothing about %s for %d days, until %s", l.name, id, silent, d)
			}
		}
	}
	for _, k := range l.keys {
		if l.patient > 0 && l.policy.Judge(k, at("2027-01-05 00:00")).Level == Urgent {
			t.Errorf("%s: key %s is overdue after a year, though its user rotates", l.name, k.AccessKeyID)
		}
	}
}

func sortedDays(days map[string]int) []string {
	var list []string
	for d := range days {
		list = append(list, d)
	}
	slices.Sort(list)
	return list
}

func bump(m map[string]map[string]int, id string, local time.Time) int {
	if m[id] == nil {
		m[id] = map[string]int{}
	}
	m[id][local.Format(time.DateOnly)]++
	return m[id][local.Format(time.DateOnly)]
}
