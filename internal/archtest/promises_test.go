// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// promised are the promises of SECURITY.md that the code keeps today.
var promised = []int{1, 2, 3, 4, 5, 6, 7, 12, 13, 18, 21, 25, 26, 29, 30, 33, 40, 45, 46, 47, 48, 49, 50}

// unproven finds promises that no test bears the number of, or that
// SECURITY.md does not make.
func unproven(tr tree, security string) []string {
	numbered := regexp.MustCompile(`^TestP([0-9]{2})[A-Z]`)
	tests := map[string]bool{}
	for name := range functionsOf(tr) {
		if m := numbered.FindStringSubmatch(name); m != nil {
			tests[m[1]] = true
		}
	}
	var found []string
	for _, n := range promised {
		if !tests[fmt.Sprintf("%02d", n)] {
			found = append(found, fmt.Sprintf("P%d: no test bears its number", n))
		}
		if !regexp.MustCompile(fmt.Sprintf(`\bP%d\b`, n)).MatchString(security) {
			found = append(found, fmt.Sprintf("P%d: SECURITY.md does not make it", n))
		}
	}
	return found
}

func TestEveryPromiseHasATest(t *testing.T) {
	t.Parallel()
	for _, gap := range unproven(load(t), documents(t)["SECURITY.md"]) {
		t.Error(gap)
	}
}

func TestUnprovenSees(t *testing.T) {
	t.Parallel()
	var code, text strings.Builder
	code.WriteString("package broker\n")
	for _, n := range promised[1:] {
		fmt.Fprintf(&code, "func TestP%02dHolds() {}\n", n)
		if n != 50 {
			fmt.Fprintf(&text, "| P%d | |\n", n)
		}
	}
	got := strings.Join(unproven(parse(t, map[string]string{"a_test.go": code.String()}), text.String()), "; ")
	want := "P1: no test bears its number; P1: SECURITY.md does not make it; P50: SECURITY.md does not make it"
	if got != want {
		t.Errorf("unproven %q, want %q", got, want)
	}
}
