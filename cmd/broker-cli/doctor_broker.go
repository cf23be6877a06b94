// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// statusLimit is how long doctor waits for a daemon that is there.
const statusLimit = 5 * time.Second

// checkVersion asks the daemon, if one runs, who it is and what it complains of.
func (d *doctor) checkVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	var s ipc.Status
	daemon := &ipc.Client{Socket: d.places.Socket, Name: "broker " + version}
	err := daemon.Call(ctx, ipc.OpStatus, nil, &s)
	switch {
	case client.Unreached(err):
		return "broker " + version + "; no daemon runs, the next command starts one"
	case err != nil:
		d.failed(levelProblem, err)
		return ""
	}
	d.status, d.promised = &s, s.Reserved
	for _, p := range addOutdated(s) {
		if p.Code != ipc.CodeNotInitialised { // the store's check says that
			d.failed(levelProblem, &p)
		}
	}
	for _, n := range s.Notes {
		d.failed(levelNote, &n)
	}
	return fmt.Sprintf("broker %s, brokerd %s", version, s.Version)
}

// checkConfig reads broker's own config and the index of keys.
func (d *doctor) checkConfig(context.Context) string {
	s, err := awsconfig.LoadSettings(d.places.ConfigFile)
	if err != nil {
		d.failed(levelProblem, err)
		d.unset = true
	} else {
		d.settings = s
	}
	d.keys, err = d.StoredKeys()
	if err == nil && d.indexGone() {
		err = client.Errorf(ipc.CodeIndexLost, "read the index of stored keys: %s is missing", d.places.StateFile)
	}
	if err != nil {
		d.failed(levelProblem, err)
		d.unlisted = true
	}
	return fmt.Sprintf("%s, %s", d.places.ConfigFile, count(len(d.keys), "stored key"))
}

// indexGone reports whether there was an index, and there is none: brokerd
// leaves a mark beside the first that it writes.
func (d *doctor) indexGone() bool {
	_, err := os.Lstat(d.places.StateFile)
	_, mark := os.Lstat(filepath.Join(d.places.StateDir, "initialised"))
	return errors.Is(err, fs.ErrNotExist) && mark == nil
}

// checkStore writes, reads and deletes an item, as every add does.
func (d *doctor) checkStore(ctx context.Context) string {
	if missingStore != "" {
		d.note(missingStore, "")
	}
	backend := d.settings.Vault.Backend
	if d.unset {
		return "not tried: broker's config, which names it, cannot be read"
	}
	if backend == "" {
		d.problem("no store for keys is chosen", "choose one: broker init")
		return ""
	}
	params, err := d.recoverParams()
	if err == nil {
		var item string
		if item, err = probeItem(); err == nil {
			err = d.vault(ctx, params.Store, ipc.OpProbe, ipc.ProbeParams{Store: params.Store, Item: item}, nil)
		}
	}
	switch {
	case errors.Is(err, &ipc.Error{Code: ipc.CodeKeychainLocked}):
		d.failed(levelNote, err) // as it should be, when nobody uses it
		return backend + ", locked"
	case err != nil:
		d.failed(levelProblem, err)
		return ""
	}
	d.works = true
	return backend + ", an item was written, read and deleted"
}
