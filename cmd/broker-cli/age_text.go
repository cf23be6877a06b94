// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"credbroker/internal/ipc"
)

// ageText is how old a key is. One that IAM did not tell of is at least as old
// as broker has known it, which a plus sign says; for the first hour that says
// nothing.
func ageText(k ipc.Key, now time.Time) string {
	at, certain := k.Born()
	age := now.Sub(at)
	switch {
	case certain:
		return days(age)
	case age < time.Hour:
		return "-"
	}
	return days(age) + "+"
}

// usedText is when a key was last used, and for what.
func usedText(k ipc.Key, now time.Time) string {
	switch {
	case k.LearntAt == nil || k.LastUsedError != nil:
		return "-"
	case k.LastUsed == nil:
		return "never"
	case k.LastUsedService == "":
		return days(now.Sub(*k.LastUsed)) + " ago"
	}
	return days(now.Sub(*k.LastUsed)) + " ago (" + k.LastUsedService + ")"
}

// levelText says what is to be done about a key.
func levelText(k ipc.Key, now time.Time) string {
	text := "-"
	switch k.Level {
	case ipc.LevelInfo:
		text = "due in " + days(k.DueAt.Sub(now))
	case ipc.LevelWarn:
		text = "due"
	case ipc.LevelUrgent:
		text = "overdue"
	case ipc.LevelUnused:
		text = "unused"
	}
	if k.Active != nil && !*k.Active {
		text = strings.TrimPrefix(text+", Inactive", "-, ")
	}
	if k.SnoozedUntil != nil {
		text = strings.TrimPrefix(text+", snoozed", "-, ")
	}
	return text
}

// dueText is a sentence on a key about which something is to be done, and the
// command that does it.
func dueText(k ipc.Key, now time.Time) (text, next string) {
	if k.Level == ipc.LevelUnused {
		return fmt.Sprintf("key %s of %s is not used: delete it rather than rotate it", k.AccessKeyID, k.Profile), "broker remove " + k.Profile
	}
	return fmt.Sprintf("key %s of %s is %s old, and due for rotation", k.AccessKeyID, k.Profile, ageText(k, now)), "broker rotate " + k.Profile
}

// factNotes says below a table what a column of it cannot.
func factNotes(keys []ipc.Key) []string {
	var notes []string
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.AccessKeyID] {
			continue
		}
		seen[k.AccessKeyID] = true
		switch {
		case k.FactsError != nil && k.LearntAt == nil:
			notes = append(notes, fmt.Sprintf("%s: age since broker add, because IAM does not tell: %s", k.Profile, k.FactsError.Message))
		case k.FactsError != nil:
			notes = append(notes, fmt.Sprintf("%s: as IAM told on %s, and not since: %s", k.Profile, day(*k.LearntAt), k.FactsError.Message))
		case k.LearntAt == nil:
			notes = append(notes, k.Profile+": age since broker add, until a session lets IAM be asked")
		case k.LastUsedError != nil:
			notes = append(notes, fmt.Sprintf("%s: IAM does not tell the last use: %s", k.Profile, k.LastUsedError.Message))
		}
		for _, other := range k.Others {
			notes = append(notes, fmt.Sprintf("%s: its user has another key, %s", k.Profile, keyStateText(other, "")))
		}
	}
	return notes
}

func day(t time.Time) string { return t.Local().Format(time.DateOnly) }

// days writes a time in whole days, or in hours below one.
func days(d time.Duration) string {
	switch {
	case d < time.Hour:
		return "<1h"
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

// dueKeys returns the keys about which something is to be done, each once.
func dueKeys(keys []ipc.Key) []ipc.Key {
	due := []ipc.Key{}
	seen := map[string]bool{}
	for _, k := range keys {
		if k.Due() && !seen[k.AccessKeyID] {
			seen[k.AccessKeyID] = true
			due = append(due, k)
		}
	}
	return due
}
