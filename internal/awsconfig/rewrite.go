// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"credbroker/internal/atomicfile"
)

// Limits of an edit.
const (
	lockWait   = 10 * time.Second           // for another edit; one takes milliseconds
	maxTries   = 6                          // on a file that another program writes
	firstPause = 10 * time.Millisecond      // before the second try; each later one is twice as long
	newMode    = fs.FileMode(0o700)         // of a directory that is made; the SDKs' own choice for ~/.aws
	farAhead   = 100 * 365 * 24 * time.Hour // no file is as new as that, whatever the clock did
)

// RewriteOptions are the surroundings of an edit. Lock and Now are required.
type RewriteOptions struct {
	Lock   string    // path of the one lock file of all edits; its directory is made
	Now    time.Time // names the backup
	Backup bool      // keep what the file held beside it; not where keys are taken out of it
}

// Rewritten is what an edit has done.
type Rewritten struct {
	Changed bool   // also where the error is that the disk does not confirm it
	Path    string // the file itself, behind links
	Backup  string // path of the backup; empty if there is none
}

// Rewrite edits the file of the user at path: change is given what it holds,
// nothing if it is missing, and returns what it is to hold. The same means that
// nothing is written.
//
// Symbolic links stay, and the file that they lead to is edited, or made. It is
// replaced whole, and keeps mode, owner, group and, on Linux, extended
// attributes; a new one is of mode 0600, and so is its directory 0700 if that is
// missing. A crash at any instant leaves the old file or the new one.
//
// Other programs write the file too, and know no lock. What they did until just
// before the rename is noticed: change is then called again with what the file
// holds by now. So it must do nothing but compute. Rewrite wipes both its argument
// and its result, in the end.
//
// Before the rename the old content is on the disk as a backup if o.Backup says
// so, under the name NAME.broker-YYYYMMDDTHHMMSSZ; of all backups the oldest and
// the newest four stay.
//
// Errors are an Error of CodeConfigUnwritable, CodeDiskFull or CodeReadOnly, or
// that of change or ctx; then nothing was changed, unless the error says so.
// Several processes and goroutines may edit at once.
func Rewrite(ctx context.Context, path string, o RewriteOptions, change func(old []byte) ([]byte, error)) (Rewritten, error) {
	release, err := holdEdits(ctx, o.Lock)
	if err != nil {
		return Rewritten{}, err
	}
	defer release()
	e := edit{path: path, options: o, change: change}
	defer e.wipe()
	pause := firstPause
	for try := 1; ; try++ {
		done, err := e.try()
		switch {
		case !errors.Is(err, atomicfile.ErrChanged):
			return done, err
		case try == maxTries:
			return Rewritten{}, errorAt(Pos{File: path}, CodeConfigUnwritable, "another program keeps writing it; it was left as that program wrote it").
				hint("wait until that program is done, and try again")
		}
		timer := time.NewTimer(pause)
		pause *= 2
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Rewritten{}, fmt.Errorf("edit %s: %w", path, ctx.Err())
		}
	}
}

// holdEdits waits until no other edit is under way.
func holdEdits(ctx context.Context, lock string) (release func(), err error) {
	if err := atomicfile.MkdirAll(filepath.Dir(lock), newMode); err != nil {
		return nil, refused(lock, fmt.Errorf("make the directory of the lock file: %w", err))
	}
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	release, err = atomicfile.Lock(wait, lock)
	switch {
	case err == nil:
		return release, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("wait for %s: %w", lock, ctx.Err())
	case errors.Is(err, atomicfile.ErrLocked):
		return nil, errorAt(Pos{File: lock}, CodeConfigUnwritable, "another edit of AWS files has held this lock for %v", lockWait).
			hint("wait until the other broker command has ended, or end it, and try again")
	}
	return nil, refused(lock, err)
}

// edit is one change of one file, however often it takes.
type edit struct {
	path    string
	options RewriteOptions
	change  func([]byte) ([]byte, error)
	made    [][]byte // what change returned
}

// wipe forgets what change returned. Not earlier: it may return the same twice.
func (e *edit) wipe() {
	for _, data := range e.made {
		clear(data)
	}
}

// try returns atomicfile.ErrChanged if somebody else has changed the file
// meanwhile; then nothing is left of the try.
func (e *edit) try() (Rewritten, error) {
	target, err := followLinks(e.path)
	if err != nil {
		return Rewritten{}, err
	}
	sweepEdits(target.path, e.options.Now)
	old, err := atomicfile.Open(target.path, maxFile)
	if err != nil {
		return Rewritten{}, target.refused(err)
	}
	defer old.Close()
	data, err := e.change(old.Data())
	e.made = append(e.made, data)
	switch {
	case err != nil:
		return Rewritten{}, err
	case bytes.Equal(data, old.Data()):
		return Rewritten{Path: target.path}, nil
	case len(data) > maxFile:
		return Rewritten{}, errorAt(Pos{File: target.path}, CodeConfigUnwritable, "would be larger than %d MiB", maxFile>>20)
	}
	if err := target.makeDir(); err != nil {
		return Rewritten{}, target.refused(err)
	}
	return e.put(target, old, data)
}

// put writes the backup and then the file.
func (e *edit) put(target target, old *atomicfile.Original, data []byte) (Rewritten, error) {
	done := Rewritten{Changed: true, Path: target.path}
	if e.options.Backup && old.Exists() {
		backup, err := keepBackup(old, target.path, e.options.Now)
		if err != nil {
			return Rewritten{}, target.refused(fmt.Errorf("keep a backup: %w", err))
		}
		done.Backup = backup
	}
	err := old.Replace(data, func() error { return target.stands(e.path) })
	switch {
	case errors.Is(err, atomicfile.ErrUnsure):
	case err != nil && done.Backup != "":
		_ = os.Remove(done.Backup) // of an edit that was none; one more does no harm
		fallthrough
	case err != nil:
		return Rewritten{}, target.refused(err)
	}
	pruneBackups(target.path)
	return done, target.refused(err)
}

// SweepEdits removes what edits of the file at path left behind that were killed:
// a copy of it, which may hold keys. Rewrite does that itself; this is for a file
// that a command has found to be as it should. Where it fails, a later edit tries
// again. It waits for other edits, but only if there is something to remove.
func SweepEdits(ctx context.Context, path string, o RewriteOptions) {
	target, err := followLinks(path)
	if err != nil {
		return
	}
	found := false
	_ = atomicfile.Sweep(filepath.Dir(target.path), o.Now, func(name string) bool { // it removes nothing yet
		found = found || leftBy(target.path, name)
		return false
	})
	if !found {
		return
	}
	release, err := holdEdits(ctx, o.Lock)
	if err != nil {
		return
	}
	defer release()
	sweepEdits(target.path, o.Now)
}

// sweepEdits does so for whoever holds the lock: who does is alone, so a temporary
// file of any age is nobody's. Where it fails the edit itself will fail, or it
// hinders nothing.
func sweepEdits(path string, now time.Time) {
	_ = atomicfile.Sweep(filepath.Dir(path), now.Add(farAhead), func(name string) bool { return leftBy(path, name) }) // see above
}

// leftBy reports whether an edit of the file at path writes one of that name: it,
// or a backup.
func leftBy(path, name string) bool {
	base := filepath.Base(path)
	return name == base || isBackup(base, name)
}
