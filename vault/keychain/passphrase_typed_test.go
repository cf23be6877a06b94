// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/keychain"
)

const horse = "correct horse battery"

// typedConfig returns a vault that opens with horse, and whose key is held.
func typedConfig(t *testing.T) keychain.Config {
	t.Helper()
	c := keychain.Config{Backend: keychain.File, Dir: filepath.Join(t.TempDir(), "state", "vault")}
	c.Create = true
	_, key, err := keychain.Unlock(t.Context(), c, secret.New(horse))
	must(t, err)
	c.Create = false
	c.Key = func(context.Context) (secret.String, error) { return key, nil }
	return c
}

func TestTypedLife(t *testing.T) {
	t.Parallel()
	c := typedConfig(t)
	r := mustPut(t, reopen(t, c), "dev")
	b, key, err := keychain.Unlock(t.Context(), c, secret.New(horse))
	must(t, err)
	got, err := vault.NewStore(b, 5*time.Second).Get(t.Context(), r.Item, "dev", r.AccessKeyID)
	if must(t, err); !got.SecretAccessKey.Equal(r.SecretAccessKey) {
		t.Error("the passphrase opens something else")
	}
	held, err := c.Key(t.Context())
	if must(t, err); !held.Equal(key) || len(key.Reveal()) != 64 {
		t.Error("the passphrase brings another key each time")
	}
	locked := c
	locked.Key = func(context.Context) (secret.String, error) {
		return secret.String{}, &vault.Error{Kind: vault.ErrLocked, Text: "the vault is locked"}
	}
	if _, err := keychain.Open(t.Context(), locked); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("without a key: %v, want %v", err, vault.ErrLocked)
	}
	again := typedConfig(t)
	if other, _ := again.Key(t.Context()); other.Equal(key) {
		t.Error("two vaults of one passphrase have one key")
	}
	must(t, filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if must(t, err); d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, s := range []string{horse, key.Reveal()} {
			if must(t, err); bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds the passphrase or the key", path)
			}
		}
		return nil
	}))
}

// A vault with a passphrase of which there is the beginning only, since making
// it was cut short, makes way for one with a passphrase file, and is then gone.
func TestTypedHalfMade(t *testing.T) {
	t.Parallel()
	c := typedConfig(t)
	must(t, os.Remove(filepath.Join(c.Dir, "broker.canary")))
	c.Create, c.Key, c.PassphraseFile = true, nil, filepath.Join(t.TempDir(), "passphrase")
	mustPut(t, reopen(t, c), "dev")
	must(t, os.Remove(c.PassphraseFile))
	c.Create = false
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrGone) {
		t.Errorf("without its passphrase file: %v, want %v", err, vault.ErrGone)
	}
	// One that holds a key never makes way.
	full := typedConfig(t)
	mustPut(t, reopen(t, full), "dev")
	before := snapshot(t, full.Dir)
	full.Create, full.Key, full.PassphraseFile = true, nil, filepath.Join(t.TempDir(), "passphrase")
	if _, err := keychain.Open(t.Context(), full); !errors.Is(err, vault.ErrWrongPassphrase) {
		t.Errorf("a file in the place of a passphrase: %v, want %v", err, vault.ErrWrongPassphrase)
	}
	if snapshot(t, full.Dir) != before {
		t.Error("the vault has changed")
	}
}

// snapshot is every file below dir, with its content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		must(t, err)
		b.WriteString(path + "\n")
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			must(t, err)
			b.Write(data)
		}
		return nil
	}))
	return b.String()
}

// K16 of the library: it takes any password for a new item. Here a wrong one is
// found out before a byte is written, also with Create, and each guess costs
// its time.
func TestTypedWrongPassphrase(t *testing.T) {
	t.Parallel()
	c := typedConfig(t)
	mustPut(t, reopen(t, c), "dev")
	wrong := c
	wrong.Key = func(context.Context) (secret.String, error) { return secret.New(strings.Repeat("0", 64)), nil }
	before := snapshot(t, c.Dir)
	for _, create := range []bool{false, true} {
		for _, guess := range []string{"x", horse + " ", strings.ToUpper(horse), strings.Repeat("x", 1024)} {
			c.Create = create
			began := time.Now()
			_, key, err := keychain.Unlock(t.Context(), c, secret.New(guess))
			if !errors.Is(err, vault.ErrWrongPassphrase) || !key.IsZero() {
				t.Errorf("%q, create %v: %v, want %v", guess, create, err, vault.ErrWrongPassphrase)
			}
			if took := time.Since(began); took < 20*time.Millisecond {
				t.Errorf("a guess cost %v: argon2id was not run", took)
			}
		}
	}
	if _, err := keychain.Open(t.Context(), wrong); !errors.Is(err, vault.ErrWrongPassphrase) {
		t.Errorf("a held key of another vault: %v", err)
	}
	if after := snapshot(t, c.Dir); after != before {
		t.Errorf("a wrong passphrase changed the vault:\n%s", after)
	}
	// Without the canary an item proves the passphrase; the canary comes back.
	must(t, os.Remove(filepath.Join(c.Dir, "broker.canary")))
	if _, _, err := keychain.Unlock(t.Context(), c, secret.New("wrong passphrase")); !errors.Is(err, vault.ErrWrongPassphrase) {
		t.Errorf("without the canary: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "broker.canary")); err == nil {
		t.Error("a wrong passphrase made a canary")
	}
	_, _, err := keychain.Unlock(t.Context(), c, secret.New(horse))
	must(t, err)
	if _, err := os.Stat(filepath.Join(c.Dir, "broker.canary")); err != nil {
		t.Error("the canary did not come back")
	}
	for name, c := range map[string]keychain.Config{
		"empty passphrase": {Backend: keychain.File, Dir: c.Dir},
		"another store":    {Backend: keychain.SecretService},
		"relative":         {Backend: keychain.File, Dir: "vault"},
	} {
		pass := secret.New(horse)
		if name == "empty passphrase" {
			pass = secret.String{}
		}
		if _, _, err := keychain.Unlock(t.Context(), c, pass); !errors.Is(err, vault.ErrNoBackend) {
			t.Errorf("%s: %v, want %v", name, err, vault.ErrNoBackend)
		}
	}
}

// A header that somebody else wrote neither burns time and memory, nor makes
// guessing cheap, nor opens anything.
func TestTypedHostileHeader(t *testing.T) {
	t.Parallel()
	c := typedConfig(t)
	path := filepath.Join(c.Dir, "broker.passphrase")
	good, err := os.ReadFile(path)
	must(t, err)
	for name, change := range map[string]func(h map[string]any){
		"memory of 4 TiB":  func(h map[string]any) { h["memory"] = uint32(1<<32 - 1) },
		"too many passes":  func(h map[string]any) { h["time"] = 1 << 30 },
		"too many lanes":   func(h map[string]any) { h["threads"] = 255 },
		"no lane":          func(h map[string]any) { h["threads"] = 0 },
		"cheap memory":     func(h map[string]any) { h["memory"] = 8 },
		"one pass":         func(h map[string]any) { h["time"] = 1 },
		"no salt":          func(h map[string]any) { h["salt"] = "" },
		"a long salt":      func(h map[string]any) { h["salt"] = strings.Repeat("AAAA", 60) },
		"another function": func(h map[string]any) { h["kdf"] = "pbkdf2" },
		"another version":  func(h map[string]any) { h["v"] = 2 },
		"a huge file":      func(h map[string]any) { h["pad"] = strings.Repeat("x", 4096) },
		"another salt":     func(h map[string]any) { h["salt"] = "AAAAAAAAAAAAAAAAAAAAAA==" },
		"another cost":     func(h map[string]any) { h["time"] = 4 },
	} {
		var h map[string]any
		must(t, json.Unmarshal(good, &h))
		change(h)
		data, err := json.Marshal(h)
		must(t, err)
		must(t, os.WriteFile(path, data, 0o600))
		began := time.Now()
		if _, _, err := keychain.Unlock(t.Context(), c, secret.New(horse)); !errors.Is(err, vault.ErrWrongPassphrase) {
			t.Errorf("%s: %v, want %v", name, err, vault.ErrWrongPassphrase)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: it took %v", name, took)
		}
	}
	must(t, os.WriteFile(path, []byte("not JSON"), 0o600))
	if _, _, err := keychain.Unlock(t.Context(), c, secret.New(horse)); !errors.Is(err, vault.ErrWrongPassphrase) {
		t.Errorf("garbage: %v", err)
	}
	must(t, os.WriteFile(path, good, 0o600))
	must(t, os.Chmod(path, 0o644))
	if _, _, err := keychain.Unlock(t.Context(), c, secret.New(horse)); !errors.Is(err, vault.ErrUnsafe) {
		t.Errorf("a header that others read: %v", err)
	}
	must(t, os.Remove(path))
	must(t, os.Symlink("/dev/zero", path))
	if _, _, err := keychain.Unlock(t.Context(), c, secret.New(horse)); !errors.Is(err, vault.ErrUnsafe) {
		t.Errorf("a link: %v", err)
	}
}

// A vault of one kind is not taken for one of the other.
func TestTypedAndFileAreNotMixed(t *testing.T) {
	t.Parallel()
	typed := typedConfig(t)
	mustPut(t, reopen(t, typed), "dev")
	asFile := typed
	asFile.PassphraseFile, asFile.Create = filepath.Join(t.TempDir(), "passphrase"), true
	if _, err := keychain.Open(t.Context(), asFile); !errors.Is(err, vault.ErrWrongPassphrase) {
		t.Errorf("a passphrase file for a vault with a passphrase: %v", err)
	}
	if _, err := os.Stat(asFile.PassphraseFile); err == nil {
		t.Error("a passphrase file was made")
	}
	withFile := fileConfig(t)
	create(t, withFile)
	before := snapshot(t, withFile.Dir)
	withFile.Create = true
	if _, _, err := keychain.Unlock(t.Context(), withFile, secret.New(horse)); !errors.Is(err, vault.ErrWrongPassphrase) {
		t.Errorf("a passphrase for a vault with a file: %v", err)
	}
	if after := snapshot(t, withFile.Dir); after != before {
		t.Error("the vault was changed")
	}
	empty := keychain.Config{Backend: keychain.File, Dir: t.TempDir()}
	must(t, os.Chmod(empty.Dir, 0o700))
	if _, _, err := keychain.Unlock(t.Context(), empty, secret.New(horse)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("an empty directory: %v", err)
	}
	empty.Dir += "/nowhere"
	if _, _, err := keychain.Unlock(t.Context(), empty, secret.New(horse)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := keychain.Open(t.Context(), keychain.Config{Backend: keychain.File, Dir: typed.Dir}); !errors.Is(err, vault.ErrNoBackend) {
		t.Error("a vault opens with neither")
	}
}
