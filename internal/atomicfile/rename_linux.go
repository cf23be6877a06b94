// SPDX-License-Identifier: Apache-2.0

package atomicfile

import "golang.org/x/sys/unix"

// renameExcl moves a file to a name that must be free, in one step, where the
// file system can.
func renameExcl(fromDir int, from string, toDir int, to string) error {
	return unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE)
}
