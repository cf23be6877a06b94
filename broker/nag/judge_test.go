// SPDX-License-Identifier: Apache-2.0

package nag

import (
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01 12:00")
	ago := func(days int) time.Time { return now.Add(-time.Duration(days) * day) }
	for name, tt := range map[string]struct {
		key  Key
		want Level
	}{
		"young":                      {Key{Born: ago(75), MaxAge: 90 * day}, None},
		"a day before info":          {Key{Born: ago(75), MaxAge: 90 * day}, None},
		"info":                       {Key{Born: ago(76), MaxAge: 90 * day}, Info},
		"a day before it is due":     {Key{Born: ago(89), MaxAge: 90 * day}, Info},
		"due":                        {Key{Born: ago(90), MaxAge: 90 * day}, Warn},
		"due for six days":           {Key{Born: ago(96), MaxAge: 90 * day}, Warn},
		"due for a week":             {Key{Born: ago(97), MaxAge: 90 * day}, Urgent},
		"never due":                  {Key{Born: ago(2000)}, None},
		"made in the future":         {Key{Born: ago(-5), MaxAge: 90 * day}, None},
		"younger than the warning":   {Key{Born: ago(0), MaxAge: 7 * day}, Info},
		"unused":                     {Key{Born: ago(80), MaxAge: 90 * day, UseKnown: true, LastUsed: ago(60)}, Unused},
		"unused and overdue":         {Key{Born: ago(200), MaxAge: 90 * day, UseKnown: true, LastUsed: ago(61)}, Unused},
		"used of late":               {Key{Born: ago(80), MaxAge: 90 * day, UseKnown: true, LastUsed: ago(59)}, Info},
		"never used":                 {Key{Born: ago(60), UseKnown: true}, Unused},
		"new, and not used yet":      {Key{Born: ago(10), UseKnown: true}, None},
		"its use is not known":       {Key{Born: ago(85), MaxAge: 90 * day}, Info},
		"not known, and a zero date": {Key{Born: ago(70), MaxAge: 0}, None},
	} {
		if got := usual().Judge(tt.key, now); got.Level != tt.want {
			t.Errorf("%s: level %q, want %q", name, got.Level, tt.want)
		}
	}
	off := usual()
	off.UnusedAfter = 0
	if got := off.Judge(Key{Born: ago(500), UseKnown: true}, now).Level; got != None {
		t.Errorf("unused_after is off: level %q", got)
	}
}

func TestDecideLeavesRotationsAlone(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01 12:00")
	k := Key{AccessKeyID: "A", Profiles: []string{"dev"}, Born: now.Add(-95 * day), MaxAge: 90 * day, Rotating: true}
	if got := usual().Decide([]Key{k}, nil, now, CLI); len(got) != 0 {
		t.Errorf("a key that is being replaced: %+v", got)
	}
	k.Stuck = true
	got := usual().Decide([]Key{k}, nil, now, CLI)
	if len(got) != 1 || got[0].Next != "broker rotate dev --resume" || !strings.Contains(got[0].Text, "waits for you") {
		t.Errorf("a rotation that stands still: %+v", got)
	}
	k.Born = now // the new key serves, and the old one cannot be taken out of use
	if got := usual().Decide([]Key{k}, nil, now, CLI); len(got) != 1 || got[0].Level != Warn || got[0].Next != "broker rotate dev --resume" {
		t.Errorf("a rotation that stands still with the new key: %+v", got)
	}
}

// The most urgent comes first, and the unused one says what to do.
func TestDecideOrders(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01 12:00")
	born := func(days int) time.Time { return now.Add(-time.Duration(days) * day) }
	keys := []Key{
		{AccessKeyID: "INFO", Profiles: []string{"i"}, Born: born(80), MaxAge: 90 * day, Certain: true},
		{AccessKeyID: "UNUSED", Profiles: []string{"u"}, Born: born(300), UseKnown: true, Certain: true},
		{AccessKeyID: "WARN", Profiles: []string{"w"}, Born: born(91), MaxAge: 90 * day, Certain: true},
		{AccessKeyID: "URGENT", Profiles: []string{"x", "y"}, Born: born(120), MaxAge: 90 * day},
	}
	var ids []string
	for _, n := range usual().Decide(keys, nil, now, CLI) {
		ids = append(ids, n.AccessKeyID)
		for _, text := range []string{n.Title, n.Text, n.Next} {
			if text == "" || strings.HasSuffix(text, ".") || strings.ContainsAny(text, "\n") {
				t.Errorf("%s says %q", n.AccessKeyID, text)
			}
		}
		if n.AccessKeyID == "UNUSED" && (n.Next != "broker remove u" || !strings.Contains(n.Text, "delete it rather than rotate it")) {
			t.Errorf("an unused key: %q, next %q", n.Text, n.Next)
		}
	}
	if got := strings.Join(ids, " "); got != "URGENT WARN UNUSED INFO" {
		t.Errorf("order: %s", got)
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "0 hours", time.Hour: "1 hour", 23*time.Hour + 59*time.Minute: "23 hours", day: "1 day", 90*day + time.Hour: "90 days"} {
		if got := Days(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
