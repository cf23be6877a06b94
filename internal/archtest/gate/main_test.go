// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// covered is a stream in which every guarded package reports its coverage.
func covered(percent string) string {
	var b strings.Builder
	for pkg := range floors {
		fmt.Fprintf(&b, `{"Action":"output","Package":%q,"Output":"coverage: %s%% of statements\n"}`+"\n", pkg, percent)
		fmt.Fprintf(&b, `{"Action":"output","Package":%q,"Output":"ok  \t%s\t0.1s\n"}`+"\n", pkg, pkg)
		fmt.Fprintf(&b, `{"Action":"pass","Package":%q}`+"\n", pkg)
	}
	return b.String()
}

func TestRun(t *testing.T) {
	skip := func(test string) string {
		return fmt.Sprintf(`{"Action":"skip","Package":"credbroker/broker","Test":%q}`, test) + "\n"
	}
	tests := []struct {
		name   string
		stream string
		strict bool
		pass   bool
		want   string // in the output
	}{
		{"good", covered("92.5"), true, true, "gate: passed\n"},
		{"at the floor", covered("80.0"), true, true, "gate: passed\n"},
		{"under the floor", covered("79.9"), false, false, "coverage 79.9% is under 80%"},
		{"no coverage", "", false, false, "credbroker/vault: no coverage was reported"},
		{"promise skipped where it counts", covered("90") + skip("TestP01OtherUID"), true, false, "TestP01OtherUID was skipped, and proves"},
		{"part of a promise skipped", covered("90") + skip("TestF12Denied/two"), true, false, "TestF12Denied/two was skipped, and proves"},
		{"promise skipped on a desk", covered("90") + skip("TestP01OtherUID"), false, true, "1 tests need root"},
		{"other test skipped", covered("90") + skip("TestPATH"), true, true, "TestPATH was skipped\n"},
		{
			"failure shows its output",
			covered("90") + `{"Action":"output","Package":"p","Test":"TestX","Output":"got 1\n"}` + "\n" +
				`{"Action":"fail","Package":"p","Test":"TestX"}` + "\n",
			false, false, "got 1\n",
		},
		{"build failure shows the compiler", covered("90") + `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: no\n"}` + "\n" + `{"Action":"fail","Package":"p"}`, false, false, "x.go:1: no\n"},
		{"not JSON", covered("90") + "go: no such tool\n", false, true, "go: no such tool\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(strings.NewReader(tt.stream), &out, tt.strict)
			if got := err == nil; got != tt.pass {
				t.Errorf("passed = %v, want %v", got, tt.pass)
			}
			if err != nil && !errors.Is(err, errGate) {
				t.Errorf("error %v, want %v", err, errGate)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("output %q does not contain %q", out.String(), tt.want)
			}
		})
	}
}

func TestRunHidesOutputOfPassedTests(t *testing.T) {
	t.Parallel()
	stream := covered("90") +
		`{"Action":"output","Package":"p","Test":"TestX","Output":"chatter\n"}` + "\n" +
		`{"Action":"pass","Package":"p","Test":"TestX"}` + "\n"
	var out strings.Builder
	if err := run(strings.NewReader(stream), &out, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "chatter") {
		t.Errorf("output %q shows what a passed test printed", out.String())
	}
}
