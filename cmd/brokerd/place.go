// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/paths"

	"github.com/fsnotify/fsnotify"
)

// mind looks after the place of the socket whenever something in or around its
// directory comes or goes; the listener itself looks each minute. On SIGHUP
// the log is opened anew. The config needs no signal: it is read again whenever
// it differs.
func (d *daemon) mind(ctx context.Context, hangup <-chan os.Signal, lost func(error)) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		// A watch holds on to the directory that it was put on, which may be
		// another one by now: each turn begins with a new one. Then comes the
		// look, so that nothing can happen in between.
		w := d.watch()
		if err := d.check(ctx); err != nil {
			lost(err)
		}
		if w == nil {
			d.await(ctx, hangup, tick.C, nil, nil)
			continue
		}
		d.await(ctx, hangup, tick.C, w.Events, w.Errors)
		_ = w.Close() // nothing is left to lose
	}
}

// checkEvery is how often the daemon looks whether its place is where clients
// look: no watch tells of /run/user/UID that comes with a login.
const checkEvery = time.Minute

// errMoved ends a daemon that new clients would not find, and that keeps the
// state from the one that they would start.
var errMoved = errors.New("clients look for the daemon in another place now")

// check makes sure that the socket is there, and is where clients look. Where that fails it tries again
// for a second: rm -rf takes a directory away piece by piece, and a new socket
// may go with it.
func (d *daemon) check(ctx context.Context) error {
	if p, err := paths.Find(os.Getenv, os.Getuid()); err == nil && p.Socket != d.places.Socket {
		return fmt.Errorf("%w: %s", errMoved, p.Socket)
	}
	if d.program.renewed() && d.broker.Idle() {
		return errReplaced
	}
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		err := d.listener.Check()
		if err == nil || errors.Is(err, ipc.ErrServed) || wait > time.Second/2 {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// await returns when the socket may be gone, or ctx has ended.
func (d *daemon) await(ctx context.Context, hangup <-chan os.Signal, tick <-chan time.Time, events <-chan fsnotify.Event, failures <-chan error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			return
		case <-hangup:
			d.file.reopen()
		case event := <-events:
			if d.concerns(event) {
				return
			}
		case err := <-failures:
			d.log.Warn("watching the socket", "error", err)
			return // some events were lost
		}
	}
}

func (d *daemon) concerns(e fsnotify.Event) bool {
	return (e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) &&
		(e.Name == d.places.RuntimeDir || e.Name == d.places.Socket || e.Name == d.places.LockFile)
}

// watch follows the directory of the socket and the one above it: a directory
// that somebody still holds open does not tell of its own removal. It returns
// nil where the system has no watch to give.
func (d *daemon) watch() *fsnotify.Watcher {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		d.log.Warn("socket is not watched, only looked at each minute", "error", err)
		return nil
	}
	for _, dir := range []string{d.places.RuntimeDir, filepath.Dir(d.places.RuntimeDir)} {
		if err := w.Add(dir); err != nil {
			d.log.Debug("directory is not watched", "path", dir, "error", err)
		}
	}
	return w
}
