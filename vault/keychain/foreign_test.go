// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/keyring"

	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/keychain"
	"credbroker/vault/vaulttest"
)

const (
	foreignPhrase = "tr0ub4dor & 3"
	foreignSecret = "canary/foreign/wJalrXUtnFEMIK7MDENGbPx12"
)

func foreignFileConfig(dir, passphrase string) keychain.Foreign {
	return keychain.Foreign{Config: keychain.Config{Backend: keychain.File, Dir: dir}, Owner: "aws-vault", Passphrase: secret.New(passphrase)}
}

func foreignServiceConfig(collection string) keychain.Foreign {
	return keychain.Foreign{Config: serviceConfig(), Owner: "aws-vault", Collection: collection}
}

// plantFile writes the file of one key into dir, as the specifications have it.
func plantFile(t *testing.T, dir, key, passphrase string) []byte {
	t.Helper()
	data := vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", foreignSecret)
	body := vaulttest.EncryptedFile(passphrase, vaulttest.WrappedItem(key, data))
	if err := os.WriteFile(filepath.Join(dir, vaulttest.FileName(key)), body, 0o600); err != nil {
		t.Fatal(err)
	}
	return data
}

func openForeign(t *testing.T, f keychain.Foreign) vault.ForeignStore {
	t.Helper()
	store, err := keychain.OpenForeign(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func wantNames(t *testing.T, store vault.ForeignStore, want ...string) {
	t.Helper()
	names, err := store.Names(t.Context())
	slices.Sort(names)
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("names: %q, %v, want %q", names, err, want)
	}
}

// wantKey reads a key, deletes it, and looks that it and nothing else is gone.
func wantKey(t *testing.T, store vault.ForeignStore, name string, want []byte) {
	t.Helper()
	got, err := store.Get(t.Context(), name)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("get %s: %d bytes, %v, want those that were stored", name, len(got), err)
	}
	if err := store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), name); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("get %s once it is deleted: %v, want ErrNotFound", name, err)
	}
}

// A store of files that the specifications have made.
func TestForeignFile(t *testing.T) {
	dir := t.TempDir()
	data := plantFile(t, dir, "dev", foreignPhrase)
	plantFile(t, dir, "team/prod 100%", foreignPhrase)
	for _, other := range []string{".DS_Store", "a.directory"} {
		if err := os.Mkdir(filepath.Join(dir, other), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	wantNames(t, openForeign(t, foreignFileConfig(dir, "")), "dev", "team/prod 100%")
	store := openForeign(t, foreignFileConfig(dir, foreignPhrase))
	wantKey(t, store, "team/prod 100%", data)
	wantNames(t, store, "dev")
	wantKey(t, store, "dev", data)
}

// A store of files that the library has made, as aws-vault configures it.
func TestForeignFileOfTheLibrary(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	ring, err := keyring.Open(keyring.Config{
		AllowedBackends: []keyring.BackendType{keyring.FileBackend}, ServiceName: "aws-vault", LibSecretCollectionName: "awsvault",
		FileDir: dir, FilePasswordFunc: keyring.FixedStringPrompt(foreignPhrase),
	})
	if err != nil {
		t.Fatal(err)
	}
	data := vaulttest.OldAWSVaultKey("AKIAIOSFODNN7EXAMPLE", foreignSecret)
	if err := ring.Set(keyring.Item{Key: "team/dev", Label: "aws-vault (team/dev)", Data: data, KeychainNotTrustApplication: true}); err != nil {
		t.Fatal(err)
	}
	store := openForeign(t, foreignFileConfig(dir, foreignPhrase))
	wantNames(t, store, "team/dev")
	wantKey(t, store, "team/dev", data)
}

func TestForeignFileRefusals(t *testing.T) {
	dir := t.TempDir()
	plantFile(t, dir, "dev", foreignPhrase)
	copied, err := os.ReadFile(filepath.Join(dir, "dev"))
	if err != nil {
		t.Fatal(err)
	}
	cut := copied[:bytes.LastIndexByte(copied, '.')-4]
	plain := vaulttest.EncryptedFile(foreignPhrase, []byte(foreignSecret))
	for name, body := range map[string][]byte{
		"copy": copied, "cut": cut, "text": []byte("hello"), "empty": nil, "plain": plain, "dots": []byte("a.b.c.d.e"),
		"huge": bytes.Repeat([]byte("x"), 70<<10),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, passphrase string
		want             error
	}{
		{"dev", "wrong", vault.ErrWrongPassphrase},
		{"dev", "", vault.ErrWrongPassphrase},
		{"absent", foreignPhrase, vault.ErrNotFound},
		{"../" + filepath.Base(dir) + "/dev", foreignPhrase, vault.ErrNotFound},
		{"copy", foreignPhrase, vault.ErrMismatch},
		{"cut", foreignPhrase, vault.ErrCorrupt},
		{"text", foreignPhrase, vault.ErrCorrupt},
		{"empty", foreignPhrase, vault.ErrCorrupt},
		{"huge", foreignPhrase, vault.ErrCorrupt},
		{"directory", foreignPhrase, vault.ErrCorrupt},
		{"plain", foreignPhrase, vault.ErrCorrupt},
		{"dots", foreignPhrase, vault.ErrWrongPassphrase}, // has the form, and nothing in it
	} {
		store := openForeign(t, foreignFileConfig(dir, test.passphrase))
		_, err := store.Get(t.Context(), test.name)
		if !errors.Is(err, test.want) {
			t.Errorf("get %q with %q: %v, want %v", test.name, test.passphrase, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("get %q says the secret: %v", test.name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "dev")); err != nil {
		t.Errorf("what was refused is gone: %v", err)
	}
}

// Nothing is made where nothing is.
func TestForeignAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	for _, f := range []keychain.Foreign{
		foreignFileConfig(dir, foreignPhrase),
		{Config: serviceConfig(), Owner: "granted", Collection: "granted-aws-iam-credentials"}, // there is no service
		{Config: keychain.Config{Backend: keychain.SecretService}, Owner: "aws-vault", Collection: "awsvault"},
		{Config: keychain.Config{Backend: keychain.Pass, Dir: dir, Program: "/usr/bin/pass"}, Owner: "aws-vault"},
	} {
		if _, err := keychain.OpenForeign(t.Context(), f); !errors.Is(err, vault.ErrGone) {
			t.Errorf("open %s: %v, want ErrGone", f.Backend, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	for _, f := range []keychain.Foreign{
		{Config: keychain.Config{Backend: keychain.File, Dir: t.TempDir()}, Owner: "leapp"},
		{Config: keychain.Config{Backend: "kwallet"}, Owner: "aws-vault"},
		{Config: keychain.Config{Backend: keychain.File, Dir: "."}, Owner: "aws-vault"},
		{Config: keychain.Config{Backend: keychain.Pass, Dir: "/", Program: "/usr/bin/pass"}, Owner: "aws-vault", Prefix: "../x"},
	} {
		if _, err := keychain.OpenForeign(t.Context(), f); !errors.Is(err, vault.ErrNoBackend) {
			t.Errorf("open %s of %s: %v, want ErrNoBackend", f.Backend, f.Owner, err)
		}
	}
}

// A collection that was made over the bus, and one with a name whose path the
// library spells in its own way.
func TestForeignCollection(t *testing.T) {
	k := startKeyring(t)
	for _, name := range []string{"awsvault", "granted-aws-iam-credentials"} {
		c := k.MakeCollection(name)
		data := vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", foreignSecret)
		c.Plant("dev", vaulttest.WrappedItem("dev", data))
		c.Plant("team/prod", vaulttest.WrappedItem("team/prod", data))
		c.Plant("moved", vaulttest.WrappedItem("dev", data))
		c.Plant("junk", []byte(foreignSecret))
		store := openForeign(t, foreignServiceConfig(name))
		wantNames(t, store, "dev", "junk", "moved", "team/prod")
		for name, want := range map[string]error{"moved": vault.ErrMismatch, "junk": vault.ErrCorrupt, "absent": vault.ErrNotFound} {
			if _, err := store.Get(t.Context(), name); !errors.Is(err, want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("get %s: %v, want %v without the secret", name, err, want)
			}
		}
		wantKey(t, store, "team/prod", data)
		wantNames(t, store, "dev", "junk", "moved")
		wantKey(t, store, "dev", data)
		c.Plant("twice", vaulttest.WrappedItem("twice", data))
		c.Plant("twice", vaulttest.WrappedItem("twice", data))
		if err := store.Delete(t.Context(), "twice"); !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("delete one of two: %v, want ErrCorrupt", err)
		}
		if got := c.Labels(); len(got) != 4 {
			t.Errorf("left in the collection: %q", got)
		}
	}
	if _, err := keychain.OpenForeign(t.Context(), foreignServiceConfig("other")); !errors.Is(err, vault.ErrGone) {
		t.Errorf("open a collection that is not there: %v, want ErrGone", err)
	}
	if n := len(k.Collections()); n != 4 { // login, session, and the two
		t.Errorf("%d collections, want 4: %q", n, k.Collections())
	}
}

// A collection that the library has made, as aws-vault configures it.
func TestForeignCollectionOfTheLibrary(t *testing.T) {
	k := startKeyring(t)
	k.MakeCollection("awsvault") // with the library it would take a dialog
	ring, err := keyring.Open(keyring.Config{
		AllowedBackends: []keyring.BackendType{keyring.SecretServiceBackend}, ServiceName: "aws-vault", LibSecretCollectionName: "awsvault",
	})
	if err != nil {
		t.Fatal(err)
	}
	data := vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", foreignSecret)
	if err := ring.Set(keyring.Item{Key: "dev", Label: "aws-vault (dev)", Data: data, KeychainNotTrustApplication: true}); err != nil {
		t.Fatal(err)
	}
	store := openForeign(t, foreignServiceConfig("awsvault"))
	wantNames(t, store, "dev")
	wantKey(t, store, "dev", data)
}

// F17, F19, F22: a collection that is locked, hangs or is gone says which.
func TestF17ForeignCollectionFails(t *testing.T) {
	k := startKeyring(t)
	c := k.MakeCollection("awsvault")
	c.Plant("dev", vaulttest.WrappedItem("dev", vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", foreignSecret)))
	store := openForeign(t, foreignServiceConfig("awsvault"))

	c.Lock()
	_, err := store.Get(t.Context(), "dev")
	if !errors.Is(err, vault.ErrLocked) || !strings.Contains(err.Error(), "awsvault") {
		t.Errorf("get of a locked one: %v, want ErrLocked that names it", err)
	}
	_, err = keychain.OpenForeign(t.Context(), foreignServiceConfig("awsvault"))
	if !errors.Is(err, vault.ErrLocked) || !strings.Contains(err.Error(), "awsvault") {
		t.Errorf("open of a locked one: %v, want ErrLocked that names it", err)
	}

	k.Freeze()
	f := foreignServiceConfig("awsvault")
	f.Call = 300 * time.Millisecond
	if _, err := keychain.OpenForeign(t.Context(), f); !errors.Is(err, vault.ErrTimeout) {
		t.Errorf("open of one that hangs: %v, want ErrTimeout", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := store.Names(ctx); !errors.Is(err, vault.ErrTimeout) {
		t.Errorf("names of one that hangs: %v, want ErrTimeout", err)
	}
	k.Thaw()

	k.Kill()
	if _, err := store.Get(t.Context(), "dev"); !errors.Is(err, vault.ErrGone) {
		t.Errorf("get of one that is gone: %v, want ErrGone", err)
	}
}

// A folder of a password store, and a password store without one.
func TestForeignPass(t *testing.T) {
	s := vaulttest.NewPasswordStore(t)
	data := vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", foreignSecret)
	for _, prefix := range []string{"", "aws"} {
		s.Insert(filepath.Join(prefix, "team/dev"), vaulttest.WrappedItem("team/dev", data))
		s.Insert(filepath.Join(prefix, "mail"), []byte(foreignSecret))
		f := keychain.Foreign{
			Config: keychain.Config{
				Backend: keychain.Pass, Dir: s.Dir, Program: "/usr/bin/pass", Call: 20 * time.Second,
				Environ: append(os.Environ(), s.Environ()...),
			},
			Owner: "aws-vault", Prefix: prefix,
		}
		for _, entry := range s.Environ() {
			name, value, _ := strings.Cut(entry, "=")
			t.Setenv(name, value) // the library hands on what the process has
		}
		store := openForeign(t, f)
		wantNames(t, store, "mail", "team/dev")
		if _, err := store.Get(t.Context(), "mail"); !errors.Is(err, vault.ErrCorrupt) || strings.Contains(err.Error(), "canary") {
			t.Errorf("get of something else: %v, want ErrCorrupt without the secret", err)
		}
		if _, err := store.Get(t.Context(), "../store/mail"); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("get of a path: %v, want ErrNotFound", err)
		}
		s.Lock()
		s.Answer(vaulttest.AnswerCancel)
		if _, err := store.Get(t.Context(), "team/dev"); !errors.Is(err, vault.ErrLocked) && !errors.Is(err, vault.ErrDenied) {
			t.Errorf("get from a locked store: %v, want ErrLocked or ErrDenied", err)
		}
		s.Unlock()
		wantKey(t, store, "team/dev", data)
		wantNames(t, store, "mail")
		if err := os.Remove(filepath.Join(s.Dir, prefix, "mail.gpg")); err != nil {
			t.Fatal(err)
		}
	}
}
