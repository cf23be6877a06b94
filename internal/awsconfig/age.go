// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// offText is how the config spells Off, and that there is nothing.
	offText = "off"
	// An age of less than a day would be reached before the first notice, and
	// ten years are as good as never.
	minAge, maxAge = day, 3650 * day
)

// parseAge reads an age of a key, or "off".
func parseAge(v string) (time.Duration, error) {
	if v == offText {
		return Off, nil
	}
	d, err := parseDuration(v, minAge, maxAge)
	if err != nil {
		return 0, fmt.Errorf("%w, or %s", err, offText)
	}
	return d, nil
}

func formatAge(d time.Duration) string {
	if d == Off {
		return offText
	}
	return formatDuration(d)
}

// parseChannels reads a list of channels, or "off".
func parseChannels(v string) ([]string, error) {
	if v == offText {
		return nil, nil
	}
	names, err := parseNames(v, channels())
	if err != nil {
		return nil, fmt.Errorf("%w, or be %s", err, offText)
	}
	return names, nil
}

func formatChannels(names []string) string {
	if len(names) == 0 {
		return offText
	}
	return strings.Join(names, " ")
}

// parseQuietHours reads "22:00-08:00", or "off".
func parseQuietHours(v string) (QuietHours, error) {
	if v == offText {
		return QuietHours{}, nil
	}
	wrong := errors.New("must be two times of day such as 22:00-08:00, or " + offText)
	from, to, ok := strings.Cut(v, "-")
	if !ok {
		return QuietHours{}, wrong
	}
	var q QuietHours
	var okFrom, okTo bool
	q.Begin, okFrom = minuteOfDay(from)
	q.End, okTo = minuteOfDay(to)
	if !okFrom || !okTo || q.Begin == q.End {
		return QuietHours{}, wrong
	}
	return q, nil
}

func minuteOfDay(text string) (int, bool) {
	at, err := time.Parse("15:04", strings.TrimSpace(text))
	return at.Hour()*60 + at.Minute(), err == nil
}

// String returns q as the config spells it.
func (q QuietHours) String() string {
	if q.Begin == q.End {
		return offText
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", q.Begin/60, q.Begin%60, q.End/60, q.End%60)
}

// Contains reports whether t, by its own zone, is in q.
func (q QuietHours) Contains(t time.Time) bool {
	minute := t.Hour()*60 + t.Minute()
	if q.Begin <= q.End {
		return q.Begin <= minute && minute < q.End
	}
	return q.Begin <= minute || minute < q.End
}
