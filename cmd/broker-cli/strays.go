// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// strays are the items of the vault that no file of the daemon names, and that
// it has promised to nobody. With silent, a store that is locked is left so.
func (a *app) strays(ctx context.Context, v awsconfig.VaultSettings, promised []string, silent bool) (ipc.Strays, error) {
	p, err := a.Places()
	if err != nil {
		return ipc.Strays{}, err
	}
	known, err := itemsNamed(p.StateFile)
	if err != nil {
		return ipc.Strays{}, err
	}
	params := ipc.StraysParams{Store: a.Store(v, p), Known: append(known, promised...), Read: true}
	if len(params.Known) > ipc.MostKnown {
		return ipc.Strays{}, client.Errorf(ipc.CodeRefused, "there are too many keys to tell what else the vault has")
	}
	params.Store.Silent = silent
	var found ipc.Strays
	err = a.vault(ctx, params.Store, ipc.OpStrays, params, &found)
	return found, err
}

// itemsNamed returns every name of an item in the index and in the journals
// beside it. Whatever stands in one is explained, so no more is read of them.
func itemsNamed(index string) ([]string, error) {
	files := []string{index}
	dir := filepath.Join(filepath.Dir(index), "rotations")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, client.Errorf(ipc.CodeStorage, "look for journals of rotations: %v", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	item := regexp.MustCompile(`broker\.v1\.[0-9a-f]{32}`) // here: the client starts without it
	names := []string{}
	for _, path := range files {
		data, err := atomicfile.Read(path, ipc.MaxState)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // one that ended meanwhile is gone
			return nil, client.Errorf(ipc.CodeStorage, "read which items of the vault are in use: %v", err)
		}
		names = append(names, item.FindAllString(string(data), -1)...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// checkItems looks for items of the vault that nobody knows of.
func (d *doctor) checkItems(ctx context.Context) string {
	if !d.works || d.unlisted {
		return "not looked for: that takes a store that is open, and the index of keys"
	}
	found, err := d.strays(ctx, d.settings.Vault, d.promised, true) // its dialog, if any, was the other check's
	if err != nil {
		d.failed(levelNote, err)
		return ""
	}
	level := levelProblem
	if d.settings.Vault.Backend == "pass" {
		level = levelNote
	}
	for _, s := range found.Items {
		d.failed(level, s.Problem())
	}
	if found.More > 0 {
		d.finds(level, count(found.More, "more item")+" of the vault that neither index nor journal names", "rebuild the index: broker recover")
	}
	return "index and journals name all that the vault has"
}
