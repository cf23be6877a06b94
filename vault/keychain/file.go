// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/99designs/keyring"

	"credbroker/internal/atomicfile"
	"credbroker/internal/secret"
	"credbroker/vault"
)

// The canary is an item that every file vault has. The library accepts any
// password for a new item; the canary tells a wrong one before it is used.
const (
	canaryName = "broker.canary"
	canaryData = "this vault opens"
)

// stagePrefix begins the directories in which items are written before they
// are moved to their place.
const stagePrefix = ".new-"

// file is the store of encrypted files: one per item, in one directory. The
// library writes in place and flushes nothing, so it is let write into an empty
// directory beside; the file is then flushed and moved to a name that is free.
// Readers therefore need no lock, and writers take the directory's.
type file struct {
	dir      string
	password secret.String
	opener   string // what the user knows the password by, for messages
}

var _ vault.Backend = (*file)(nil)

func openFile(ctx context.Context, c Config) (vault.Backend, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Call)
	defer cancel()
	return bounded(ctx, "open the vault", func() (vault.Backend, error) {
		b := &file{dir: c.Dir, opener: "the passphrase file"}
		if !filepath.IsAbs(c.PassphraseFile) && (c.PassphraseFile != "" || c.Key == nil) {
			return nil, &vault.Error{Kind: vault.ErrNoBackend, Text: "a file vault needs the absolute path of its passphrase file"}
		}
		if err := b.openDir(c); err != nil {
			return nil, err
		}
		if c.PassphraseFile != "" {
			return b, b.unlock(ctx, c)
		}
		b.opener = "the passphrase that was given"
		key, err := c.Key(ctx)
		if err != nil {
			return nil, err
		}
		return b, b.prove(ctx, key, false)
	})
}

// unlock gets the password and proves it. Where all is well it writes nothing,
// not even a lock file: keys can be read from a file system that is read-only.
func (b *file) unlock(ctx context.Context, c Config) (err error) {
	if b.password, err = readPassphrase(c.PassphraseFile); err == nil && b.canary() == nil {
		return nil
	}
	release, err := lock(ctx, b.dir)
	if err != nil {
		return err
	}
	defer release()
	if err := b.dropHeader(c); err != nil {
		return err
	}
	if b.password, err = b.passphrase(c); err != nil {
		return err
	}
	return b.checkPassphrase(c.Create)
}

// dropHeader removes what is left of a vault with a passphrase whose making was
// cut short, before one with a passphrase file is made in its place: later it
// would pass for the former. The caller holds the lock.
func (b *file) dropHeader(c Config) error {
	if used, err := b.used(); err != nil || used || !c.Create || !b.typed() {
		return err
	}
	if err := os.Remove(filepath.Join(b.dir, headerName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("make the vault in "+b.dir, err)
	}
	return nil
}

// passphrase reads the passphrase file. A missing one is created only for a
// vault that has nothing in it: nothing else would open what is there.
func (b *file) passphrase(c Config) (secret.String, error) {
	password, err := readPassphrase(c.PassphraseFile)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			err = fileError("read the passphrase file "+c.PassphraseFile, err)
		}
		return password, err
	}
	used, lookErr := b.used()
	if lookErr != nil {
		return secret.String{}, lookErr
	}
	if used && b.typed() {
		return secret.String{}, &vault.Error{
			Kind: vault.ErrWrongPassphrase, Text: "the vault in " + c.Dir + " opens with a passphrase, not with a file",
			Hint: "run broker init --backend file on a terminal and type its passphrase",
		}
	}
	if used || !c.Create {
		return secret.String{}, &vault.Error{
			Kind: vault.ErrGone, Text: "passphrase file " + c.PassphraseFile + " is missing",
			Hint: "restore it: nothing else opens the vault in " + c.Dir,
		}
	}
	if err := makePassphrase(c.PassphraseFile, c.Random); err != nil {
		return secret.String{}, fileError("make the passphrase file "+c.PassphraseFile, err)
	}
	password, err = readPassphrase(c.PassphraseFile)
	if err != nil {
		err = fileError("read the passphrase file "+c.PassphraseFile, err)
	}
	return password, err
}

// used reports whether the directory holds an item or a canary.
func (b *file) used() (bool, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return false, fileError("read the vault directory "+b.dir, err)
	}
	for _, e := range entries {
		if e.Name() == canaryName || vault.Ours(e.Name()) {
			return true, nil
		}
	}
	return false, nil
}

// checkPassphrase proves the passphrase on the canary, or on any item where
// the canary is missing or damaged, and puts the canary back. A directory with
// neither is a vault only if one may be made: it could be the place where the
// disk with the vault is not mounted, and every key would count as deleted.
// The caller holds the lock.
func (b *file) checkPassphrase(create bool) error {
	err := b.canary()
	if err == nil || !errors.Is(err, vault.ErrNotFound) && !errors.Is(err, vault.ErrCorrupt) {
		return err
	}
	names, err := b.names()
	if err != nil {
		return err
	}
	used, err := b.used()
	if err != nil {
		return err
	}
	if !used && !create {
		return b.noVault()
	}
	opened := !used
	for _, name := range names {
		if _, err := b.read(name); err == nil {
			opened = true
			break
		}
	}
	if !opened {
		e := &vault.Error{Kind: vault.ErrWrongPassphrase, Text: b.opener + " does not open the vault in " + b.dir}
		if b.typed() {
			again := "broker unlock"
			if create {
				again = "broker init --backend file"
			}
			e.Hint = "try again with the passphrase that was chosen when the vault was made: " + again
		}
		return e
	}
	if err := os.Remove(filepath.Join(b.dir, canaryName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("replace the vault's canary", err)
	}
	return b.write(canaryName, []byte(canaryData))
}

func (b *file) noVault() error {
	return &vault.Error{
		Kind: vault.ErrGone, Text: "the directory " + b.dir + " is empty, and no vault",
		Hint: "mount or restore what belongs there",
	}
}

// typed reports whether the vault was made for a passphrase.
func (b *file) typed() bool {
	_, err := os.Lstat(filepath.Join(b.dir, headerName))
	return err == nil
}

// canary reads the canary.
func (b *file) canary() error {
	data, err := b.read(canaryName)
	if err == nil && string(data) != canaryData {
		return &vault.Error{Kind: vault.ErrCorrupt, Text: "the vault's canary is damaged"}
	}
	return err
}

func (b *file) Set(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	return run(ctx, "write item "+name, func() error {
		release, err := lock(ctx, b.dir)
		if err != nil {
			return err
		}
		defer release()
		b.sweep()
		return b.write(name, data)
	})
}

func (b *file) Get(ctx context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return bounded(ctx, "read item "+name, func() ([]byte, error) { return b.read(name) })
}

func (b *file) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return run(ctx, "delete item "+name, func() error {
		release, err := lock(ctx, b.dir)
		if err != nil {
			return err
		}
		defer release()
		if err := b.look(name); err != nil {
			return err
		}
		ring, err := b.ring(b.dir)
		if err != nil {
			return err
		}
		if err := ring.Remove(name); err != nil {
			return fileError("delete item "+name, err)
		}
		if err := syncPath(b.dir); err != nil {
			return fileError("delete item "+name, err)
		}
		return nil
	})
}

func (b *file) List(ctx context.Context) ([]string, error) {
	return bounded(ctx, "list the vault", b.names)
}

func (b *file) names() ([]string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, fileError("list the vault", err)
	}
	var names []string
	for _, e := range entries {
		if vault.Ours(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// look returns ErrNotFound if the item is not there, and an error if the
// library should not be let near it.
func (b *file) look(name string) error { return lookItem(b.dir, name, name) }

// read decrypts one item. Since the passphrase is proven when the store opens,
// an item that does not decrypt is damaged.
func (b *file) read(name string) ([]byte, error) {
	if err := b.look(name); err != nil {
		return nil, err
	}
	ring, err := b.ring(b.dir)
	if err != nil {
		return nil, err
	}
	item, err := ring.Get(name)
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, keyring.ErrKeyNotFound): // deleted since
		return nil, &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in the vault"}
	case errors.As(err, &pathErr):
		return nil, fileError("read item "+name, err)
	case err != nil: // the text of a decoder may quote what it decodes
		return nil, &vault.Error{Kind: vault.ErrCorrupt, Text: "item " + name + " does not decrypt: its file is damaged"}
	case item.Key != name:
		return nil, &vault.Error{Kind: vault.ErrMismatch, Text: "the file of item " + name + " is a copy of another item"}
	}
	return item.Data, nil
}

// write creates one item. The caller holds the lock.
func (b *file) write(name string, data []byte) error {
	act := "write item " + name
	stage, err := os.MkdirTemp(b.dir, stagePrefix)
	if err != nil {
		return fileError(act, err)
	}
	defer os.RemoveAll(stage) // what is left in it, a later write sweeps
	ring, err := b.ring(stage)
	if err != nil {
		return err
	}
	if err := ring.Set(keyring.Item{Key: name, Data: data}); err != nil {
		return fileError(act, err)
	}
	staged, final := filepath.Join(stage, name), filepath.Join(b.dir, name)
	if err := errors.Join(makePrivate(staged), syncPath(staged)); err != nil {
		return fileError(act, err)
	}
	err = atomicfile.RenameNew(staged, final)
	if errors.Is(err, fs.ErrExist) {
		return &vault.Error{Kind: vault.ErrExists, Text: "item " + name + " is in the vault already"}
	}
	if err == nil {
		err = syncPath(b.dir)
	}
	if err != nil {
		return fileError(act, err)
	}
	return nil
}

// sweep removes what writers left that were killed. The caller holds the lock,
// so nobody is writing.
func (b *file) sweep() {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return // the write that follows meets it too
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), stagePrefix) {
			_ = os.RemoveAll(filepath.Join(b.dir, e.Name())) // ciphertext; the next write tries again
		}
	}
}

// ring returns the library's view of a directory.
func (b *file) ring(dir string) (keyring.Keyring, error) {
	return pinned(keyring.FileBackend, "*keyring.fileKeyring", keyring.Config{
		FileDir:          dir,
		FilePasswordFunc: func(string) (string, error) { return b.password.Reveal(), nil },
	})
}
