// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/windows"

	"credbroker/internal/secret"
)

// harden closes this process to others of its user: no debugger, no crash
// report, no library from where the system's are not.
func harden() error {
	if err := secret.HideProcess(); err != nil {
		return err
	}
	return windows.SetDefaultDllDirectories(windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
}
