// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"fmt"
	"math/rand/v2"
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
		{
			"programs that may be given a secret", "x\n",
			"[a]\ncredential_process = /bin/p --password " + canary + "\n more\nbroker_was_credential_process=\"/b c/p\" -s 1\n" +
				"mfa_process = SEED=ABC oathtool\n# mfa_process = oathtool  --totp ABC\nbroker_mfa_process = /bin/code\ncredential_process = /b/broker credential-process a\n",
			"@@ -1,1 +1,8 @@\n-x\n+[a]\n+credential_process = /bin/p [redacted]\n+[redacted]\n+broker_was_credential_process = \"/b c/p\" [redacted]\n" +
				"+mfa_process = [redacted]\n+# mfa_process = oathtool [redacted]\n+broker_mfa_process = /bin/code\n+credential_process = /b/broker credential-process a\n",
		},
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

// TestDiffIsOne: what the lines of a diff say, by their numbers, makes the new
// content of the old one.
func TestDiffIsOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	for n := range 2000 {
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
		a, b := strings.Join(old, "\n"), strings.Join(changed, "\n")
		if n%2 == 0 {
			a, b = a+"\n", b+"\n"
		}
		diff := Diff("f", []byte(a), []byte(b))
		if got := applied(t, a, diff); got != b {
			t.Fatalf("the diff makes\n%q\nwant\n%q\nof\n%q\nby\n%s", got, b, a, diff)
		}
	}
}

// applied applies a unified diff by the line numbers in it, and minds that what
// it removes or goes past is what stands there.
func applied(t *testing.T, text, diff string) string {
	t.Helper()
	if diff == "" {
		return text
	}
	old := strings.SplitAfter(text, "\n")
	var out []string
	at := 0
	lines := strings.Split(diff, "\n")
	for i, l := range lines[2 : len(lines)-1] {
		var from, size, to, n int
		if _, err := fmt.Sscanf(l, "@@ -%d,%d +%d,%d @@", &from, &size, &to, &n); err == nil {
			from, to = from-min(size, 1), to-min(n, 1)
			out, at = append(out, old[at:from]...), from
			if len(out) != to {
				t.Fatalf("%s stands at line %d of the new content", l, len(out)+1)
			}
			continue
		}
		if l[0] == '\\' {
			continue
		}
		whole := l[1:] + "\n"
		if strings.HasPrefix(lines[i+3], "\\") {
			whole = l[1:]
		}
		if l[0] != '+' {
			if old[at] != whole {
				t.Fatalf("%q is not %q", old[at], whole)
			}
			at++
		}
		if l[0] != '-' {
			out = append(out, whole)
		}
	}
	return strings.Join(append(out, old[at:]...), "")
}

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
