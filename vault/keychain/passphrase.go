// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"credbroker/internal/atomicfile"
	"credbroker/internal/secret"
	"credbroker/vault"
)

// A passphrase file holds passphraseSize random bytes. One that a user brings
// may be longer; a shorter one could be guessed.
const (
	passphraseSize = 32
	passphraseMax  = 4096
)

// passphraseInfo separates this use of the passphrase from any other (RFC 5869).
const passphraseInfo = "broker vault, file, 1"

// readPassphrase derives the password of the file store. What the library does
// with a password, PBKDF2 of 8192 rounds, adds nothing to 256 random bits and
// need not. It wraps fs.ErrNotExist.
func readPassphrase(path string) (secret.String, error) {
	data, err := readSafe(path, passphraseMax+1)
	if err != nil {
		return secret.String{}, err
	}
	if len(data) < passphraseSize || len(data) > passphraseMax {
		return secret.String{}, &vault.Error{
			Kind: vault.ErrWrongPassphrase,
			Text: fmt.Sprintf("passphrase file %s holds %d bytes, and must hold %d to %d", path, len(data), passphraseSize, passphraseMax),
			Hint: "restore the file from a backup; what it locked opens with nothing else",
		}
	}
	key, err := hkdf.Key(sha256.New, data, nil, passphraseInfo, passphraseSize)
	if err != nil {
		return secret.String{}, fmt.Errorf("derive the vault's password: %w", err)
	}
	return secret.New(hex.EncodeToString(key)), nil
}

// makePassphrase creates a passphrase file, and its directory with mode 0700.
// One that another process has created meanwhile is as good.
func makePassphrase(path string, random io.Reader) error {
	data := make([]byte, passphraseSize)
	if _, err := io.ReadFull(random, data); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := writeNew(path, data); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
