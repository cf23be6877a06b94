// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"credbroker/internal/atomicfile"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// sealMark begins the item that secrets are sealed with: no JSON, so no record.
const sealMark = "seal "

var errSeal = errors.New("it is what a rotation seals with")

// sealBytes is the length of a key for sealing: AES-256.
const sealBytes = 32

// maxSealed is far more than a sealed file has.
const maxSealed = 4 << 10

// lockWait is how long a worker waits for another one that may be writing the
// sealed file.
const lockWait = 2 * time.Second

// sealedFile is the file that has a new secret until the vault does. All but Box
// is there to be read; all of it is bound to Box.
type sealedFile struct {
	V           int    `json:"v"`
	Rotation    string `json:"rotation"`
	AccessKeyID string `json:"accessKeyId"`
	Nonce       []byte `json:"nonce"`
	Box         []byte `json:"box"` // AES-256-GCM of the secret access key
}

// bound returns what Box is authenticated with.
func (f sealedFile) bound() []byte {
	return fmt.Appendf(nil, "broker sealed key v%d\n%s\n%s", f.V, f.Rotation, f.AccessKeyID)
}

// seal stores a key for sealing, and so proves that the store keeps things.
func (w *Worker) seal(ctx context.Context, p ipc.SealParams) (any, error) {
	store, err := w.open(ctx, p.Store, false)
	if err != nil {
		return nil, fmt.Errorf("open the %s vault: %w", p.Store.Backend, err)
	}
	if _, err := store.sealKey(ctx, p.Seal); !errors.Is(err, ErrNotFound) {
		return done{}, err
	}
	var key [sealBytes]byte
	_, _ = rand.Read(key[:]) // never fails: package rand ends the program instead
	defer clear(key[:])
	if err := store.create(ctx, p.Seal, hex.AppendEncode([]byte(sealMark), key[:])); err != nil {
		return nil, fmt.Errorf("store a key for sealing: %w", err)
	}
	return done{}, nil
}

// sealKey returns the AEAD that an item holds the key for.
func (s *Store) sealKey(ctx context.Context, name string) (cipher.AEAD, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	data, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	text, marked := bytes.CutPrefix(data, []byte(sealMark))
	key, err := hex.AppendDecode(nil, text)
	defer clear(key)
	if !marked || err != nil || len(key) != sealBytes {
		return nil, &Error{Kind: ErrMismatch, Text: "item " + name + " is not what a rotation seals with"}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sealInto writes the sealed file of a new key. It is on the disk when it
// returns nil.
func sealInto(p ipc.Sealed, box cipher.AEAD, accessKeyID string, key secret.String) error {
	f := sealedFile{V: 1, Rotation: p.Rotation, AccessKeyID: accessKeyID, Nonce: make([]byte, box.NonceSize())}
	_, _ = rand.Read(f.Nonce) // never fails, as above
	f.Box = box.Seal(nil, f.Nonce, []byte(key.Reveal()), f.bound())
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return atomicfile.Write(p.File, append(data, '\n'), 0o600)
}

// readSealed returns the sealed file, or fs.ErrNotExist.
func readSealed(p ipc.Sealed) (sealedFile, error) {
	data, err := atomicfile.Read(p.File, maxSealed)
	if err != nil {
		return sealedFile{}, err
	}
	var f sealedFile
	if json.Unmarshal(data, &f) != nil || f.V != 1 || f.Rotation != p.Rotation || !keyID.MatchString(f.AccessKeyID) {
		return sealedFile{}, &Error{Kind: ErrMismatch, Text: "file " + p.File + " is not what this rotation has sealed"}
	}
	return f, nil
}

// open returns the secret in the file.
func (f sealedFile) open(box cipher.AEAD) (secret.String, error) {
	if len(f.Nonce) != box.NonceSize() {
		return secret.String{}, &Error{Kind: ErrCorrupt, Text: "the sealed key " + f.AccessKeyID + " is damaged"}
	}
	text, err := box.Open(nil, f.Nonce, f.Box, f.bound())
	defer clear(text)
	if err != nil || !keySecret.Match(text) {
		return secret.String{}, &Error{Kind: ErrCorrupt, Text: "the sealed key " + f.AccessKeyID + " does not open"}
	}
	return secret.New(string(text)), nil
}

// reserve makes sure that there is room for the sealed file before there is a
// secret that needs it: the disk may be full by the time that IAM answers.
func reserve(p ipc.Sealed) (release func(), err error) {
	spare := p.File + ".room"
	if err := atomicfile.Write(spare, bytes.Repeat([]byte{'\n'}, maxSealed), 0o600); err != nil {
		return nil, &ipc.Error{Code: ipc.StorageCode(err), Message: fmt.Sprintf("make room for a new key: %v", err)}
	}
	return func() { _ = os.Remove(spare) }, nil // a spare file that stays harms nobody
}

// lockSealed keeps other workers off the sealed file. It is held from before a
// key is made until the file has it, whatever becomes of the daemon meanwhile.
func lockSealed(ctx context.Context, p ipc.Sealed) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	release, err = atomicfile.Lock(ctx, p.File+".lock")
	if errors.Is(err, atomicfile.ErrLocked) {
		return nil, &ipc.Error{Code: ipc.CodeBusy, Message: "another worker is still making the new key", Hint: "try again in a moment"}
	}
	if err != nil {
		return nil, &ipc.Error{Code: ipc.StorageCode(err), Message: err.Error()}
	}
	return release, nil
}

// sealedKey says whose secret is in the sealed file.
func (w *Worker) sealedKey(ctx context.Context, p ipc.SealedKeyParams) (any, error) {
	release, err := lockSealed(ctx, p.Sealed)
	if err != nil {
		return nil, err
	}
	defer release()
	f, err := readSealed(p.Sealed)
	if errors.Is(err, fs.ErrNotExist) {
		return ipc.SealedKey{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the sealed key: %w", err)
	}
	return ipc.SealedKey{AccessKeyID: f.AccessKeyID}, nil
}
