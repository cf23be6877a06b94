// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"regexp"
	"strings"
)

// notInSessionName matches what AWS does not allow in a RoleSessionName.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// anySessionName is for a key whose user is not known.
const anySessionName = "broker"

// roleSessionName makes the name under which CloudTrail will show a role
// session from the configured one, else the IAM user's. It never holds a time
// stamp: the same user must always look the same to a policy and to the cache.
func roleSessionName(from string) string {
	name := notInSessionName.ReplaceAllString(from, "-")
	name += strings.Repeat("-", max(0, 2-len(name)))
	return name[:min(len(name), 64)]
}

// arn is an ARN of IAM.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
type arn struct{ partition, account, resource string }

func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] != "iam" || len(p[4]) != 12 || strings.Trim(p[4], "0123456789") != "" {
		return arn{}, false
	}
	return arn{partition: p[1], account: p[4], resource: p[5]}, true
}

// firstOf returns the first value that is not zero.
func firstOf[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
