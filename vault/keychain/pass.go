// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package keychain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/99designs/keyring"

	"credbroker/internal/atomicfile"
	"credbroker/vault"
)

// passFolder is the folder of broker's items in the password store; passSuffix
// ends the name of each file in it.
const (
	passFolder = "broker"
	passSuffix = ".gpg"
)

// passStore is a folder of the user's password store (pass, GnuPG). The library
// starts pass, and pass starts gpg, which may ask for a passphrase for as long
// as it likes. So the worker's environment keeps gpg from asking at all, and
// only Open asks. Why pass failed is asked of gpg itself: pass says it in words.
type passStore struct {
	dir  string // of our items
	gpg  gpg
	ring keyring.Keyring
}

var _ vault.Backend = (*passStore)(nil)

func openPass(ctx context.Context, c Config) (vault.Backend, error) {
	quick, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	s := &passStore{dir: filepath.Join(c.Dir, passFolder)}
	locked, err := bounded(quick, "open the password store", func() (bool, error) {
		if err := s.open(c); err != nil {
			return false, err
		}
		if err := s.canary(quick, c.Create); err != nil {
			return false, err
		}
		err := s.unlocked(quick)
		locked := errors.Is(err, vault.ErrLocked)
		if locked && !c.Silent {
			err = nil
		}
		return locked, err
	})
	if err != nil {
		return nil, err
	}
	if locked {
		return s, s.gpg.ask(ctx, s.path(canaryName))
	}
	return s, nil
}

// open looks at the programs and directories, and opens the library.
func (s *passStore) open(c Config) (err error) {
	if !filepath.IsAbs(c.Dir) || !filepath.IsAbs(c.Program) {
		return &vault.Error{
			Kind: vault.ErrNoBackend, Text: "a pass vault needs the absolute paths of the program pass and of the password store",
		}
	}
	if err := checkProgram(c.Program); err != nil {
		return err
	}
	if s.gpg, err = findGPG(c); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.Dir, ".gpg-id")); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return fileError("open the password store "+c.Dir, err)
		}
		return &vault.Error{
			Kind: vault.ErrGone, Text: "there is no password store in " + c.Dir,
			Hint: "mount or restore it, or make one: pass init KEY-ID",
		}
	}
	s.ring, err = pinned(keyring.PassBackend, "*keyring.passKeyring", keyring.Config{
		PassCmd: c.Program, PassDir: c.Dir, PassPrefix: passFolder,
	})
	return err
}

// canary makes sure that the folder is a vault: see file.checkPassphrase.
func (s *passStore) canary(ctx context.Context, create bool) error {
	if create {
		if err := atomicfile.MkdirAll(s.dir, 0o700); err != nil {
			return fileError("make the folder "+s.dir, err)
		}
	}
	if err := checkDir(s.dir); err != nil {
		return err
	}
	err := s.look(canaryName)
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	if !create {
		return &vault.Error{
			Kind: vault.ErrGone, Text: "the folder " + s.dir + " is no vault of broker's",
			Hint: "mount or restore what belongs there",
		}
	}
	return s.write(ctx, canaryName, []byte(canaryData))
}

func (s *passStore) Set(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	return run(ctx, "write item "+name, func() error {
		if err := s.unlocked(ctx); err != nil {
			return err
		}
		return s.write(ctx, name, data)
	})
}

// write creates one item. The library would overwrite, so nobody else may write
// between the look and the end.
func (s *passStore) write(ctx context.Context, name string, data []byte) error {
	act := "write item " + name
	release, err := lock(ctx, s.dir)
	if err != nil {
		return err
	}
	defer release()
	err = s.look(name)
	if err == nil && name == canaryName {
		return nil // another process was faster
	}
	if err == nil {
		return &vault.Error{Kind: vault.ErrExists, Text: "item " + name + " is in the password store already"}
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	if err := s.ring.Set(keyring.Item{Key: name, Data: data}); err != nil {
		_ = os.Remove(s.path(name)) // what there is of it was never whole
		return &vault.Error{
			Kind: vault.ErrFailed, Text: act + ": pass did not", Err: err,
			Hint: "see what it says of: pass insert " + passFolder + "/test",
		}
	}
	if err := syncPath(s.path(name)); err != nil {
		return fileError(act, err)
	}
	if err := syncPath(s.dir); err != nil {
		return fileError(act, err)
	}
	return nil
}

func (s *passStore) Get(ctx context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return bounded(ctx, "read item "+name, func() ([]byte, error) {
		if err := s.look(name); err != nil {
			return nil, err
		}
		item, err := s.ring.Get(name)
		switch {
		case errors.Is(err, keyring.ErrKeyNotFound): // deleted since
			return nil, &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in the password store"}
		case isJSON(err):
			return nil, &vault.Error{Kind: vault.ErrCorrupt, Text: "read item " + name + ": it is none of the library's"}
		case err != nil:
			if closed := s.unlocked(ctx); closed != nil {
				return nil, closed
			}
			return nil, &vault.Error{Kind: vault.ErrCorrupt, Text: "item " + name + " does not decrypt: its file is damaged"}
		case item.Key != name:
			return nil, &vault.Error{Kind: vault.ErrMismatch, Text: "the file of item " + name + " is a copy of another item"}
		}
		return item.Data, nil
	})
}

func (s *passStore) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return run(ctx, "delete item "+name, func() error {
		release, err := lock(ctx, s.dir)
		if err != nil {
			return err
		}
		defer release()
		if err := s.look(name); err != nil {
			return err
		}
		if err := s.ring.Remove(name); err != nil {
			return &vault.Error{Kind: vault.ErrFailed, Text: "delete item " + name + ": pass did not", Err: err}
		}
		if err := syncPath(s.dir); err != nil {
			return fileError("delete item "+name, err)
		}
		return nil
	})
}

// List reads the names of files, and decrypts none. A store that could decrypt
// none of them is not listed.
func (s *passStore) List(ctx context.Context) ([]string, error) {
	return bounded(ctx, "list the password store", func() ([]string, error) {
		if err := s.unlocked(ctx); err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			return nil, fileError("list the password store", err)
		}
		var names []string
		for _, e := range entries {
			if name, ok := strings.CutSuffix(e.Name(), passSuffix); ok && vault.Ours(name) {
				names = append(names, name)
			}
		}
		return names, nil
	})
}

// look returns ErrNotFound if the item is not there, and an error if the
// library should not be let near it.
func (s *passStore) look(name string) error {
	return lookItem(s.dir, filepath.Base(s.path(name)), name)
}

func (s *passStore) path(name string) string { return filepath.Join(s.dir, name+passSuffix) }

// unlocked returns ErrLocked if gpg would have to ask before it decrypts.
func (s *passStore) unlocked(ctx context.Context) error {
	if err := s.look(canaryName); err != nil {
		if errors.Is(err, vault.ErrNotFound) {
			err = &vault.Error{Kind: vault.ErrGone, Text: fmt.Sprintf("the folder %s is no vault of broker's any more", s.dir)}
		}
		return err
	}
	return s.gpg.try(ctx, s.path(canaryName))
}
