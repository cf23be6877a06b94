// SPDX-License-Identifier: Apache-2.0

package nag

import (
	"fmt"
	"strings"
	"time"
)

// notice says how a key stands, and what to do.
func notice(k Key, v Verdict, c Channel) Notice {
	n := Notice{AccessKeyID: k.AccessKeyID, Profile: k.Profiles[0], Level: v.Level, Channel: c, Next: "broker rotate " + k.Profiles[0]}
	whose := strings.Join(k.Profiles, ", ")
	age := Days(v.Age) + " old"
	if !k.Certain {
		age = "at least " + age
	}
	switch {
	case k.Stuck:
		n.Title = "Rotation of the AWS key of " + whose + " stands still"
		n.Text = fmt.Sprintf("the rotation of the key of %s, which is %s now, waits for you", whose, k.AccessKeyID)
		n.Next += " --resume"
	case v.Level == Unused:
		n.Title = "AWS key of " + whose + " is not used"
		n.Text = fmt.Sprintf("key %s of %s was not used for %s: delete it rather than rotate it", k.AccessKeyID, whose, Days(v.Idle))
		n.Next = "broker remove " + k.Profiles[0]
	case v.Level == Info:
		n.Title = "AWS key of " + whose + " is due soon"
		n.Text = fmt.Sprintf("key %s of %s is %s, and due in %s", k.AccessKeyID, whose, age, Days(v.Due.Sub(k.Born)-v.Age))
	case v.Level == Urgent:
		n.Title = "AWS key of " + whose + " is overdue"
		n.Text = fmt.Sprintf("key %s of %s is %s, and was due %s ago", k.AccessKeyID, whose, age, Days(v.Age-k.MaxAge))
	default:
		n.Title = "AWS key of " + whose + " is due"
		n.Text = fmt.Sprintf("key %s of %s is %s, and due for rotation", k.AccessKeyID, whose, age)
	}
	return n
}

// Days writes a time in whole days: "1 day", "90 days", or hours below one.
func Days(d time.Duration) string {
	n, unit := int(d/(24*time.Hour)), "day"
	if n == 0 {
		n, unit = int(d/time.Hour), "hour"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
