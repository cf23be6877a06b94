// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// mind looks after the place of the socket, at once when something in or
// around its directory is removed; the listener itself looks each minute. On
// SIGHUP the log is opened anew. The config needs no signal: it is read again
// whenever it differs.
func (d *daemon) mind(ctx context.Context, lost func(error)) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		d.log.Warn("socket is not watched, only looked at each minute", "error", err)
		<-ctx.Done()
		return
	}
	defer func() { _ = watcher.Close() }() // nothing is left to lose
	d.watch(watcher)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			d.file.reopen()
		case event := <-watcher.Events:
			if !d.concerns(event) {
				continue
			}
		case err := <-watcher.Errors:
			d.log.Warn("watching the socket", "error", err)
		}
		if err := d.listener.Check(); err != nil {
			lost(err)
			return
		}
		d.watch(watcher)
	}
}

// concerns reports whether the socket may be gone after an event.
func (d *daemon) concerns(e fsnotify.Event) bool {
	return (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) &&
		(e.Name == d.places.RuntimeDir || e.Name == d.places.Socket || e.Name == d.places.LockFile)
}

// watch follows the directory of the socket and the one above it: a directory
// that somebody still holds open does not tell of its own removal.
func (d *daemon) watch(w *fsnotify.Watcher) {
	for _, dir := range []string{d.places.RuntimeDir, filepath.Dir(d.places.RuntimeDir)} {
		_ = w.Remove(dir) // it may be another directory by now, or be watched no more
		if err := w.Add(dir); err != nil {
			d.log.Debug("directory is not watched", "path", dir, "error", err)
		}
	}
}
