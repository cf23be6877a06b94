// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// programNames are what is built.
var programNames = []string{"broker", "broker-cli", "brokerd", "broker-sandbox", "broker-vault"}

// dependency is a row of SECURITY.md's table of dependencies: modules, why, and
// the programs that link them.
var dependency = regexp.MustCompile(`(?m)^\| ((?:github\.com|golang\.org)/[^|]+) \| [^|]+ \| ([^|]+) \|$`)

// TestSecurityTableOfDependencies: every module that the code imports has a row, and
// the row names the programs that link it, no more and no fewer.
func TestSecurityTableOfDependencies(t *testing.T) {
	t.Parallel()
	links := map[string][]string{}
	for _, program := range programNames {
		links[program] = dependencies(t, module+"/cmd/"+program)
	}
	text := documents(t)["SECURITY.md"]
	rows := dependency.FindAllStringSubmatch(text, -1)
	if len(rows) < 10 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		modules, where := strings.Split(row[1], ", "), row[2]
		switch {
		case strings.Contains(where, "Windows") || where == "none":
			continue
		case where == "all":
			where = strings.Join(programNames, ", ")
		}
		where, _, _ = strings.Cut(where, "; ")
		said := strings.Split(strings.TrimSuffix(where, ", on Linux"), ", ")
		slices.Sort(said)
		var found []string
		for _, program := range programNames {
			if slices.ContainsFunc(modules, func(m string) bool { return linked(links[program], m) }) {
				found = append(found, program)
			}
		}
		slices.Sort(found)
		if !slices.Equal(said, found) {
			t.Errorf("%s: linked by %s, and the table says %s", row[1], strings.Join(found, ", "), row[2])
		}
	}
	for name := range theirs {
		if !strings.Contains(text, strings.TrimPrefix(name, "github.com/")) {
			t.Errorf("%s is imported, and the table has no row of it", name)
		}
	}
}

// linked reports whether deps hold a package of a module, not of its next major
// version.
func linked(deps []string, name string) bool {
	return slices.ContainsFunc(deps, func(dep string) bool {
		rest, ok := strings.CutPrefix(dep, name)
		return ok && (rest == "" || rest[0] == '/' && !regexp.MustCompile(`^/v[0-9]+(/|$)`).MatchString(rest))
	})
}
