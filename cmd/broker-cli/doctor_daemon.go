// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// checkDaemon says what brokerd waits for, beside what is wrong with files: keys
// that have leaked and may work on, rotations that stand still, calls that AWS
// does not answer.
func (d *doctor) checkDaemon(context.Context) string {
	if d.status == nil {
		return "it was not asked"
	}
	said := map[string]bool{}
	for _, k := range d.status.Keys {
		if r := k.Revoked; r != nil && r.RevokedAt != nil && !r.Inactive && !said[k.AccessKeyID] {
			said[k.AccessKeyID] = true
			d.problem(fmt.Sprintf("key %s of %s was revoked at %s, and may work on at AWS", k.AccessKeyID, k.Profile, r.RevokedAt.Local().Format(minute)),
				"make it Inactive: broker revoke "+k.Profile)
		}
	}
	for _, r := range d.status.Rotations {
		if r.Problem != nil && r.Waiting != "retrying" {
			text, next := standingText(r)
			d.problem(text, strings.TrimPrefix(next, "next: "))
		}
	}
	for _, o := range d.status.Outages {
		level := levelNote // the last call failed; nobody knows of the next one
		if o.RetryAt != nil {
			level = levelProblem
		}
		_, hint := client.FailureText(ipc.Error{Code: o.Code})
		d.finds(level, outageText(o), hint)
	}
	return "no key, rotation or call to AWS is held up"
}

// outageText says what AWS did not answer: each key and Region has its own outage.
func outageText(o ipc.Outage) string {
	return fmt.Sprintf("%s (key %s in %s)", o.Message, o.AccessKeyID, o.Region)
}
