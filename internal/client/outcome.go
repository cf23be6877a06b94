// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"

	"credbroker/internal/ipc"
)

// outcome is what a failure of one code means to a user.
type outcome struct {
	code   ipc.Code
	status int
	means  string // for the docs, and for a failure that brings no words of its own
	hint   string // the next step, unless the failure brings its own
}

// outcomeOf returns what stands in the table for a code, and whether it is
// there.
func outcomeOf(code ipc.Code) (outcome, bool) {
	i := slices.IndexFunc(outcomes, func(o outcome) bool { return o.code == code })
	if i < 0 {
		return outcome{}, false
	}
	return outcomes[i], true
}
