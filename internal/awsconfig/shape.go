// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"strings"
	"unicode"
)

// The shapes that AWS documents for its parameters, by hand: this package is
// linked into the helper, where compiling expressions at each start would show.
// A Region becomes part of a host name and a serial number is shown to people,
// so no other text may get in.

const wordChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func isRegion(v string) bool {
	return len(v) >= 2 && len(v) <= 32 && 'a' <= v[0] && v[0] <= 'z' && only(v, "abcdefghijklmnopqrstuvwxyz0123456789-")
}

func isSerial(v string) bool {
	return len(v) >= 9 && len(v) <= 256 && only(v, wordChars+"+=/:,.@-")
}

func isSessionName(v string) bool {
	return len(v) >= 2 && len(v) <= 64 && only(v, wordChars+"+=,.@-")
}

func isExternalID(v string) bool {
	return len(v) >= 2 && len(v) <= 1224 && only(v, wordChars+"+=,.@:/-")
}

// isRoleARN accepts arn:PARTITION:iam::ACCOUNT:role/PATH/NAME.
func isRoleARN(v string) bool {
	parts := strings.SplitN(v, ":", 6)
	return len(v) <= 2048 && len(parts) == 6 &&
		parts[0] == "arn" && isRegion(parts[1]) && parts[2] == "iam" && parts[3] == "" &&
		len(parts[4]) == 12 && only(parts[4], "0123456789") &&
		len(parts[5]) > len("role/") && strings.HasPrefix(parts[5], "role/") && printable(parts[5]) == parts[5]
}

// isTagText accepts the characters of session tags, of at most so many.
func isTagText(v string, most int) bool {
	n := 0
	for _, r := range v {
		if n++; !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return n <= most
}

func only(v, chars string) bool { return strings.Trim(v, chars) == "" }
