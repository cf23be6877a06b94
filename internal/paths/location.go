// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"credbroker/internal/atomicfile"
)

// maxLocation is the longest location file in bytes: two paths and some words.
const maxLocation = 16 << 10

// Location records the directories of a user whose XDG_CONFIG_HOME or
// XDG_STATE_HOME is not the default. An empty field is the default.
//
// Its file has one "key = value" a line, with the keys config_dir and
// state_dir; empty lines and lines that begin with # are skipped.
type Location struct {
	ConfigDir string // the directory of broker's config file
	StateDir  string
}

// XDGLocation returns the location that XDG_CONFIG_HOME and XDG_STATE_HOME ask
// for. A value that is not an absolute path is ignored, as the XDG base
// directory specification says, and so is one that names the default.
func XDGLocation(getenv func(string) string, home string) Location {
	dir := func(name, standard string) string {
		base := getenv(name)
		if !filepath.IsAbs(base) {
			return ""
		}
		if path := filepath.Join(base, "broker"); path != standard {
			return path
		}
		return ""
	}
	return Location{
		ConfigDir: dir("XDG_CONFIG_HOME", configDir(getenv, home)),
		StateDir:  dir("XDG_STATE_HOME", stateDir(getenv, home)),
	}
}

// ReadLocation reads the file at path. A missing file is the zero Location. An
// error names the file, and the line if one is wrong.
func ReadLocation(path string) (Location, error) {
	data, err := atomicfile.Read(path, maxLocation)
	if errors.Is(err, fs.ErrNotExist) {
		return Location{}, nil
	}
	if err != nil {
		return Location{}, err
	}
	loc, err := parseLocation(string(data))
	if err != nil {
		return Location{}, fmt.Errorf("%s: %w", path, err)
	}
	return loc, nil
}

func parseLocation(text string) (Location, error) {
	var loc Location
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return Location{}, fmt.Errorf("line %d: not a \"key = value\" line", n)
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		var field *string
		switch key {
		case "config_dir":
			field = &loc.ConfigDir
		case "state_dir":
			field = &loc.StateDir
		default:
			return Location{}, fmt.Errorf("line %d: unknown key %q: config_dir and state_dir are known", n, key)
		}
		if !filepath.IsAbs(value) {
			return Location{}, fmt.Errorf("line %d: %s is %q: not an absolute path", n, key, value)
		}
		if *field != "" {
			return Location{}, fmt.Errorf("line %d: %s is there twice", n, key)
		}
		*field = filepath.Clean(value)
	}
	return loc, nil
}

// WriteLocation writes loc to the file at path, and its directory if that is
// missing. The zero Location needs no file and removes one that is there.
func WriteLocation(path string, loc Location) error {
	if loc == (Location{}) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b strings.Builder
	b.WriteString("# Where broker keeps its files. Written by broker init.\n")
	for _, l := range []struct{ key, dir string }{
		{"config_dir", loc.ConfigDir},
		{"state_dir", loc.StateDir},
	} {
		if l.dir != "" {
			fmt.Fprintf(&b, "%s = %s\n", l.key, l.dir)
		}
	}
	// What cannot be read back would lock every command out.
	if got, err := parseLocation(b.String()); err != nil || got != loc {
		return fmt.Errorf("write %s: %q and %q cannot be recorded: they must be clean absolute paths without a newline", path, loc.ConfigDir, loc.StateDir)
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, []byte(b.String()), 0o600)
}
