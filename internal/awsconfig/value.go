// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ParseLife reads how long credentials are to live, as the config spells it:
// "12h", "1h30m", "1d". What no AWS call takes, less than 15 minutes or more
// than 36 hours, is an error. What a role takes is for the caller to look at.
func ParseLife(text string) (time.Duration, error) {
	return parseDuration(text, MinSessionDuration, MaxSessionDuration)
}

// FormatLife writes a length as ParseLife reads it: "12h", "1h30m".
func FormatLife(d time.Duration) string { return formatDuration(d) }

// ParseDuration reads a duration as the config spells it, between two bounds. The
// error says what it must be.
func ParseDuration(text string, least, most time.Duration) (time.Duration, error) {
	return parseDuration(text, least, most)
}

// parseDuration reads "90d", "12h", "1h30m", "50s" or "1d12h": whole seconds
// between two bounds.
func parseDuration(text string, least, most time.Duration) (time.Duration, error) {
	d, ok := wholeDuration(text)
	if !ok {
		return 0, errors.New("must be a duration such as 12h, 30m or 50s")
	}
	if d < least || d > most {
		return 0, fmt.Errorf("must be from %s to %s", formatDuration(least), formatDuration(most))
	}
	return d, nil
}

func wholeDuration(text string) (time.Duration, bool) {
	const mostDays = 36500 // a century, far below what overflows
	var days uint64
	if before, after, ok := strings.Cut(text, "d"); ok {
		var err error
		if days, err = strconv.ParseUint(before, 10, 32); err != nil || days > mostDays {
			return 0, false
		}
		if text = after; text == "" {
			text = "0s"
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > mostDays*24*time.Hour || d%time.Second != 0 || strings.HasPrefix(text, "+") {
		return 0, false
	}
	return d + time.Duration(days)*24*time.Hour, true
}

// formatDuration writes a duration as people do: "12h", "20m", "90d".
func formatDuration(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// checkEndpoint accepts https anywhere and http on this machine: MFA codes go
// there, and the credentials that come back are believed.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must be a URL such as https://host")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		ip, _ := netip.ParseAddr(u.Hostname()) // the zero Addr is not loopback
		if u.Hostname() == "localhost" || ip.IsLoopback() {
			return nil
		}
		return errors.New("must be https; http is for 127.0.0.1 and [::1] only")
	}
	return errors.New("must be https")
}

// checkProxy accepts what net/http takes for a proxy of https requests.
func checkProxy(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("must be a URL such as http://proxy.example.com:3128")
	}
	return nil
}

// checkPath accepts absolute paths: brokerd has no directory or home to start
// a relative one from.
func checkPath(text string) error {
	if !strings.HasPrefix(text, "/") {
		return errors.New("must be an absolute path")
	}
	return checkText(text)
}

// checkText accepts what can stand in a file as it is.
func checkText(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || string(cutComment([]byte(text), false)) != text {
		return errors.New("has characters that cannot stand in a config file")
	}
	return nil
}

// splitWords cuts a command line into words without a shell: blanks separate,
// double quotes and single quotes keep them, a backslash takes the next
// character as it is except in single quotes. Nothing is expanded.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	word.Grow(len(text))
	inWord, quote, escaped := false, rune(0), false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			inWord, quote = true, r
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				word.Grow(len(text))
				inWord = false
			}
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("has a quote without its partner")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// joinWords writes words so that splitWords, after the grammar of the file has
// had its way with comments and blanks, gives them back.
func joinWords(words []string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if word == "" {
			b.WriteString(`""`)
		}
		for _, r := range word {
			if strings.ContainsRune(" \t\\\"'#;", r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
	// A blank at the end of a value is none: it has to stand in quotes.
	text := b.String()
	if n := len(text); n > 0 && isBlank(text[n-1]) {
		text = text[:n-2] + `"` + text[n-1:] + `"`
	}
	return text
}

// nearest returns the name that takes the fewest changes of a character to
// come from text.
func nearest(text string, names []string) string {
	text = text[:min(len(text), 64)] // longer than any name; the work grows with it
	slices.Sort(names)
	return slices.MinFunc(names, func(a, b string) int { return distance(text, a) - distance(text, b) })
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
