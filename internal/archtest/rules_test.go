// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"strings"
	"testing"
)

// rule is one rule about source files. check returns the violations.
type rule struct {
	name  string
	check func(tree) []string
	// plant is a set of files, by path, that breaks the rule, and want is part
	// of each violation that check must find there, in order.
	plant map[string]string
	want  []string
}

func TestRules(t *testing.T) {
	module := load(t)
	if len(module.sources) < 10 {
		t.Fatalf("found %d Go files: this test does not see the module", len(module.sources))
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if len(r.plant) == 0 || len(r.want) == 0 {
				t.Fatal("the rule has no plant")
			}
			found := r.check(parse(t, r.plant))
			if len(found) != len(r.want) {
				t.Errorf("found %d violations in the plant, want %d:\n%s", len(found), len(r.want), strings.Join(found, "\n"))
			}
			for i := range min(len(found), len(r.want)) {
				if !strings.Contains(found[i], r.want[i]) {
					t.Errorf("violation %q does not say %q", found[i], r.want[i])
				}
			}
			for _, violation := range r.check(module) {
				t.Error(violation)
			}
		})
	}
}

func rules() []rule {
	var all []rule
	all = append(all, importRules()...)
	all = append(all, secretRules()...)
	all = append(all, surroundingsRules()...)
	all = append(all, stateRules()...)
	all = append(all, proseRules()...)
	all = append(all, platformRules()...)
	return all
}
