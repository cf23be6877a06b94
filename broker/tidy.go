// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"credbroker/internal/atomicfile"
)

// tidyTime is how often the daemon looks for what is left over.
const tidyTime = time.Minute

// tidyUp finishes removals at once, and tidies each minute until ctx ends.
func (b *Broker) tidyUp(ctx context.Context) {
	ticker := time.NewTicker(tidyTime)
	defer ticker.Stop()
	b.sweepFiles(ctx)
	for {
		b.deleteDoomed(ctx)
		b.sweep()
		if err := b.index.heal(); err != nil {
			b.opts.Log.LogAttrs(ctx, slog.LevelError, "the index is not on the disk", slog.Any("error", err))
		}
		b.removeOverlays(ctx)
		b.huntStrays(ctx)
		b.learnFacts(ctx)
		b.nag(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// leftoverAge is how old a temporary file is that nobody is writing any more.
const leftoverAge = time.Hour

// sweepFiles removes what writers of ours left behind that a crash cut short,
// in the directories that are ours alone.
func (b *Broker) sweepFiles(ctx context.Context) {
	before := b.opts.Clock.Now().Add(-leftoverAge)
	state := filepath.Base(b.opts.Places.StateFile)
	for dir, of := range map[string]func(name string) bool{
		filepath.Dir(b.opts.Places.StateFile): func(name string) bool {
			return name == state || name == filepath.Base(b.index.previous()) || name == markName
		},
		b.opts.Places.OverlayDir: func(name string) bool {
			_, ok := parseOverlay(name)
			return ok
		},
		b.rotationDir(): func(name string) bool {
			id, ok := strings.CutSuffix(name, journalSuffix)
			if !ok {
				id = strings.TrimSuffix(strings.TrimSuffix(name, ".room"), ".sealed")
			}
			return journalID.MatchString(id)
		},
	} {
		if err := atomicfile.Sweep(dir, before, of); err != nil {
			b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "leftovers not removed", slog.String("path", dir), slog.Any("error", err))
		}
	}
}

// removeOverlays removes the overlays of broker exec whose login session has
// ended. The child of exec may have left others behind that still read one
// (exec -- code .), so as long as a process of the session, or one with the
// path in its environment, is alive, the file stays.
func (b *Broker) removeOverlays(ctx context.Context) {
	if b.opts.ProcDir == "" {
		return
	}
	found, err := os.ReadDir(b.opts.Places.OverlayDir)
	if err != nil {
		return // nobody has used exec
	}
	var old []overlay
	for _, entry := range found {
		if o, ok := parseOverlay(entry.Name()); ok && entry.Type().IsRegular() {
			o.path = filepath.Join(b.opts.Places.OverlayDir, entry.Name())
			old = append(old, o)
		}
	}
	if len(old) == 0 {
		return
	}
	// Processes are listed after the files: whoever makes one is alive then.
	processes, err := listProcesses(b.opts.ProcDir, b.opts.UID)
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "overlays stay: processes not listed", slog.Any("error", err))
		return
	}
	for _, o := range old {
		if o.wanted(processes) {
			continue
		}
		if err := os.Remove(o.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "overlay not removed", slog.String("path", o.path), slog.Any("error", err))
		}
	}
}

// overlay is a config file that broker exec made for one login session. Its
// name is SID-STARTTIME-HASH.config.
type overlay struct {
	path   string
	leader int    // process ID of the session leader: see ipc.LoginSession
	start  uint64 // its start time
}

func parseOverlay(name string) (overlay, bool) {
	base, ok := strings.CutSuffix(name, ".config")
	parts := strings.Split(base, "-")
	if !ok || len(parts) != 3 {
		return overlay{}, false
	}
	leader, err := strconv.Atoi(parts[0])
	start, err2 := strconv.ParseUint(parts[1], 10, 64)
	return overlay{leader: leader, start: start}, err == nil && err2 == nil && leader >= 0 && parts[2] != ""
}

// wanted reports whether a process may still read the overlay.
func (o overlay) wanted(processes []process) bool {
	reused := false // the leader's number names a later process
	for _, p := range processes {
		reused = reused || p.pid == o.leader && p.start != o.start
	}
	for _, p := range processes {
		// Members of a session whose leader has ended keep its number, and
		// the kernel does not give that number away before they are gone.
		if p.session == o.leader && !reused {
			return true
		}
		if p.environ == nil || bytes.Contains(p.environ, []byte("="+o.path+"\x00")) {
			return true
		}
	}
	return false
}

// process is what matters of one process of ours.
type process struct {
	pid, session int
	start        uint64
	environ      []byte // nil if it may not be read
}
