// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// python is one process of Python that reads file after file, as botocore does.
type python struct {
	t    *testing.T
	in   io.Writer
	out  *bufio.Reader
	wait func() string // for its end, and what it said on standard error
}

// pythonSays is its answer.
type pythonSays struct {
	Refused  string
	Line     int
	Sections map[string]map[string]string
	Loaded   bool     // by botocore
	Profiles []string // that botocore finds in a config file
}

// pythons returns the interpreters at hand that have botocore: the first one,
// and Debian's, unless they are the same.
func pythons(t *testing.T) []string {
	t.Helper()
	probe := "try:\n import botocore\nexcept ImportError:\n import awscli.botocore\n"
	var found, files []string
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		file, err := filepath.EvalSymlinks(path)
		if err != nil || slices.Contains(files, file) {
			continue
		}
		files = append(files, file)
		if exec.CommandContext(t.Context(), name, "-c", probe).Run() == nil {
			found = append(found, name)
		}
	}
	if found == nil {
		t.Fatal("no python3 here has botocore: install awscli (.ci/packages)")
	}
	return found
}

func newPython(t *testing.T, name string) *python {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, "-X", "utf8", "testdata/reads_config.py", filepath.Join(t.TempDir(), "config"))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(func() string {
		_ = in.Close()  // it ends by that
		err := c.Wait() // or with the test
		return fmt.Sprintf("%v: %s", err, stderr.String())
	})
	t.Cleanup(func() { wait() })
	return &python{t, in, bufio.NewReader(out), wait}
}

func (p *python) reads(data []byte) pythonSays {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, base64.StdEncoding.EncodeToString(data)); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("python3: %v: %s", err, p.wait())
	}
	var says pythonSays
	if err := json.Unmarshal(line, &says); err != nil {
		p.t.Fatalf("python3 says %s: %v", line, err)
	}
	return says
}

// content is what boto found, with [DEFAULT] in each section.
func (f *boto) content() map[string]map[string]string {
	all, defaults := map[string]map[string]string{}, map[string]string{}
	for i, s := range f.sections {
		into := defaults
		if s.name != botoDefault {
			into = map[string]string{}
			all[s.name] = into
		}
		for _, o := range f.below(i) {
			into[o.key] = o.text()
		}
	}
	for _, options := range all {
		for key, value := range defaults {
			if _, own := options[key]; !own {
				options[key] = value
			}
		}
	}
	return all
}

// differs says how our reading of a file as botocore differs from botocore's,
// "" if it does not.
func differs(ours *boto, err error, says pythonSays) string {
	var e *Error
	switch {
	case says.Loaded != (says.Refused == ""):
		return fmt.Sprintf("the script refuses it for %q, botocore reads it: %t", says.Refused, says.Loaded)
	case says.Refused == "" && err != nil:
		return fmt.Sprintf("Python reads it, not so we: %v", err)
	case says.Refused != "" && err == nil:
		return fmt.Sprintf("Python refuses it at line %d: %s", says.Line, says.Refused)
	case err != nil && (!errors.As(err, &e) || says.Line != 0 && e.Line != says.Line):
		return fmt.Sprintf("Python refuses line %d for %s, we say: %v", says.Line, says.Refused, err)
	case err != nil:
		return ""
	}
	if got := ours.content(); !maps.EqualFunc(got, says.Sections, maps.Equal[map[string]string]) {
		return fmt.Sprintf("Python reads %q\nwe read %q", says.Sections, got)
	}
	profiles := map[string]bool{}
	for _, s := range ours.sections {
		if name := ConfigFile.botoProfile(s.name); name != "" || s.name == `profile ""` {
			profiles[name] = true
		}
	}
	if got := slices.Sorted(maps.Keys(profiles)); !slices.Equal(got, says.Profiles) {
		return fmt.Sprintf("botocore finds the profiles %q\nwe find %q", says.Profiles, got)
	}
	return ""
}

// botocoreTable are files that each show one rule.
func botocoreTable() []string {
	return []string{
		"", "\n", "# only\n", "x = 1\n", "[a]\n[a]\n", "[a]\nx=1\nX = 2\n", "[a]\nx=1\n[b]\nx=1\n",
		"[DEFAULT]\nx=1\n[DEFAULT]\ny=2\n[a]\nx=3\n", "[DEFAULT]\nx=1\n[a]\n[DEFAULT]\nx=2\n", "[DEFAULT]\ns3 =\n bad\n", "[DEFAULT]\ns3 =\n bad\n[a]\n",
		"[a] # c\nx=1\n", "[a] # [b]\nx=1\n", "[a]]\n", "[]]\n", "[]\n", "[a\n", "[a=b\n", "[ a ]\n", "[a]b\n",
		"[a]\nx : 1\n", "[a]\nx:y = 1\n", "[a]\nx=y:1\n", "[a]\n= 1\n", "[a]\n: 1\n", "[a]\nx\n", "[a]\nx\n[a]\n", "[a]\nx =\n", "[a]\nx =  y  # z \n",
		"[a]\nx = 1\n y\n\n z\n\n", "[a]\nx = 1\n# c\n y\n  ; c\n z\n", "[a]\nx =\n y = 1\n\n z = 2\n", "[a]\nx =\n y\n", "[a]\nx =\n\n\n", "[a]\n  x = 1\n   y\n  z = 2\n", "[a]\n  x = 1\n y = 2\n",
		"  [a]\n  x = 1\n[b]\n", "  # c\n[a]\nx = 1\n  [b]\ny = 2\n", "[a]\n y = 1\n z = 2\n",
		"[a]\r\nx = 1\r\n y\r\n", "[a]\rx = 1\r[a]\r", "[a]\r\r\nx=1\n", "[a]\nx = 1\r", "\ufeff[a]\n", "\ufeff\n", "\ufeff# c\n[a]\n", "[a]\n\xff = 1\n", "[a]\n# \xff\n", "[a]\nx = ü\n",
		"[a]\n\u00a0x = 1\n", "[a]\ny = 1\n\u00a0x = 1\n", "[a]\nx = \u00a01\u00a0\n", "[a]\nx\u00a0= 1\n\u2028", "[a]\ns =\n a=1\u2028b\n", "[a]\ns =\n a=1\x0bb=2\n", "[a]\n\x0cx = 1\n", "\x1c[a]\n", "[a]\nx\x00 = 1\n", "[a]\nx = 1\n\x85y\n",
		"[a]\nİ = 1\ni̇ = 2\n", "[a]\nÄ = 1\nä = 2\n", "[a]\nẞ = 1\nß = 2\n", "[a]\nſ = 1\ns = 2\n", "[a]\nK = 1\nk = 2\n",
		"[profile a]\n[profile  a]\n", "[profile \"a b\"]\n", "[profile 'a]\n", "[profile a\\ b]\n", "[profile a\\]\n", "[profile \"a\\\"b\\c\"]\n", "[profile 'a\\b']\n", "[profiles a]\n", "[profilea]\n", "[profile]\n", "[profile a b]\n", "[profile\ta]\n",
		"[profile ü]\n", "[profile a#b]\n", "[profile \"\"]\n", "[profile a]\n[profiles a]\n", "[profile default]\n[default]\n", "[ profile a]\n", "[sso-session a]\n[services a]\n[preview]\n", "[profile \u00a0a]\n", "[profile 'a'\"b\"c]\n",
	}
}

// generated is a file of what makes a difference, at random.
func generated(r *rand.Rand) []byte {
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	texts := []string{
		"[profile a]", "[profile b]", "[default]", "[DEFAULT]", "[a]", "[]", "[a]b]", " [x]", "[x", "[profile a] # [b]", `[profile "a b"]`, "[profile 'a]", "[profiles q]", "[p\u00a0]",
		"k = v", "k: v", "K=v", "K\t=\tv", "l = v # c", "l=", "m =", "m", "n = 1 = 2", "o:p=1", ": x", "= x", "İ = 1", "i̇ = 2", "Ä=1", "ä=1", "\u00a0n = v", "\x0co=v", "p = \u2028q", "k2 = v", "k3 = v", "k4 = v", "k5 = v",
		" more", "\tmore = 1", "  a = b", "   deep", "  no", " # c", " ; c", "#c", ";c = 1", "", "  ", "\t", "\x1c", "\u2028", "\x85", " \u3000x = y", " a = b\x0bc", "\ufeff", "\xff", "k\xc3",
	}
	var b strings.Builder
	if r.IntN(8) > 0 {
		b.WriteString("[s]\n")
	}
	eol := pick([]string{"\n", "\n", "\n", "\r\n", "\r"})
	for n := range r.IntN(12) {
		b.WriteString(pick(texts))
		if r.IntN(12) == 0 {
			fmt.Fprintf(&b, "\nu%d = 1", n)
		}
		if r.IntN(20) == 0 {
			b.WriteString(pick([]string{"\n", "\r\n", "\r", "\r\r\n", ""}))
		}
		b.WriteString(eol)
	}
	return []byte(b.String())
}

// mutated is a valid file with some bytes of it changed.
func mutated(r *rand.Rand, data []byte) []byte {
	const bytes = "[]=:#; \t\r\n\\\"'ab\x00\x0b\x1c\xa0\xff"
	data = slices.Clone(data)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(data))
		switch r.IntN(3) {
		case 0:
			data = slices.Delete(data, at, min(len(data), at+1+r.IntN(4)))
		case 1:
			data = slices.Insert(data, at, bytes[r.IntN(len(bytes))])
		default:
			data[at] = bytes[r.IntN(len(bytes))]
		}
	}
	return data
}

// TestReadsAsBotocore holds parseBoto against what it stands for, in each
// release at hand: whether a file is refused, at which line, and what is in it.
func TestReadsAsBotocore(t *testing.T) {
	t.Parallel()
	for _, name := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			t.Parallel()
			readsAsBotocore(t, newPython(t, name))
		})
	}
}

func readsAsBotocore(t *testing.T, p *python) {
	for _, text := range botocoreTable() {
		ours, err := parseBoto("config", []byte(text))
		if wrong := differs(ours, err, p.reads([]byte(text))); wrong != "" {
			t.Errorf("%q: %s", text, wrong)
		}
	}
	r := rand.New(rand.NewPCG(4, 2))
	good := []byte("# mine\n[default]\nregion = eu-west-1\n\n[profile dev]\nrole_arn = arn:aws:iam::111122223333:role/a\ns3 =\n  a = 1\n  b = 2\noutput=json # c\n\n[profile \"x y\"]\nk: v\n")
	refused := 0
	for i := range 2000 {
		data := generated(r)
		if i%2 == 0 {
			data = mutated(r, good)
		}
		says := p.reads(data)
		if says.Refused != "" {
			refused++
		}
		ours, err := parseBoto("config", data)
		if wrong := differs(ours, err, says); wrong != "" {
			t.Errorf("%q: %s", data, wrong)
		}
	}
	if refused < 200 || refused > 1800 {
		t.Errorf("%d of 2000 files are refused: the others are not tested", refused)
	}
}

// TestBotocoreDifferenceIsSeen: the comparison above finds a reading that is wrong.
func TestBotocoreDifferenceIsSeen(t *testing.T) {
	t.Parallel()
	p := newPython(t, pythons(t)[0])
	for _, c := range []struct{ name, ours, theirs string }{
		{"verdict", "[a]\n", "[a]\n[a]\n"},
		{"verdict, the other way", "[a]\n[a]\n", "[a]\n"},
		{"line", "[a]\n\n[a]\n", "[a]\n[a]\n"},
		{"value", "[a]\nx = 1\n", "[a]\nx = 1\n 2\n"},
		{"default", "[a]\n", "[DEFAULT]\nx = 1\n[a]\n"},
	} {
		ours, err := parseBoto("config", []byte(c.ours))
		if differs(ours, err, p.reads([]byte(c.theirs))) == "" {
			t.Errorf("%s: a difference is not seen", c.name)
		}
	}
}
