// SPDX-License-Identifier: Apache-2.0

package client

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/ipc"
)

// go test ./internal/client -run TestErrorsDoc -update writes docs/errors.md anew.
var update = flag.Bool("update", false, "write the files that tests compare with")

const errorsDoc = "../../docs/errors.md"

const errorsIntro = `# When broker refuses

An error is two lines on standard error, standard output stays empty, and nothing is lost: stored keys stay stored, and sessions
that still run go on being served.

` + "```console" + `
$ broker exec dev -- terraform plan
broker: error: get a session for key AKIARTX3GSDSTOLORV4X of profile dev: GetSessionToken: Throttling: Rate exceeded
broker: hint: try again in a moment
` + "```" + `

The first line says what broker was doing, to what, and what happened; where AWS or another program said it, in their words. The
second says what to do next, with a command at its end where there is one; in it, PROFILE and ARN stand for yours. Programs that
SDKs start (` + "`credential-process`" + `) say both in one line, because SDKs show no more.

Each failure has a code, which you meet in ` + "`brokerd.log`" + `, in the ` + "`problems`" + ` of ` + "`broker status --json`" + `, and below. Scripts tell
failures apart by exit status. ` + "`exec`" + ` ends as its command did, so its own failures before that are all 125.
`

// statusTitles are the sections of the page.
var statusTitles = []struct {
	status int
	title  string
}{
	{ExitError, "1: the machine, the files, the profile"},
	{ExitUsage, "2: the command line"},
	{ExitNoDaemon, "3: the daemon"},
	{ExitMFA, "4: the MFA code"},
	{ExitKeychain, "5: the store of the keys"},
	{ExitNoKey, "6: no such key or profile"},
	{ExitRefused, "7: refused by policy"},
	{ExitAWS, "8: AWS"},
	{ExitDue, "9: a key is due"},
}

// TestErrorsDoc: docs/errors.md is the table.
func TestErrorsDoc(t *testing.T) {
	want := renderErrors()
	if *update {
		if err := os.WriteFile(errorsDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(errorsDoc)
	if err != nil || string(got) != want {
		t.Errorf("docs/errors.md is not what the table says (%v); write it: go test ./internal/client -run TestErrorsDoc -update", err)
	}
	for _, o := range outcomes {
		code := o.code
		if code != "" && !strings.Contains(want, "| `"+string(code)+"` |") {
			t.Errorf("code %q is not in the page", code)
		}
	}
}

func renderErrors() string {
	var out strings.Builder
	out.WriteString(errorsIntro)
	for _, section := range statusTitles {
		fmt.Fprintf(&out, "\n## Exit status %s\n\n| code | means | what to do |\n|---|---|---|\n", section.title)
		for _, o := range slices.SortedFunc(slices.Values(outcomes), byCode) {
			if o.status == section.status {
				fmt.Fprintf(&out, "| %s | %s | %s |\n", codeCell(o.code), o.means, hintCell(o.hint))
			}
		}
	}
	return out.String()
}

func byCode(a, b outcome) int { return strings.Compare(string(a.code), string(b.code)) }

func codeCell(code ipc.Code) string {
	if code == "" {
		return "none"
	}
	return "`" + string(code) + "`"
}

// command is the command line that a hint ends with.
var command = regexp.MustCompile(`: ((?:broker|brokerd)\b[^:]*)$`)

func hintCell(hint string) string {
	if hint == "" {
		return "the message or its hint says it"
	}
	return command.ReplaceAllString(hint, ": `$1`")
}

// TestHintsReadWell: every code that stands for one thing says what to do, and
// no text of the table is one that a table of Markdown, or a line of the
// helper, cannot hold.
func TestHintsReadWell(t *testing.T) {
	own := map[ipc.Code]bool{"": true, ipc.CodeRefused: true, ipc.CodeAWSFailed: true}
	for _, o := range outcomes {
		code := o.code
		if o.means == "" || o.hint == "" && !own[code] {
			t.Errorf("%q: meaning %q, hint %q", code, o.means, o.hint)
		}
		if len(o.hint) > maxErrorLine/2 {
			t.Errorf("%q: the helper would cut the hint, which has %d bytes, at %d", code, len(o.hint), maxErrorLine/2)
		}
		for _, text := range []string{o.means, o.hint} {
			if strings.ContainsAny(text, "|\n\t") || strings.HasSuffix(text, ".") {
				t.Errorf("%q: %q", code, text)
			}
		}
	}
}
