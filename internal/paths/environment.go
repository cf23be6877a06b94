// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"credbroker/internal/atomicfile"
)

const (
	// maxEnvironment is the longest environment file in bytes. All names with
	// values of maxValue fit.
	maxEnvironment = 320 << 10
	// maxValue is the longest value in bytes that is recorded. A PATH has some
	// hundred.
	maxValue = 8 << 10
)

// environmentNames is what a program that finds an MFA code may need of the
// session in which broker init ran: to find programs and files, to speak the
// user's language, to open a window. No name here ever holds a secret; the LC_
// names are listed one by one, since people send all sorts of things through
// ssh as LC_SOMETHING.
func environmentNames() []string {
	return []string{
		"PATH", "HOME", "USER", "LOGNAME", "TZ",
		"LANG", "LC_ALL", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES",
		"LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME",
		"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS",
		"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "GNUPGHOME", "PASSWORD_STORE_DIR",
		"USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TEMP", // Windows
	}
}

// ReadEnvironment returns the NAME=value entries of the file at path that
// WriteEnvironment wrote. Names that are not on its list are dropped, whoever
// added them. An error names the file, and wraps fs.ErrNotExist if it is
// missing.
func ReadEnvironment(path string) ([]string, error) {
	data, err := atomicfile.Read(path, maxEnvironment)
	if err != nil {
		return nil, err
	}
	environ, err := parseEnvironment(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return environ, nil
}

func parseEnvironment(text string) ([]string, error) {
	var environ []string
	seen := map[string]bool{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, _, found := strings.Cut(line, "=")
		switch {
		case !found || name == "" || strings.Contains(line, "\x00"):
			return nil, fmt.Errorf("line %d: not a NAME=value line", n)
		case seen[name]:
			return nil, fmt.Errorf("line %d: %s is there twice", n, name)
		}
		seen[name] = true
		if slices.Contains(environmentNames(), name) {
			environ = append(environ, line)
		}
	}
	return environ, nil
}

// WriteEnvironment records what getenv says of the names on the list in the
// file at path, one NAME=value a line, and makes its directory if that is
// missing. Empty values, and those that one line cannot hold, are left out. It
// reports whether the file was another one before.
func WriteEnvironment(path string, getenv func(string) string) (changed bool, err error) {
	var b bytes.Buffer
	b.WriteString("# What mfa_command is started with. Written by broker init, which does not keep changes.\n")
	for _, name := range environmentNames() {
		value := getenv(name)
		if value == "" || len(value) > maxValue || strings.ContainsAny(value, "\n\x00") {
			continue
		}
		fmt.Fprintf(&b, "%s=%s\n", name, value)
	}
	// Whatever cannot be read is written anew, if it can be.
	before, err := atomicfile.Read(path, maxEnvironment)
	if err == nil && bytes.Equal(before, b.Bytes()) {
		return false, nil
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	if err := atomicfile.Write(path, b.Bytes(), 0o600); err != nil {
		return false, err
	}
	return true, nil
}
