// SPDX-License-Identifier: Apache-2.0

//go:build unix

package awsapi

import "io/fs"

// writableByAll reports whether every user of the machine may change a file.
func writableByAll(info fs.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }
