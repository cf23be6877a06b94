// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package keychain

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/99designs/keyring"

	"credbroker/vault"
)

// foreignPass is what another program keeps in a password store. With no folder
// of its own it shares the store with everything else that is in there, so a
// name says little about what an item is.
type foreignPass struct {
	dir  string
	gpg  gpg
	ask  bool
	ring keyring.Keyring
}

var _ vault.ForeignStore = (*foreignPass)(nil)

func openForeignPass(ctx context.Context, f Foreign) (vault.ForeignStore, error) {
	ctx, cancel := context.WithTimeout(ctx, f.Call)
	defer cancel()
	return bounded(ctx, "open the password store", func() (vault.ForeignStore, error) {
		if !filepath.IsAbs(f.Dir) || !filepath.IsAbs(f.Program) || f.Prefix != "" && !filepath.IsLocal(f.Prefix) {
			return nil, &vault.Error{Kind: vault.ErrNoBackend, Text: "a password store needs the absolute paths of it and of the program pass, and a folder in it"}
		}
		if err := checkProgram(f.Program); err != nil {
			return nil, err
		}
		s := &foreignPass{dir: filepath.Join(f.Dir, f.Prefix), ask: !f.Silent}
		if _, err := os.Stat(s.dir); err != nil {
			return nil, fileError("open the password store", err)
		}
		var err error
		if s.gpg, err = findGPG(f.Config); err != nil {
			return nil, err
		}
		s.ring, err = pinned(keyring.PassBackend, "*keyring.passKeyring", keyring.Config{
			PassDir: f.Dir, PassCmd: f.Program, PassPrefix: f.Prefix,
		})
		return s, err
	})
}

// Names reads the names of files, and decrypts none.
func (s *foreignPass) Names(ctx context.Context) ([]string, error) {
	return bounded(ctx, "list the password store", func() ([]string, error) {
		var names []string
		err := fs.WalkDir(os.DirFS(s.dir), ".", func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if path != "." && strings.HasPrefix(e.Name(), ".") {
				if e.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if name, ok := strings.CutSuffix(path, passSuffix); ok && !e.IsDir() {
				names = append(names, name)
			}
			return nil
		})
		if err != nil {
			return nil, fileError("list the password store", err)
		}
		return names, nil
	})
}

// Get lets gpg ask for its passphrase before the library would run it, which
// has no deadline for that.
func (s *foreignPass) Get(ctx context.Context, name string) ([]byte, error) {
	return bounded(ctx, "read item "+name, func() ([]byte, error) {
		if err := s.look(name); err != nil {
			return nil, err
		}
		if err := s.unlock(ctx, name); err != nil {
			return nil, err
		}
		item, err := s.ring.Get(name)
		switch {
		case errors.Is(err, keyring.ErrKeyNotFound): // deleted since
			return nil, absentFromPass(name)
		case isJSON(err):
			return nil, &vault.Error{Kind: vault.ErrCorrupt, Text: "item " + name + " is none of the library's"}
		case err != nil:
			return nil, &vault.Error{Kind: vault.ErrCorrupt, Text: "item " + name + " does not decrypt: its file is damaged"}
		case item.Key != name:
			return nil, &vault.Error{Kind: vault.ErrMismatch, Text: "the file of item " + name + " is a copy of another item"}
		}
		return item.Data, nil
	})
}

// unlock has the passphrase of the password store given, if that is needed. What
// gpg says of a file is told in the words of broker's own canary, so it is told
// again.
func (s *foreignPass) unlock(ctx context.Context, name string) error {
	err := s.gpg.try(ctx, s.path(name))
	if errors.Is(err, vault.ErrLocked) && s.ask {
		err = s.gpg.ask(ctx, s.path(name))
	}
	switch {
	case errors.Is(err, vault.ErrLocked):
		return &vault.Error{Kind: vault.ErrLocked, Text: "the password store is locked, and GnuPG could not ask for its passphrase"}
	case errors.Is(err, vault.ErrCorrupt):
		return &vault.Error{Kind: vault.ErrCorrupt, Text: s.path(name) + " is damaged, or not encrypted"}
	}
	return err
}

// Delete implements vault.ForeignStore.
func (s *foreignPass) Delete(ctx context.Context, name string) error {
	return run(ctx, "delete item "+name, func() error {
		if err := s.look(name); err != nil {
			return err
		}
		if err := s.ring.Remove(name); err != nil {
			return &vault.Error{Kind: vault.ErrFailed, Text: "delete item " + name + ": pass did not", Err: err}
		}
		return nil
	})
}

// look refuses what the library should not be let near.
func (s *foreignPass) look(name string) error {
	if !filepath.IsLocal(name) {
		return absentFromPass(name)
	}
	switch info, err := os.Stat(s.path(name)); {
	case errors.Is(err, fs.ErrNotExist):
		return absentFromPass(name)
	case err != nil:
		return fileError("look at item "+name, err)
	case !info.Mode().IsRegular() || info.Size() > maxItemFile:
		return &vault.Error{Kind: vault.ErrCorrupt, Text: s.path(name) + " is no file of the store"}
	}
	return nil
}

func (s *foreignPass) path(name string) string {
	return filepath.Join(s.dir, filepath.FromSlash(name)+passSuffix)
}

func absentFromPass(name string) error {
	return &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in the password store"}
}
