// SPDX-License-Identifier: Apache-2.0

//go:build unix && !darwin

package paths

import "path/filepath"

func configDir(_ func(string) string, home string) string {
	return filepath.Join(home, ".config", "broker")
}

func stateDir(_ func(string) string, home string) string {
	return filepath.Join(home, ".local", "state", "broker")
}
