// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "testing"

func TestIsProgram(t *testing.T) {
	for path, want := range map[string]bool{
		`C:\bin\broker.exe`:           true,
		`C:\Program Files\broker.exe`: true,
		`C:/bin/broker.exe`:           false,
		`\\server\share\broker.exe`:   false,
		`C:broker.exe`:                false,
		`C:\%TEMP%\broker.exe`:        false,
		`C:\a&b\broker.exe`:           false,
		`C:\x" y\broker.exe`:          false,
	} {
		if got := isProgram(path); got != want {
			t.Errorf("isProgram(%s) = %v", path, got)
		}
	}
}
