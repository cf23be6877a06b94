// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "strings"

// isProgram accepts the paths that cmd, and the SDKs' own splitters for
// Windows, take for one word when they stand in double quotes, and without
// quotes when they have no blank: on a drive, with backslashes, which cmd needs.
func isProgram(path string) bool {
	return len(path) > 3 && only(path[:1], wordChars) && path[1:3] == `:\` &&
		only(path[3:], wordChars+`.,+@=\ -`) && !strings.HasPrefix(path[3:], " ") && !strings.HasSuffix(path, " ")
}
