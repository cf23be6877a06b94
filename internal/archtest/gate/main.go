// SPDX-License-Identifier: Apache-2.0

// Command gate reads the stream of go test -json and decides whether the run
// was good enough: no failure, the coverage that guarded packages owe, and,
// for root or where CI=true, no skipped test of a numbered promise or fault.
//
// It prints the output of failed tests only, and one line for each package.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// floors is the coverage, in percent of statements, that a package's own tests
// must reach.
var floors = map[string]float64{
	"credbroker/broker":              80,
	"credbroker/vault":               80,
	"credbroker/credproc":            80,
	"credbroker/internal/atomicfile": 80,
	"credbroker/internal/awsconfig":  80,
	"credbroker/internal/fakeaws":    80,
	"credbroker/internal/ipc":        80,
	"credbroker/internal/secret":     80,
}

// numbered matches a test that proves a promise or a fault of SECURITY.md.
var numbered = regexp.MustCompile(`^Test[PF][0-9]{2}`)

// errGate is what run returns when the run is not good enough. What was wrong
// has been printed.
var errGate = errors.New("gate: not passed")

func main() {
	guarded := flag.Bool("guarded", false, "print the packages that owe coverage, and end")
	flag.Parse()
	if *guarded {
		fmt.Println(strings.Join(slices.Sorted(maps.Keys(floors)), "\n"))
		return
	}
	strict := os.Getenv("CI") == "true" || os.Getuid() == 0
	if err := run(os.Stdin, os.Stdout, strict); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
}

// report is what the stream has said so far.
type report struct {
	out      io.Writer
	output   map[string]*strings.Builder // of tests still running, by package and test
	coverage map[string]float64
	skipped  []string // package.Test
	failed   int
}

func run(in io.Reader, out io.Writer, strict bool) error {
	r := &report{out: out, output: map[string]*strings.Builder{}, coverage: map[string]float64{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("gate: read the test stream: %w", err)
		}
	}
	return r.verdict(strict)
}

func (r *report) line(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		fmt.Fprintf(r.out, "%s", line) // go itself, complaining
		return
	}
	name := e.Package + "." + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.note(name, e)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, name)
		}
		delete(r.output, name)
	case "pass":
		delete(r.output, name)
	case "fail":
		r.failed++
		if b := r.output[name]; b != nil {
			fmt.Fprint(r.out, b.String())
		}
		delete(r.output, name)
	}
}

// note keeps what a test printed until it is known whether it failed, and
// passes on the lines that sum up a package.
func (r *report) note(name string, e event) {
	if e.Test == "" {
		if share, ok := coverage(e.Output); ok {
			r.coverage[e.Package] = share
		}
		if strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t") {
			fmt.Fprint(r.out, e.Output)
			return
		}
	}
	b := r.output[name]
	if b == nil {
		b = &strings.Builder{}
		r.output[name] = b
	}
	b.WriteString(e.Output)
}

// coverage reads "coverage: 81.5% of statements" out of a line.
func coverage(line string) (float64, bool) {
	_, rest, ok := strings.Cut(line, "coverage: ")
	if !ok {
		return 0, false
	}
	figure, _, ok := strings.Cut(rest, "% of statements")
	if !ok {
		return 0, false
	}
	share, err := strconv.ParseFloat(figure, 64)
	return share, err == nil
}

func (r *report) verdict(strict bool) error {
	bad := r.failed > 0
	for _, pkg := range slices.Sorted(maps.Keys(floors)) {
		share, ok := r.coverage[pkg]
		switch {
		case !ok:
			bad = true
			fmt.Fprintf(r.out, "gate: %s: no coverage was reported\n", pkg)
		case share < floors[pkg]:
			bad = true
			fmt.Fprintf(r.out, "gate: %s: coverage %.1f%% is under %.0f%%\n", pkg, share, floors[pkg])
		}
	}
	var guarded int
	for _, name := range r.skipped {
		test := name[strings.LastIndexByte(name, '.')+1:]
		if numbered.MatchString(test) {
			guarded++
			if strict {
				bad = true
				fmt.Fprintf(r.out, "gate: %s was skipped, and proves a promise\n", name)
			}
			continue
		}
		fmt.Fprintf(r.out, "gate: %s was skipped\n", name)
	}
	if bad {
		return errGate
	}
	if guarded > 0 {
		fmt.Fprintf(r.out, "gate: passed, but %d tests need root and were skipped: run make test as root, in a container for instance\n", guarded)
		return nil
	}
	fmt.Fprintln(r.out, "gate: passed")
	return nil
}
