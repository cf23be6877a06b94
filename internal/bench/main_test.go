// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == answerWord { // the floor's daemon of a test
		_ = answer(os.Args[2]) // never without an error: it is killed
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestEveryFigure takes each figure with as few rounds as there can be. Times
// are not judged, for the machine has other things to do; what is counted is.
func TestEveryFigure(t *testing.T) {
	programs, err := testprograms.Build()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := testprograms.End(programs); len(left) > 0 {
			t.Errorf("left running: %q", left)
		}
		if err := os.RemoveAll(programs); err != nil {
			t.Error(err)
		}
	})
	var out bytes.Buffer
	b, err := newBench(programs, rounds{
		warm: 1, run: 1, cold: 1, memory: 1, counts: 1, callers: 20, growth: []int{10, 20}, load: 10 * time.Millisecond,
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer b.end()
	if err := b.measure(nil); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	counted := map[string]float64{
		"20 callers, cold: prompts": 1, "20 callers, cold: GetSessionToken calls": 1, "20 callers, cold: failures": 0,
	}
	for _, r := range b.results {
		want, count := counted[r.figure]
		delete(counted, r.figure)
		if count && r.got != want || !count && r.got <= 0 {
			t.Errorf("%s: %v", r.figure, r.got)
		}
	}
	if len(counted) > 0 || len(b.results) < 11 || len(b.growth) != 2 || len(b.callers) != 4 {
		t.Errorf("figures are missing:\n%s", out.String())
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []int64
		want   int64
	}{{[]int64{7}, 7}, {[]int64{9, 1, 5}, 5}, {[]int64{4, 100, 2, 0}, 3}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v is %d, want %d", tt.values, got, tt.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r       result
		verdict string
		line    string
	}{
		{result{got: 1.1, unit: "×", must: 1.35, goal: 1.15}, "goal", "1.10× ≤ 1.35× ≤ 1.15×"},
		{result{got: 1.2, unit: "×", must: 1.35, goal: 1.15}, "must", "1.20× ≤ 1.35× ≤ 1.15×"},
		{result{got: 1.4, unit: "×", must: 1.35, goal: 1.15}, "**MISSED**", "1.40× ≤ 1.35× ≤ 1.15×"},
		{result{got: 9000, must: 5000, goal: 10000, atLeast: true}, "must", "9000 ≥ 5000 ≥ 10 000"},
		{result{got: 4999, must: 5000, atLeast: true}, "**MISSED**", "4999 ≥ 5000 "},
		{result{got: 12.34, unit: " MiB", must: 15}, "must", "12.3 MiB ≤ 15.0 MiB "},
		{result{got: 0, must: none}, "must", "0 0 "},
		{result{got: 1, must: none}, "**MISSED**", "1 0 "},
		{result{got: 1, must: 1}, "must", "1 1 "},
		{result{got: 2, unit: "×"}, "", "2.00×  "},
	} {
		if got := tt.r.verdict(); got != tt.verdict {
			t.Errorf("%+v: %s, want %s", tt.r, got, tt.verdict)
		}
		line := fmt.Sprint(number(tt.r.got, tt.r.unit), " ", tt.r.limit(tt.r.must), " ", tt.r.limit(tt.r.goal))
		if line != tt.line {
			t.Errorf("%q, want %q", line, tt.line)
		}
		b := bench{results: []result{{got: 1, unit: "×", must: 2}, tt.r}}
		if got := b.missed(); got != (tt.verdict == "**MISSED**") {
			t.Errorf("%+v: missed is %v", tt.r, got)
		}
	}
}

func TestReplaceIn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("# Page\n"+beginResults+"\nold\n"+endResults+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := report{machine: thisMachine(), date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), bench: &bench{
		results: []result{{figure: "a figure", got: 1, unit: "×", must: 2, detail: "this and that"}},
		growth:  []growthLine{{10, 300 * time.Microsecond, 12, time.Millisecond}},
		callers: []callersLine{{5, 3 * time.Millisecond, 2 * time.Millisecond}},
		notes:   []string{"nobody is installed."},
	}}
	for range 2 { // the second time there is no more and no less
		if err := r.replaceIn(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Page\n" + beginResults + "\n\n2026-01-02, on ", "| a figure | 1.00× | ≤ 2.00× |  | must | this and that |\n",
		"| 10 | 300 µs | 12.0 MiB | 1.00 ms |\n", "| 5 | 3.00 ms | 2.00 ms | 1.50 |\n", "- nobody is installed.\n\n" + endResults + "\nafter\n",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old results are still there")
	}
	if err := os.WriteFile(path, []byte("# Page\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.replaceIn(path); err == nil {
		t.Error("a page without a place for results was written to")
	}
}

func TestPeerFlag(t *testing.T) {
	t.Parallel()
	var list peerList
	for _, wrong := range []string{"", "x", "x=", "=x"} {
		if list.Set(wrong) == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	if err := list.Set("aws-sso=/usr/bin/aws-sso process --arn a=b"); err != nil {
		t.Fatal(err)
	}
	if got := list[0]; got.name != "aws-sso" || len(got.argv) != 4 || got.argv[3] != "a=b" {
		t.Errorf("got %+v", got)
	}
}
