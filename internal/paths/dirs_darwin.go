// SPDX-License-Identifier: Apache-2.0

package paths

import "path/filepath"

func configDir(_ func(string) string, home string) string {
	return filepath.Join(home, "Library", "Application Support", "broker")
}

func stateDir(getenv func(string) string, home string) string { return configDir(getenv, home) }
