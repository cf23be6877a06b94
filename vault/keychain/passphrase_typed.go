// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/crypto/argon2"

	"credbroker/internal/atomicfile"
	"credbroker/internal/secret"
	"credbroker/vault"
)

// headerName is the file beside the items that says how a vault's key comes
// from its passphrase. It is no secret.
const headerName = "broker.passphrase"

// The second recommended option of RFC 9106, section 4, for when memory is not
// to be had in gigabytes: 3 passes over 64 MiB in 4 lanes, a salt of 128 bits,
// a key of 256. It takes a tenth of a second.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	saltSize     = 16 // bytes
	keySize      = 32 // bytes
)

// What a header may ask for. Below the lower end a passphrase would be cheap to
// guess; above the upper one a header that somebody put there would keep the
// machine busy. A later version has room in between.
const (
	maxArgonTime    = 8
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonThreads = 16
	maxSaltSize     = 64 // bytes
	maxHeader       = 1 << 10
)

// typedInfo separates this use of argon2's result from any other (RFC 5869).
const typedInfo = "broker vault, passphrase, 1"

// header is the content of headerName. Whoever changes a number or the salt
// gets another key, since argon2 hashes them all: the vault then does not open,
// and nothing is written with that key.
type header struct {
	V       int    `json:"v"` // 1
	KDF     string `json:"kdf"`
	Time    uint32 `json:"time"`    // passes
	Memory  uint32 `json:"memory"`  // KiB
	Threads uint8  `json:"threads"` // lanes
	Salt    []byte `json:"salt"`
}

func (h header) check(path string) error {
	ok := h.V == 1 && h.KDF == "argon2id" &&
		h.Time >= argonTime && h.Time <= maxArgonTime &&
		h.Memory >= argonMemory && h.Memory <= maxArgonMemory &&
		h.Threads >= 1 && h.Threads <= maxArgonThreads &&
		len(h.Salt) >= saltSize && len(h.Salt) <= maxSaltSize
	if ok {
		return nil
	}
	return &vault.Error{
		Kind: vault.ErrWrongPassphrase, Text: path + " asks for a way to the key that broker does not go",
		Hint: "restore the file from a backup: the vault opens with no other",
	}
}

// derive returns the password of the file store. Its cost is the point: that
// of the library, PBKDF2 of 8192 rounds, would be none.
func (h header) derive(passphrase secret.String) (secret.String, error) {
	text := []byte(passphrase.Reveal())
	defer clear(text)
	master := argon2.IDKey(text, h.Salt, h.Time, h.Memory, h.Threads, keySize)
	defer clear(master)
	key, err := hkdf.Key(sha256.New, master, nil, typedInfo, keySize)
	if err != nil {
		return secret.String{}, fmt.Errorf("derive the vault's key: %w", err)
	}
	defer clear(key)
	return secret.New(hex.EncodeToString(key)), nil
}

// Unlock opens a file vault with its passphrase, and returns the key that opens
// it from then on. With c.Create it makes the vault where there is none. A
// wrong passphrase is vault.ErrWrongPassphrase, found out before anything is
// written; each try costs its argon2id. c.PassphraseFile and c.Key are not used.
func Unlock(ctx context.Context, c Config, passphrase secret.String) (vault.Backend, secret.String, error) {
	c.setDefaults()
	if c.Backend != File || passphrase.IsZero() {
		return nil, secret.String{}, &vault.Error{Kind: vault.ErrNoBackend, Text: "only a file vault opens with a passphrase, which may not be empty"}
	}
	b := &file{dir: c.Dir, opener: "this passphrase"}
	key, err := bounded(ctx, "unlock the vault", func() (secret.String, error) {
		if err := b.openDir(c); err != nil {
			return secret.String{}, err
		}
		h, err := b.header(c)
		if err != nil {
			return secret.String{}, err
		}
		key, err := h.derive(passphrase)
		if err == nil {
			err = b.prove(ctx, key, c.Create)
		}
		return key, err
	})
	if err != nil {
		return nil, secret.String{}, err
	}
	return b, key, nil
}

// header reads the header, and makes one for a vault that has nothing in it.
func (b *file) header(c Config) (header, error) {
	path := filepath.Join(b.dir, headerName)
	h, err := readHeader(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	used, err := b.used()
	switch {
	case err != nil:
		return header{}, err
	case used:
		return header{}, &vault.Error{
			Kind: vault.ErrWrongPassphrase, Text: "the vault in " + b.dir + " does not open with a passphrase: there is no " + headerName + " in it",
			Hint: "restore that file from a backup; or, if the vault was made with a passphrase file, name it: broker init --backend file --passphrase-file FILE",
		}
	case !c.Create:
		return header{}, b.noVault()
	}
	h = header{V: 1, KDF: "argon2id", Time: argonTime, Memory: argonMemory, Threads: argonThreads, Salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(c.Random, h.Salt); err != nil {
		return header{}, fmt.Errorf("make %s: %w", path, err)
	}
	data, err := json.Marshal(h)
	if err != nil {
		return header{}, fmt.Errorf("make %s: %w", path, err)
	}
	if err := writeNew(path, append(data, '\n')); err != nil && !errors.Is(err, fs.ErrExist) {
		return header{}, fileError("make "+path, err)
	}
	return readHeader(path) // which may be that of somebody who was faster
}

// readHeader wraps fs.ErrNotExist.
func readHeader(path string) (header, error) {
	data, err := readSafe(path, maxHeader+1)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			err = fileError("read "+path, err)
		}
		return header{}, err
	}
	var h header
	if len(data) > maxHeader || json.Unmarshal(data, &h) != nil {
		h = header{} // which the check refuses
	}
	return h, h.check(path)
}

// openDir looks at the vault's directory, and makes it with c.Create.
func (b *file) openDir(c Config) error {
	if !filepath.IsAbs(c.Dir) {
		return &vault.Error{Kind: vault.ErrNoBackend, Text: "a file vault needs the absolute path of its directory"}
	}
	if c.Create {
		if err := atomicfile.MkdirAll(c.Dir, 0o700); err != nil {
			return fileError("make the vault directory "+c.Dir, err)
		}
	}
	return checkDir(c.Dir)
}

// prove takes a key if it opens the vault. Where all is well it writes nothing.
func (b *file) prove(ctx context.Context, key secret.String, create bool) error {
	b.password = key
	if b.canary() == nil {
		return nil
	}
	release, err := lock(ctx, b.dir)
	if err != nil {
		return err
	}
	defer release()
	if create && !b.typed() { // see dropHeader
		return &vault.Error{Kind: vault.ErrGone, Text: "another vault was begun in " + b.dir + " meanwhile", Hint: "run broker init again"}
	}
	return b.checkPassphrase(create)
}
