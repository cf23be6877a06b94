// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"credbroker/internal/atomicfile"
)

// A backup of "config" is called "config.broker-20060102T150405Z", in UTC.
const (
	backupInfix = ".broker-"
	backupTime  = "20060102T150405Z"
)

// keptBackups is how many of the newest backups stay, beside the oldest, which
// is the file as broker found it.
const keptBackups = 4

// isBackup reports whether name is that of a backup of the file called base.
func isBackup(base, name string) bool {
	stamp, ok := strings.CutPrefix(name, base+backupInfix)
	if !ok {
		return false
	}
	_, err := time.Parse(backupTime, stamp)
	return err == nil
}

// keepBackup writes what a file held beside it, and returns the path. A name that
// is taken, by an edit within the same second, stays what it is: the next second
// that is free names the backup.
func keepBackup(old *atomicfile.Original, path string, now time.Time) (string, error) {
	for {
		name := filepath.Base(path) + backupInfix + now.UTC().Format(backupTime)
		err := old.Copy(name)
		if !errors.Is(err, fs.ErrExist) {
			return filepath.Join(filepath.Dir(path), name), err
		}
		now = now.Add(time.Second)
	}
}

// backups returns the paths of a file's backups, the oldest first.
func backups(path string) ([]string, error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(dir) // sorted by name, and so by time
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if e.Type().IsRegular() && isBackup(base, e.Name()) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found, nil
}

// pruneBackups removes the backups between the oldest and the newest few. The
// edit is done by now; one that stays is in nobody's way, and the next edit tries
// again.
func pruneBackups(path string) {
	found, err := backups(path)
	if err != nil || len(found) <= 1+keptBackups {
		return
	}
	for _, old := range found[1 : len(found)-keptBackups] {
		_ = os.Remove(old) // see above
	}
}

// ScrubBackups applies remove to every backup that edits of the file at path have
// left, and keeps no copy of what it takes out of them: for keys that were removed
// from the file itself. It returns the paths of those that were changed. An error
// of one does not keep it from the others.
func ScrubBackups(ctx context.Context, path string, o RewriteOptions, remove func(old []byte) ([]byte, error)) (scrubbed []string, err error) {
	target, err := followLinks(path)
	if err != nil {
		return nil, err
	}
	found, err := backups(target.path)
	if err != nil {
		return nil, refused(target.path, err)
	}
	o.Backup = false
	var failed []error
	for _, backup := range found {
		done, err := Rewrite(ctx, backup, o, remove)
		if err != nil {
			failed = append(failed, err)
		}
		if done.Changed {
			scrubbed = append(scrubbed, backup)
		}
	}
	return scrubbed, errors.Join(failed...)
}
