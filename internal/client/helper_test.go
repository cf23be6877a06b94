// SPDX-License-Identifier: Apache-2.0

package client

import (
	"strings"
	"testing"
	"time"
)

func TestHelperCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // empty: refused
		life time.Duration
	}{
		{[]string{"dev"}, "dev", 0},
		{[]string{"--profile", "dev"}, "dev", 0},
		{[]string{"--profile=dev"}, "dev", 0},
		{[]string{"-p", "a/b.c"}, "a/b.c", 0},
		{[]string{"dev", "--"}, "dev", 0},
		{[]string{"--", "dev"}, "dev", 0},
		{[]string{"--duration=1h30m", "dev"}, "dev", 90 * time.Minute},
		{[]string{"dev", "-d", "12h", "--"}, "dev", 12 * time.Hour},
		{[]string{"-d=15m", "-p", "dev"}, "dev", 15 * time.Minute},
		{nil, "", 0},
		{[]string{""}, "", 0},
		{[]string{"dev", "dev"}, "", 0},
		{[]string{"--profile"}, "", 0},
		{[]string{"--json", "dev"}, "", 0},
		{[]string{"--profile", "dev", "ops"}, "", 0},
		{[]string{"--duration=1h"}, "", 0},
		{[]string{"dev", "-d"}, "", 0},
		{[]string{"dev", "-d", ""}, "", 0},
		{[]string{"dev", "-d", "14m"}, "", 0},
		{[]string{"dev", "-d", "37h"}, "", 0},
		{[]string{"--d=1h", "dev"}, "", 0},
	} {
		got, life, err := parseHelper(test.args)
		if (err != nil) != (test.want == "") || err == nil && (got != test.want || time.Duration(life) != test.life) {
			t.Errorf("parseHelper(%q) = %q, %v, %v; want %q, %v", test.args, got, life, err, test.want, test.life)
		}
	}
}

// TestP49HostileProfileNames: a name that could traverse a path, forge a line
// of a file or move a cursor is refused where it is read.
func TestP49HostileProfileNames(t *testing.T) {
	for _, name := range []string{
		"", "a b", "a\nb", "a\x00b", "\x1b[31m", "a\tb", "a\\b", "[a]", "a=b", "a#b", "é", "e\u0301", "\u202edev", "-x", "$(id)", "`id`", "a;b", strings.Repeat("x", 300),
	} {
		if got, _, err := parseHelper([]string{"--profile", name}); err == nil {
			t.Errorf("the helper takes %q as %q", name, got)
		}
		_, status := Failure(func() error { _, _, err := parseHelper([]string{"--profile", name}); return err }())
		if status != ExitUsage {
			t.Errorf("%q: exit status %d, want %d", name, status, ExitUsage)
		}
	}
}
