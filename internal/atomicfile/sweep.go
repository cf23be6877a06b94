// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// beforeSuffix and suffixDigits make the names under which Write writes before
// it renames: ".NAME.tmp-ktw1f4". It is no regexp, which every start of every
// program would have to compile.
const (
	beforeSuffix = ".tmp-"
	suffixDigits = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// temporaryName returns a name for the new content of the file called name. It
// need not be unguessable: a name that is taken is refused.
func temporaryName(name string) string {
	return "." + name + beforeSuffix + strconv.FormatUint(rand.Uint64(), len(suffixDigits))
}

// temporaryOf returns the name of the file that a temporary name was made for.
func temporaryOf(temporary string) (name string, ok bool) {
	at := strings.LastIndex(temporary, beforeSuffix)
	if at < len(".x") || temporary[0] != '.' {
		return "", false
	}
	suffix := temporary[at+len(beforeSuffix):]
	return temporary[1:at], suffix != "" && strings.Trim(suffix, suffixDigits) == ""
}

// Sweep removes from dir what a Write that was cut short, by a crash or a power
// cut, has left there: temporary files of ours that were last written before
// the time given, which should be so long ago that no Write is still under way.
// Only those of files whose name of accepts are looked at. A directory that is
// not there has nothing to sweep.
func Sweep(dir string, before time.Time, of func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		name, ok := temporaryOf(e.Name())
		if !ok || !of(name) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !owned(info) || !info.ModTime().Before(before) {
			continue // gone meanwhile, or somebody else's, or perhaps in use
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
