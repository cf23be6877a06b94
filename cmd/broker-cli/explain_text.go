// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// printExplanation writes a plan for people: paragraphs with their heads in a
// column, the settings as a table. Times are of the zone of now.
func (a *app) printExplanation(x explained, now time.Time) {
	a.paragraph("key", keyText(x.Key))
	a.paragraph("calls", callTexts(x.Explanation, now)...)
	if revoked := revokedNow(x.Key, now); revoked != "" {
		a.paragraph("now", revoked)
	} else {
		a.paragraph("code", codeTexts(x.Code, now)...)
		a.paragraph("now", nowText(x.Now, now))
	}
	a.paragraph("cannot", x.Cannot...)
	a.paragraph("SDKs", sdkTexts(x)...)
	a.paragraph("note", x.Notes...)
	a.printf("\n")
	a.printSettings(x.Explanation)
	if revokedNow(x.Key, now) != "" {
		a.printf("next: to take it back: broker revoke %s --undo; or store another key: broker add %s --replace\n", x.Key.Profile, x.Key.Profile)
		return
	}
	if x.Outranked != "" {
		a.printf("next: broker exec --mode env %s -- COMMAND\n", x.Profile)
		return
	}
	a.printf("next: broker exec %s -- COMMAND\n", x.Profile)
}

// paragraph writes lines beside a head; those that begin with a blank go on
// with the one above.
func (a *app) paragraph(head string, lines ...string) {
	for _, line := range lines {
		a.printf("%-7s %s\n", head, line)
		head = ""
	}
}

func keyText(k ipc.Key) string {
	text := k.AccessKeyID + " of " + client.OrText(k.ARN, "a user that AWS has not named yet")
	return text + ", stored for " + k.Profile + " on " + k.AddedAt.Format("2006-01-02")
}

// callTexts names each call, with what it brought before.
func callTexts(x ipc.Explanation, now time.Time) []string {
	var lines []string
	for i, c := range x.Calls {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, callText(c)))
		if extra := callExtra(c); extra != "" {
			lines = append(lines, "   "+extra)
		}
		if c.Session != nil {
			lines = append(lines, fmt.Sprintf("   made: %s, until %s", c.Session.AccessKeyID, until(c.Session.Expiration, now)))
		}
	}
	if n := len(x.Calls); n > 0 {
		last := x.Calls[n-1]
		lines = append(lines, "at "+client.OrText(last.Endpoint, "an endpoint that the AWS SDK does not know, in "+last.Region))
	}
	return lines
}

func callText(c ipc.PlannedCall) string {
	text := c.Action
	if c.RoleARN != "" {
		text += " " + c.RoleARN
	}
	if c.RoleSessionName != "" {
		text += " as " + c.RoleSessionName
	}
	if c.DurationSeconds > 0 {
		text += ", for " + awsconfig.FormatLife(time.Duration(c.DurationSeconds)*time.Second)
	}
	if c.SerialNumber != "" {
		text += ", with a code"
	}
	return text
}

// callExtra is what few roles have.
func callExtra(c ipc.PlannedCall) string {
	var parts []string
	if c.ExternalID != "" {
		parts = append(parts, "external ID "+c.ExternalID)
	}
	if c.SourceIdentity != "" {
		parts = append(parts, "source identity "+c.SourceIdentity)
	}
	var tags []string
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		tag := key + "=" + c.Tags[key]
		if slices.Contains(c.TransitiveTagKeys, key) {
			tag += " (transitive)"
		}
		tags = append(tags, tag)
	}
	if len(tags) > 0 {
		parts = append(parts, "tags "+strings.Join(tags, " "))
	}
	return strings.Join(parts, "; ")
}

// codeTexts says who is asked for a code, and when.
func codeTexts(c ipc.PlannedCode, now time.Time) []string {
	if c.When == ipc.CodeNever {
		return []string{"nobody is asked: the key is used without MFA"}
	}
	when := "the next caller needs one"
	switch {
	case c.Pending:
		when = "one is waited for now: broker mfa"
	case c.NotBefore != nil:
		when = "nobody is asked before " + until(*c.NotBefore, now)
	}
	var surfaces []string
	for _, name := range c.Surfaces {
		surfaces = append(surfaces, surfaceText(name, c.Command))
	}
	return []string{when, "of " + c.SerialNumber, "by the first that can: " + strings.Join(surfaces, ", ")}
}

// surfaceText names a place where a code is asked for.
func surfaceText(name, command string) string {
	switch name {
	case "command":
		return command
	case "terminal":
		return "your terminal"
	case "dialog":
		return "a window of the desktop"
	case "tty":
		return "the helper's terminal"
	case "wait":
		return "broker mfa"
	}
	return name
}

// revokedNow says that a key is revoked, or nothing.
func revokedNow(k ipc.Key, now time.Time) string {
	if k.Revoked == nil || k.Revoked.RevokedAt == nil {
		return ""
	}
	return "the next caller is refused: the key was revoked at " + k.Revoked.RevokedAt.In(now.Location()).Format(minute)
}

func nowText(e *ipc.PlannedEntry, now time.Time) string {
	switch {
	case e == nil:
		return "nothing is there yet"
	case e.Renewed:
		return fmt.Sprintf("%s is renewed, and serves until %s if that fails", e.AccessKeyID, until(e.Expiration, now))
	}
	return fmt.Sprintf("%s serves, until %s", e.AccessKeyID, until(e.Expiration, now))
}

// printSettings writes the table of settings. Those of another profile than
// the one that was asked for have its name.
func (a *app) printSettings(x ipc.Explanation) {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM")
	for _, s := range x.Settings {
		name := s.Name
		if s.Profile != "" && s.Profile != x.Profile {
			name += " of " + s.Profile
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", client.Printable(name), client.Printable(s.Value), client.Printable(s.From))
	}
	_ = w.Flush() // a broken standard output shows in nothing else either
}

// until is a time of the day, with its date if that is not today's, and how far
// off it is.
func until(t, now time.Time) string {
	layout := "15:04"
	t = t.In(now.Location())
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	return fmt.Sprintf("%s (%s)", t.Format(layout), span(t.Sub(now)))
}
