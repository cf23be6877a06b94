// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/99designs/keyring"

	"credbroker/internal/secret"
	"credbroker/vault"
)

// The stores that broker opens.
const (
	File          = "file"           // encrypted files in a directory
	Keychain      = "keychain"       // macOS
	Pass          = "pass"           // a password store of pass and GnuPG
	SecretService = "secret-service" // the Linux desktop's keyring, over D-Bus
	WinCred       = "wincred"        // Windows Credential Manager
)

// Config names one store. The zero value names none.
type Config struct {
	Backend        string
	Dir            string // absolute; file: of the items; pass: of the password store
	PassphraseFile string // file: absolute path; empty asks Key
	Keychain       string // keychain: its name; empty = the user's default one
	Home           string // keychain: absolute home directory of the user
	Program        string // pass: absolute path of the program
	// Environ is the environment of this process, which the library hands on
	// to pass: see ipc.WorkerEnv. Session is added to it for a gpg that may
	// ask for a passphrase.
	Environ, Session []string
	// Key returns the key of a file vault that was opened with Unlock, or an
	// error that wraps vault.ErrLocked.
	Key func(ctx context.Context) (secret.String, error)
	// Create makes the directory, the passphrase file and the canary of "file",
	// and the folder and canary of "pass", where they are missing. No other
	// store is ever created.
	Create bool
	// Silent leaves a store that is locked as it is: Open shows no dialog, and
	// wraps vault.ErrLocked. The keychain of macOS shows its own all the same.
	Silent bool
	// Bus is the session bus that this process was started with; it cannot be
	// changed afterwards. Empty: none.
	Bus string
	// Call bounds all of Open that waits for no dialog; the context bounds the
	// rest. Zero: 5 s.
	Call time.Duration
	// Random makes the passphrase. Nil: crypto/rand.Reader.
	Random io.Reader
}

// opener opens one kind of store.
type opener func(context.Context, Config) (vault.Backend, error)

// refused are stores that broker does not use here, and why. What the platform
// has is looked up first.
var refused = map[string]string{
	"kwallet":     "kwallet reports keys as stored that it has not stored; newer versions of KWallet are a secret-service",
	"keyctl":      "the kernel's keyring (keyctl) forgets all keys at the next boot",
	Pass:          "pass is a store of Linux and macOS",
	Keychain:      "keychain is the store of macOS",
	SecretService: "secret-service is a store of Linux desktops",
	WinCred:       "wincred is the store of Windows",
}

// Open opens the store that c names, unlocking it if its own dialog can be
// shown, and no other. The context bounds the dialog.
func Open(ctx context.Context, c Config) (vault.Backend, error) {
	c.setDefaults()
	if open, ok := openers()[c.Backend]; ok {
		return open(ctx, c)
	}
	text := fmt.Sprintf("%.40q is no store that broker knows", c.Backend)
	if why, ok := refused[c.Backend]; ok {
		text = why
	}
	return nil, &vault.Error{Kind: vault.ErrNoBackend, Text: text}
}

func (c *Config) setDefaults() {
	if c.Call == 0 {
		c.Call = 5 * time.Second
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
}

// pinned opens one backend of the library and makes sure that it is that one.
func pinned(backend keyring.BackendType, wantType string, c keyring.Config) (keyring.Keyring, error) {
	c.AllowedBackends = []keyring.BackendType{backend}
	ring, err := keyring.Open(c)
	if errors.Is(err, keyring.ErrNoAvailImpl) {
		return nil, &vault.Error{Kind: vault.ErrGone, Text: "the " + string(backend) + " store cannot be opened"}
	}
	if err != nil {
		return nil, err
	}
	if got := fmt.Sprintf("%T", ring); got != wantType {
		return nil, &vault.Error{Kind: vault.ErrGone, Text: fmt.Sprintf("the keyring library opened %s in place of the %s store", got, backend)}
	}
	return ring, nil
}

// bounded runs f, which may hang for ever or panic, and returns when it has
// done so or when ctx ends, whichever is first.
func bounded[T any](ctx context.Context, act string, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	ended := make(chan outcome, 1) // f may end after everybody has left
	go func() {
		var o outcome
		defer func() {
			if recover() != nil { // the value may quote a secret
				o.err = &vault.Error{Kind: vault.ErrGone, Text: act + ": the keyring library gave up: its service went away, or refused"}
			}
			ended <- o
		}()
		o.value, o.err = f()
	}()
	select {
	case o := <-ended:
		return o.value, o.err
	case <-ctx.Done():
		var zero T
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return zero, &vault.Error{Kind: vault.ErrTimeout, Text: act + ": the store did not answer in time"}
		}
		return zero, fmt.Errorf("%s: %w", act, ctx.Err())
	}
}

// run is bounded for a function without a result.
func run(ctx context.Context, act string, f func() error) error {
	_, err := bounded(ctx, act, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// checkName refuses what is not the name of an item before any store sees it.
func checkName(name string) error {
	if vault.ValidName(name) {
		return nil
	}
	return &vault.Error{Kind: vault.ErrCorrupt, Text: fmt.Sprintf("%.40q is not the name of an item", name)}
}

// isJSON reports an item that the library has found and cannot decode. The
// text of such an error may quote it.
func isJSON(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind)
}
