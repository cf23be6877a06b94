// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/99designs/keyring"

	"credbroker/vault"
)

// foreignFile is a directory of encrypted files that another program has made.
// Unlike broker's own it may be shared, linked to or synchronised: what counts
// is the passphrase. Each file could have another one.
type foreignFile struct {
	dir  string
	ring keyring.Keyring
}

var _ vault.ForeignStore = (*foreignFile)(nil)

// openForeignFile looks for the directory before the library would make it.
func openForeignFile(ctx context.Context, f Foreign) (vault.ForeignStore, error) {
	ctx, cancel := context.WithTimeout(ctx, f.Call)
	defer cancel()
	return bounded(ctx, "open "+f.Dir, func() (vault.ForeignStore, error) {
		switch info, err := os.Stat(f.Dir); {
		case !filepath.IsAbs(f.Dir):
			return nil, &vault.Error{Kind: vault.ErrNoBackend, Text: "a store of files needs the absolute path of its directory"}
		case errors.Is(err, fs.ErrNotExist):
			return nil, &vault.Error{Kind: vault.ErrGone, Text: "there is no directory " + f.Dir}
		case err != nil:
			return nil, fileError("open "+f.Dir, err)
		case !info.IsDir():
			return nil, &vault.Error{Kind: vault.ErrGone, Text: f.Dir + " is no directory"}
		}
		ring, err := pinned(keyring.FileBackend, "*keyring.fileKeyring", keyring.Config{
			FileDir:          f.Dir,
			FilePasswordFunc: func(string) (string, error) { return f.Passphrase.Reveal(), nil },
		})
		return &foreignFile{f.Dir, ring}, err
	})
}

// Names reads the names of files, and none of the files. Those that begin with a
// dot are of the system's or a synchroniser's making.
func (b *foreignFile) Names(ctx context.Context) ([]string, error) {
	return bounded(ctx, "list "+b.dir, func() ([]string, error) {
		entries, err := os.ReadDir(b.dir)
		if err != nil {
			return nil, fileError("list "+b.dir, err)
		}
		var names []string
		for _, e := range entries {
			if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			name, err := url.PathUnescape(e.Name())
			if err != nil { // the library has not made it, and will not find it
				name = e.Name()
			}
			names = append(names, name)
		}
		return names, nil
	})
}

// Get implements vault.ForeignStore.
func (b *foreignFile) Get(ctx context.Context, name string) ([]byte, error) {
	return bounded(ctx, "read item "+name, func() ([]byte, error) {
		if err := b.look(name); err != nil {
			return nil, err
		}
		item, err := b.ring.Get(name)
		var pathErr *fs.PathError
		switch {
		case errors.Is(err, keyring.ErrKeyNotFound): // deleted since
			return nil, b.absent(name)
		case errors.As(err, &pathErr):
			return nil, fileError("read item "+name, err)
		case isJSON(err): // it was decrypted: the text may quote it
			return nil, &vault.Error{Kind: vault.ErrCorrupt, Text: "item " + name + " is none of the library's"}
		case err != nil:
			return nil, &vault.Error{Kind: vault.ErrWrongPassphrase, Text: fmt.Sprintf("the passphrase does not open item %s of %s, or its file is damaged", name, b.dir)}
		case item.Key != name:
			return nil, &vault.Error{Kind: vault.ErrMismatch, Text: "the file of item " + name + " is a copy of another item"}
		}
		return item.Data, nil
	})
}

// Delete implements vault.ForeignStore.
func (b *foreignFile) Delete(ctx context.Context, name string) error {
	return run(ctx, "delete item "+name, func() error {
		if err := b.look(name); err != nil {
			return err
		}
		if err := b.ring.Remove(name); err != nil {
			return fileError("delete item "+name, err)
		}
		if err := syncPath(b.dir); err != nil {
			return fileError("delete item "+name, err)
		}
		return nil
	})
}

// look refuses what the library should not be let near: it reads whatever is
// there to its end. Whether a file can be one of its own is seen from its form,
// five parts with a dot between them (RFC 7516, compact serialization): only
// then can the passphrase be what is wrong.
func (b *foreignFile) look(name string) error {
	path := filepath.Join(b.dir, escapeName(name))
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b.absent(name)
	case err != nil:
		return fileError("look at item "+name, err)
	case !info.Mode().IsRegular() || info.Size() > maxItemFile:
		return &vault.Error{Kind: vault.ErrCorrupt, Text: path + " is no file of the store"}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fileError("read item "+name, err)
	}
	if strings.Count(string(data), ".") != 4 {
		return &vault.Error{Kind: vault.ErrCorrupt, Text: path + " is damaged, or no file of the store"}
	}
	return nil
}

func (b *foreignFile) absent(name string) error {
	return &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in " + b.dir}
}

// escapeName is how the library spells a name as that of a file.
func escapeName(name string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(name)
}
