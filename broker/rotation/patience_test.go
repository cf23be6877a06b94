// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"strings"
	"testing"
	"time"
)

// TestPatienceIsForRefusalsInARow: one refusal long after the key was stored, or
// after a time in which AWS was out of reach, does not cost a key that works.
func TestPatienceIsForRefusalsInARow(t *testing.T) {
	for name, outage := range map[string]bool{"after successes": false, "after an outage": true} {
		m := creates(t, 1)
		m.lucky = true
		tries := 0
		m.fault = func(m *model, call string) faultKind {
			if !strings.HasPrefix(call, "Try") {
				return well
			}
			tries++
			switch {
			case tries <= 5 && outage:
				m.now = m.now.Add(patience)
				return laterBefore
			case tries == 2:
				m.now = m.now.Add(2 * patience) // it slept
			}
			if tries == 2 || tries == 6 {
				for id, k := range m.iam {
					if id != oldKey {
						k.knownAt, m.period = m.now.Add(time.Second), 0
					}
				}
			}
			return well
		}
		m.plan(false)
		j := m.run(nobody(t))
		if m.converged(j); j.State != Deleted {
			t.Errorf("%s: it ended %s: %+v", name, j.State, j.Problem)
		}
	}
}
