// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The lines between which replaceIn writes.
const (
	beginResults = "<!-- results: written by make bench -->"
	endResults   = "<!-- end of results -->"
)

// report is a run as it is written down.
type report struct {
	machine string
	date    time.Time
	bench   *bench
}

// write prints the report as Markdown.
func (r report) write(out io.Writer) {
	fmt.Fprintf(out, "\n%s, on %s.\n\n", r.date.Format("2006-01-02"), r.machine)
	fmt.Fprintf(out, "| figure | measured | must | goal | | made from |\n|---|---|---|---|---|---|\n")
	for _, f := range r.bench.results {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n",
			f.figure, number(f.got, f.unit), f.limit(f.must), f.limit(f.goal), f.verdict(), f.detail)
	}
	fmt.Fprintf(out, "\n| profiles and sessions | one conversation | brokerd's memory | reading the AWS config |\n|---|---|---|---|\n")
	for _, g := range r.bench.growth {
		fmt.Fprintf(out, "| %d | %.0f µs | %.1f MiB | %.2f ms |\n", g.size, 1000*ms(g.latency), g.resident, ms(g.load))
	}
	fmt.Fprintf(out, "\n| callers at once, warm | wall by caller | floor programs at once | ratio |\n|---|---|---|---|\n")
	for _, c := range r.bench.callers {
		fmt.Fprintf(out, "| %d | %.2f ms | %.2f ms | %.2f |\n", c.callers, ms(c.broker), ms(c.floor), ratio(c.broker, c.floor))
	}
	if len(r.bench.notes) > 0 {
		fmt.Fprintln(out)
	}
	for _, note := range r.bench.notes {
		fmt.Fprintf(out, "- %s\n", note)
	}
}

// replaceIn puts the report in the place of the one that a file has.
func (r report) replaceIn(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(beginResults+"\n"))
	_, after, ok2 := bytes.Cut(rest, []byte(endResults))
	if !ok || !ok2 {
		return errors.New(path + " has no place for results")
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(beginResults + "\n")
	r.write(&out)
	out.WriteString("\n" + endResults)
	out.Write(after)
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// number prints a figure with as many digits as mean something.
func number(f float64, unit string) string {
	switch {
	case unit == "" && f > 9999:
		return strconv.Itoa(int(f)/1000) + fmt.Sprintf(" %03d", int(f)%1000)
	case unit == "":
		return strconv.Itoa(int(f))
	case f < 10 && unit == "×":
		return fmt.Sprintf("%.2f%s", f, unit)
	}
	return fmt.Sprintf("%.1f%s", f, unit)
}

func (r result) limit(limit float64) string {
	switch {
	case limit == 0:
		return ""
	case limit == none:
		return "0"
	case r.unit == "" && !r.atLeast:
		return number(limit, r.unit)
	case r.atLeast:
		return "≥ " + number(limit, r.unit)
	}
	return "≤ " + number(limit, r.unit)
}

// verdict is how far a figure comes: "goal", "must" or "MISSED"; nothing for
// one that has no limit.
func (r result) verdict() string {
	switch {
	case r.must == 0:
		return ""
	case !r.ok(r.must):
		return "**MISSED**"
	case r.goal == 0 || !r.ok(r.goal):
		return "must"
	}
	return "goal"
}

// thisMachine names the processor, the kernel and Go.
func thisMachine() string {
	model := runtime.GOARCH
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(data), "model name"); ok {
			model = strings.TrimSpace(strings.TrimLeft(firstLine(rest), "\t :"))
		}
	}
	kernel := "Linux"
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		kernel += " " + unix.ByteSliceToString(name.Release[:])
	}
	return fmt.Sprintf("%d cores of %s, %s, %s", runtime.NumCPU(), model, kernel, strings.Replace(runtime.Version(), "go", "Go ", 1))
}
