// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// go test ./internal/e2e -run TestRefusals -update writes the table anew.
var update = flag.Bool("update", false, "write the files that tests compare with")

const refusalsGolden = "testdata/refusals.golden"

// cause is something that goes wrong, for real, and goes right again.
type cause struct {
	name string
	code string // as docs/errors.md has it
	// do brings the cause about, undo takes it away. Either may be nil.
	do, undo func()
	// call meets it; nil is the helper for profile, or for dev.
	call    func() result
	profile string
	// again is the first call after undo, which must succeed; nil is call.
	again func() result
	// warm says that a session that is there is served all the same.
	warm bool
	// foreground has exec meet the cause as well, and its text shown where it
	// differs from the helper's. It costs the time of the cause once more.
	foreground bool
	keep       bool // the daemon lives on; else the one that meets the cause is new
	root       bool // do needs root
}

// scene is a world in which causes come and go, one after the other: what one
// of them breaks for good, the next one shows.
type scene struct {
	*world
	rows  *rows
	codes map[string]int // exit status by code, from docs/errors.md
	torn  bool           // causes take away what lasting looks at, and bring it back
}

// rows are the blocks of the golden table, by cause.
type rows struct {
	mu   sync.Mutex
	text map[string]string
}

// TestRefusals produces every cause of a refusal, and compares what a user sees
// with a table that is there to be read: does each line say what happened, to
// what, and what to do next? Standard output is empty, nothing is lost, and the
// first call after the cause is gone succeeds.
func TestRefusals(t *testing.T) {
	t.Parallel()
	table := &rows{text: map[string]string{}}
	codes := documentedCodes(t)
	scenes := map[string]func(*scene){
		"aws": (*scene).aws, "network": (*scene).network, "roles": (*scene).roles,
		"codes": (*scene).mfaCodes, "devices": (*scene).mfaDevices,
		"keyring": (*scene).keyring, "file vault": (*scene).fileVault, "passphrase": (*scene).passphrase,
		"profiles": (*scene).profiles, "wire": (*scene).wire, "import": (*scene).imports, "files": (*scene).brokenFiles, "daemon": (*scene).daemon,
		"rotations": (*scene).rotations, "creations": (*scene).creations, "orphans": (*scene).orphans,
		"disk full": (*scene).diskFull, "read-only home": (*scene).readOnly,
	}
	t.Run("causes", func(t *testing.T) {
		for name, play := range scenes {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				play(&scene{world: newWorld(t), rows: table, codes: codes})
			})
		}
	})
	table.compare(t)
}

var documentedRow = regexp.MustCompile("(?m)^(?:## Exit status (\\d)|\\| `([a-z_]+)` \\|)")

// documentedCodes returns the exit status of each code, as users read it.
func documentedCodes(t *testing.T) map[string]int {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes, status := map[string]int{}, 0
	for _, m := range documentedRow.FindAllStringSubmatch(string(page), -1) {
		if m[1] != "" {
			status = int(m[1][0] - '0')
			continue
		}
		codes[m[2]] = status
	}
	return codes
}

// play has each cause come, be met, and go.
func (s *scene) play(causes ...cause) {
	s.t.Helper()
	for _, c := range causes {
		s.t.Run(c.name, func(t *testing.T) {
			if c.root {
				needRoot(t)
			}
			was := s.t
			s.t = t
			defer func() { s.t = was }()
			s.meet(c)
		})
	}
}

func (s *scene) meet(c cause) {
	s.t.Helper()
	if c.profile == "" {
		c.profile = "dev"
	}
	if c.call == nil {
		c.call = func() result { return s.run("broker", "credential-process", c.profile) }
	}
	if c.again == nil {
		c.again = c.call
	}
	if c.warm {
		s.credentials(c.profile)
	}
	before := s.lasting()
	if c.do != nil {
		c.do()
	}
	if c.warm {
		s.credentials(c.profile) // from memory, without a word
	}
	if !c.keep {
		s.killDaemon()
	}
	logged := len(s.daemonLog())
	r := c.call()
	s.check(c, r)
	s.checkLog(c, logged)
	text := s.shown(r)
	if c.foreground {
		text += s.differing(r, s.run("broker", "exec", c.profile, "--", "true"))
	}
	if after := s.lasting(); !maps.Equal(before, after) {
		s.t.Errorf("before the refusal there was %v, after it there is %v", before, after)
	}
	if c.undo != nil {
		c.undo()
	}
	if again := c.again(); again.status != 0 {
		s.t.Errorf("after the cause is gone: %s: exit status %d, stderr %q\n%s", again.line, again.status, again.stderr, s.daemonLog())
	}
	s.rows.add(s.t, c.name, fmt.Sprintf("%s (exit status %d)\n%s", c.code, r.status, text))
}

// check holds a refusal to what holds for all of them.
func (s *scene) check(c cause, r result) {
	s.t.Helper()
	if r.stdout != "" {
		s.t.Errorf("%s: stdout = %q, want none", r.line, r.stdout)
	}
	want, known := s.codes[c.code]
	if !known || r.status != want {
		s.t.Errorf("%s: exit status %d, want the %d of %s; stderr %q\n%s", r.line, r.status, want, c.code, r.stderr, s.daemonLog())
	}
}

var loggedCode = regexp.MustCompile(`msg="operation refused" op=\S+ code=(\S+)`)

// checkLog holds the daemon's word to the code that is expected. Refusals that
// the client finds by itself are not in the log.
func (s *scene) checkLog(c cause, from int) {
	s.t.Helper()
	log := s.daemonLog()
	if from > len(log) {
		return
	}
	for _, m := range loggedCode.FindAllStringSubmatch(log[from:], -1) {
		if m[1] != c.code {
			s.t.Errorf("the log says %s, want %s", m[1], c.code)
		}
	}
}

// lasting is what no refusal may change: the keys of the index and the items
// of the vault.
func (s *scene) lasting() map[string]string {
	s.t.Helper()
	if s.torn {
		return nil
	}
	state := filepath.Join(s.home, ".local", "state", "broker")
	kept := map[string]string{}
	items, err := filepath.Glob(filepath.Join(state, "vault", "broker.*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range append(items, filepath.Join(state, "state.json")) {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		var index struct{ Keys json.RawMessage }
		if json.Unmarshal(data, &index) == nil && index.Keys != nil {
			data = index.Keys // the generation beside them may grow
		}
		kept[filepath.Base(path)] = string(data)
	}
	return kept
}

// shown is what the user sees.
func (s *scene) shown(r result) string {
	args := strings.Fields(s.plain(strings.TrimPrefix(r.line, s.bin+"/")))
	return "  $ " + strings.Join(args, " ") + "\n" + indent(s.plain(r.stderr))
}

// differing is what exec shows, if that is not the helper's line in two.
func (s *scene) differing(helper, exec result) string {
	s.t.Helper()
	if exec.status != 125 || exec.stdout != "" {
		s.t.Errorf("%s: exit status %d, stdout %q; want 125 and none", exec.line, exec.status, exec.stdout)
	}
	problem, hint, _ := strings.Cut(exec.stderr, "\nbroker: hint: ")
	if joined := strings.TrimSuffix(problem, ".") + ": " + hint; joined == helper.stderr {
		return ""
	}
	return s.shown(exec)
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

// variables of a text: what differs from one run to the next.
var varying = []struct {
	is   *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`ASIA[A-Z0-9]{16}`), "ASIA…"},
	{regexp.MustCompile(`AKIA[A-Z0-9]{16}`), "AKIA…"},
	{regexp.MustCompile(`\.new-\d+`), ".new-…"},
	{regexp.MustCompile(`\b(made|on) \d{4}-\d\d-\d\d`), "$1 DATE"},
	{regexp.MustCompile(`broker\.v1\.[0-9a-f]{32}`), "broker.v1.…"},
	{regexp.MustCompile(`\b\d{8}T\d{6}Z|\b\d{4}-\d\d-\d\d(T[0-9:]+Z| \d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\b(kill|pid|process) \d+`), "$1 PID"},
	{regexp.MustCompile(`\b(brokerd?) \d+\.\d+\.\d+\S*|\b(brokerd?) \((devel|unknown)\)|\bbroker unknown|\bbroker v?0\.0\.0\S*`), "${1}${2} VERSION"},
	{regexp.MustCompile(`\b\d{6}\b`), "CODE"},
}

// plain returns text without what differs from one run to the next.
func (s *scene) plain(text string) string {
	for _, u := range s.account.Users {
		for _, k := range u.AccessKeys {
			text = strings.ReplaceAll(text, k.AccessKeyID, "AKIA-"+strings.ToUpper(u.UserName))
		}
	}
	text = strings.NewReplacer(s.home, "/home/ann", s.dir, "/tmp/broker").Replace(text)
	if host, err := os.Hostname(); err == nil {
		text = strings.ReplaceAll(text, `"`+host+`"`, `"here"`)
	}
	account := s.account.AccountID
	text = strings.ReplaceAll(text, account, "<account>")
	for _, v := range varying {
		text = v.is.ReplaceAllString(text, v.text)
	}
	return strings.ReplaceAll(text, "<account>", account)
}

func (r *rows) add(t *testing.T, name, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.text[name] != "" {
		t.Errorf("two causes are called %q", name)
	}
	r.text[name] = text
}

// compare holds the rows to the golden table, in which a machine without root
// leaves some as they are.
func (r *rows) compare(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(refusalsGolden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		if name, text, ok := strings.Cut(block, ": "); ok {
			want[name] = text + "\n"
		}
	}
	if *update {
		maps.Copy(want, r.text)
		if err := os.WriteFile(refusalsGolden, []byte(render(want)), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, text := range r.text {
		if text != want[name] {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, want[name])
		}
	}
}

// render returns the table, by exit status, code and cause.
func render(rows map[string]string) string {
	place := func(name string) string {
		code, rest, _ := strings.Cut(rows[name], " (exit status ")
		return rest[:1] + code + " " + name
	}
	names := slices.SortedFunc(maps.Keys(rows), func(a, b string) int { return strings.Compare(place(a), place(b)) })
	var out strings.Builder
	for _, name := range names {
		fmt.Fprintf(&out, "%s: %s\n", name, rows[name])
	}
	return strings.TrimSpace(out.String()) + "\n"
}
