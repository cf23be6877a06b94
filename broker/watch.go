// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime gathers the events of one save: editors write, rename and chmod.
const settleTime = 100 * time.Millisecond

// watch reads the files when they change, so that status and the log say at
// once what is wrong with them. No request depends on it: each looks itself.
func (b *Broker) watch(ctx context.Context) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		b.opts.Log.Warn("files are not watched", "error", err)
		return
	}
	defer func() { _ = w.Close() }() // nothing is left to lose
	settle := time.NewTimer(settleTime)
	defer settle.Stop()
	settling := true // never put off again: a busy directory must not starve us
	wait := func() {
		if !settling {
			settle.Reset(settleTime)
			settling = true
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.Events:
			if !ok {
				return
			}
			wait()
		case err := <-w.Errors:
			b.opts.Log.Warn("watching files", "error", err)
			wait()
		case <-settle.C:
			settling = false
			b.refresh()
			b.follow(w)
		}
	}
}

// follow watches the directories that matter now, and no others.
func (b *Broker) follow(w *fsnotify.Watcher) {
	var want []string
	for _, path := range b.files.paths() {
		want = append(want, directories(path)...)
	}
	for _, dir := range w.WatchList() {
		if !slices.Contains(want, dir) {
			_ = w.Remove(dir) // it may be gone already
		}
	}
	for _, dir := range want {
		if slices.Contains(w.WatchList(), dir) {
			continue
		}
		if err := w.Add(dir); err != nil {
			b.opts.Log.Debug("directory is not watched", "path", dir, "error", err)
		}
	}
}
