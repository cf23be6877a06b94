// SPDX-License-Identifier: Apache-2.0

package awsapi

import "strings"

// arn is an ARN of IAM or STS.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
type arn struct {
	partition, account, resource string
}

func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || (p[2] != "iam" && p[2] != "sts") || !isAccountID(p[4]) || p[5] == "" {
		return arn{}, false
	}
	return arn{partition: p[1], account: p[4], resource: p[5]}, true
}

// userName returns the name of an IAM user without its path, or "".
func (a arn) userName() string {
	rest, ok := strings.CutPrefix(a.resource, "user/")
	if !ok {
		return ""
	}
	return rest[strings.LastIndexByte(rest, '/')+1:]
}

func isAccountID(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}
