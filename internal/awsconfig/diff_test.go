// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"equal", "a\n", "a\n", ""},
		{"from nothing", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"to nothing", "a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"in the middle", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
		{"two hunks", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n", "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -6,4 +7,3 @@\n 6\n 7\n 8\n-9\n"},
		{"one hunk of two changes", "1\n2\n3\n4\n5\n6\n7\n", "2\n3\n4\n5\n6\n", "@@ -1,7 +1,5 @@\n-1\n 2\n 3\n 4\n 5\n 6\n-7\n"},
		{"no last newline", "a", "a\nb", "@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n"},
		{"end of line", "a\n", "a\r\n", "@@ -1,1 +1,1 @@\n-a\n+a\n"},
		{"secrets", "[a]\naws_secret_access_key = " + canary + "\n more" + canary + "\n# Aws_Secret_Access_Key=" + canary + "\nx = " + canary + "\naws_session_token=t\n", "[a]\n", "@@ -1,6 +1,1 @@\n [a]\n-aws_secret_access_key = [redacted]\n-[redacted]\n-# Aws_Secret_Access_Key = [redacted]\n-x = [redacted]\n-aws_session_token = [redacted]\n"},
		{"secrets around", "x = 1\nbroker_secret_key = " + canary + "\n", "y = 1\nbroker_secret_key = " + canary + "\n", "@@ -1,2 +1,2 @@\n-x = 1\n+y = 1\n broker_secret_key = [redacted]\n"},
		{"what a terminal acts on", "", "\x1b[2J\tä\xff\n", "@@ -0,0 +1,1 @@\n+\ufffd[2J\tä\ufffd\n"},
	} {
		want := c.want
		if want != "" {
			want = "--- ~/config\n+++ ~/config\n" + want
		}
		if got := Diff("~/config", []byte(c.old), []byte(c.new)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

// TestDiffIsOne: patch makes the new content of the old one and the diff, which
// says that it is one, and not only that it looks like one.
func TestDiffIsOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	dir := t.TempDir()
	apply := "import sys\n" + applyDiff
	for n := range 30 {
		var old, changed []string
		for range r.IntN(60) {
			l := fmt.Sprintf("line %d", r.IntN(25))
			old = append(old, l)
			switch r.IntN(8) {
			case 0:
			case 1:
				changed = append(changed, "new", l)
			case 2:
				changed = append(changed, "other")
			default:
				changed = append(changed, l)
			}
		}
		a, b := []byte(strings.Join(old, "\n")), []byte(strings.Join(changed, "\n"))
		if n%2 == 0 {
			a, b = append(a, '\n'), append(b, '\n')
		}
		path := filepath.Join(dir, "old")
		if err := os.WriteFile(path, a, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "python3", "-c", apply, path)
		cmd.Stdin = strings.NewReader(Diff("f", a, b))
		got, err := cmd.Output()
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%v: the diff makes\n%q\nwant\n%q\nof\n%q\nby\n%s", err, got, b, a, Diff("f", a, b))
		}
	}
}

// applyDiff applies a unified diff by the line numbers in it, and minds that
// what it removes or goes past is what stands there.
const applyDiff = `
import re
old = open(sys.argv[1]).read().split("\n")
old = [l + "\n" for l in old[:-1]] + ([old[-1]] if old[-1] else [])
out, at = [], 0
lines = sys.stdin.read().split("\n")[2:-1]
for i, l in enumerate(lines):
    if l.startswith("\\"):
        continue
    m = re.match(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", l)
    if m:
        start = int(m[1]) - (int(m[2]) > 0)
        out += old[at:start]
        at = start
        assert len(out) == int(m[3]) - (int(m[4]) > 0), l
        continue
    bare = i + 1 < len(lines) and lines[i + 1].startswith("\\")
    text = l[1:] + ("" if bare else "\n")
    if l[0] != "+":
        assert old[at] == text, (old[at], text)
        at += 1
    if l[0] != "-":
        out.append(text)
sys.stdout.write("".join(out + old[at:]))
`

// TestDiffOfALargeFile: a diff of ten thousand changes is there at once.
func TestDiffOfALargeFile(t *testing.T) {
	config, names := profiles(10_000)
	wired := wireAll(t, config, names)
	began := time.Now()
	diff := Diff("config", config, wired)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it takes %v", took)
	}
	if got, want := strings.Count(diff, "\n+credential_process = "), len(names); got != want {
		t.Errorf("%d lines are added, want %d", got, want)
	}
	if n := strings.Count(diff, "\n-"); n != 2*len(names) {
		t.Errorf("%d lines are removed, want %d", n, 2*len(names))
	}
}
