// SPDX-License-Identifier: Apache-2.0

//go:build unix

package desktop

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Trusted refuses a program that somebody other than root could have put there
// or changed: it, and each directory above it, must belong to root and be
// writable by nobody else.
func Trusted(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", path)
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("%s could be changed by others than root", at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
