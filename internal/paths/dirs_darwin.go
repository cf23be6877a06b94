// SPDX-License-Identifier: Apache-2.0

package paths

import "path/filepath"

func configDir(home string) string {
	return filepath.Join(home, "Library", "Application Support", "broker")
}

func stateDir(home string) string { return configDir(home) }
