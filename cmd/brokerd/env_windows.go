// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// programSuffix is how the name of a program ends.
const programSuffix = ".exe"

// systemEnviron is what the daemon has whatever it was started with: without
// SYSTEMROOT no socket opens.
func systemEnviron() []string {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return nil // os/exec finds out what must not be missing
	}
	root := filepath.Dir(system)
	return []string{"PATH=" + system + ";" + root, "SYSTEMROOT=" + root}
}

// allowedNames and allowedPrefixes are the variables that the daemon may see.
// Whatever else it was started with is dropped before any work: the Go runtime
// and net obey GODEBUG and GOTRACEBACK, and the AWS SDK its own.
func allowedNames() []string {
	return []string{"USERPROFILE", "APPDATA", "LOCALAPPDATA", "USERNAME", "TEMP", "TMP", "LANG", "TZ", "GOCOVERDIR"}
}

// scrub drops what the daemon must not see. Windows cannot start a program
// anew in its place, so it goes before anything has looked at it; the runtime
// itself takes back what it had read.
func scrub() error {
	clean := cleanEnviron(capitals(os.Environ()))
	os.Clearenv()
	for _, entry := range clean {
		name, value, _ := strings.Cut(entry, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("clean the environment: set %s: %w", name, err)
		}
	}
	return nil
}

// capitals spells the names of variables as allowedNames does: on Windows they
// have no case.
func capitals(environ []string) []string {
	out := make([]string, 0, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			out = append(out, strings.ToUpper(name)+"="+value)
		}
	}
	return out
}
