// SPDX-License-Identifier: Apache-2.0

//go:build unix

package awsconfig

import "strings"

// isProgram accepts the paths that sh, shlex and the SDKs' own splitters take
// for one word when they stand in double quotes, and without quotes when they
// have no blank.
func isProgram(path string) bool {
	return strings.HasPrefix(path, "/") && only(path, wordChars+".,+@:=/ -") &&
		!strings.HasPrefix(path, "/ ") && !strings.HasSuffix(path, " ")
}
