// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"credbroker/internal/secret"
)

// harden closes this process to others of its user: no debugger, no crash
// report, no library from where the system's are not, no directory of whoever
// started it. Handles are inherited on Windows only where a program asks for it.
func harden() error {
	if err := secret.HideProcess(); err != nil {
		return err
	}
	if err := windows.SetDefaultDllDirectories(windows.LOAD_LIBRARY_SEARCH_SYSTEM32); err != nil {
		return err
	}
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	return os.Chdir(filepath.VolumeName(system) + `\`)
}
