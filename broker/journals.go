// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"credbroker/broker/rotation"
	"credbroker/internal/atomicfile"
	"credbroker/internal/ipc"
)

// maxJournal is far above what a journal of many profiles needs.
const maxJournal = 256 << 10

// journalSuffix ends the name of a journal: ID.json, beside it ID.sealed.
const journalSuffix = ".json"

var journalID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// rotationDir is where journals and sealed files are.
func (b *Broker) rotationDir() string {
	return filepath.Join(filepath.Dir(b.opts.Places.StateFile), "rotations")
}

func (b *Broker) journalFile(id string) string {
	return filepath.Join(b.rotationDir(), id+journalSuffix)
}

// sealedFile has the secret of a new key until the vault does.
func (b *Broker) sealedFile(id string) string { return filepath.Join(b.rotationDir(), id+".sealed") }

// TakeUp goes on with the rotations that an earlier daemon has left, until ctx
// ends. It comes before the first conversation: to a client that found none of
// them, a second rotation of the same key would seem to be a good idea.
func (b *Broker) TakeUp(ctx context.Context) {
	entries, err := os.ReadDir(b.rotationDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.rotations.broken = append(b.rotations.broken, fmt.Errorf("look for rotations under way: %w", err))
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), journalSuffix)
		if !ok {
			continue
		}
		j, err := b.readJournal(id)
		switch {
		case err != nil:
			b.opts.Log.LogAttrs(ctx, slog.LevelError, "the journal of a rotation cannot be read", slog.String("path", b.journalFile(id)), slog.Any("error", err))
			b.rotations.mu.Lock()
			b.rotations.broken = append(b.rotations.broken, fmt.Errorf("take up a rotation: %s: %w", b.journalFile(id), err))
			b.rotations.mu.Unlock()
		case j.State.Ended():
			b.removeJournal(ctx, id)
		default:
			b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "rotation goes on", slog.String("access_key_id", j.Old), slog.String("state", string(j.State)))
			b.startRotator(ctx, j, nil)
		}
	}
}

// begin writes down a rotation that is planned, and has it carried out. A journal
// that cannot be relied on goes at once: the user is told that nothing has begun,
// and the next daemon would take it up.
func (b *Broker) begin(ctx context.Context, j rotation.Journal, asker *caller, save func(context.Context, rotation.Journal) error) (*rotator, error) {
	if err := atomicfile.MkdirAll(b.rotationDir(), 0o700); err != nil {
		return nil, fail(ipc.StorageCode(err), "", "write the journal of a rotation: %v", err)
	}
	if err := save(ctx, j); err != nil {
		b.removeJournal(ctx, j.ID)
		return nil, err
	}
	return b.startRotator(ctx, j, asker), nil
}

func (b *Broker) readJournal(id string) (rotation.Journal, error) {
	data, err := atomicfile.Read(b.journalFile(id), maxJournal)
	if err != nil {
		return rotation.Journal{}, err
	}
	return rotation.Decode(data)
}

// removeJournal forgets a rotation that has ended. The lock file of its sealed
// file goes with it: nobody locks that any more.
func (b *Broker) removeJournal(ctx context.Context, id string) {
	for _, path := range []string{b.sealedFile(id), b.sealedFile(id) + ".room", b.sealedFile(id) + ".lock", b.journalFile(id)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "leftover of a rotation not removed", slog.String("path", path), slog.Any("error", err))
		}
	}
}

// doom says what is in an item of a rotation that is to be deleted.
func doom(j rotation.Journal, item string) doomed {
	profile, key := j.Holds(item)
	return doomed{profile, firstOf(key, j.Old, j.New, impossibleKey), item}
}

// rotationProblems returns what status shows of journals that cannot be read.
// Nothing that they may be about is touched until somebody has looked.
func (b *Broker) rotationProblems() []ipc.Error {
	b.rotations.mu.Lock()
	defer b.rotations.mu.Unlock()
	var list []ipc.Error
	for _, err := range b.rotations.broken {
		list = append(list, *fail(ipc.CodeStorage, "look at the keys of its user in IAM; when one works and the other is gone, remove the file and end the daemon", "%v", err))
	}
	return list
}
