// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameNew moves a file to a name that must be free: fs.ErrExist if it is not.
func renameNew(from, to string) error {
	err := unix.RenamexNp(from, to, unix.RENAME_EXCL)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
