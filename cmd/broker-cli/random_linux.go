// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"golang.org/x/sys/unix"
)

// random fills bits. The kernel is asked directly: crypto/rand would make every
// start of the helper slower.
func random(bits []byte) error {
	n, err := unix.Getrandom(bits, 0)
	if err == nil && n != len(bits) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
