// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package awsapi

import "io/fs"

// writableByAll reports whether every user of the machine may change a file.
// Mode bits do not say it here.
func writableByAll(fs.FileInfo) bool { return false }
