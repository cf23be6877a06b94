// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/vault"
	"credbroker/vault/keychain"
	"credbroker/vault/vaulttest"
)

// fileConfig returns a file vault that does not exist yet.
func fileConfig(t *testing.T) keychain.Config {
	t.Helper()
	home := t.TempDir()
	return keychain.Config{
		Backend: keychain.File, Dir: filepath.Join(home, "state", "vault"), PassphraseFile: filepath.Join(home, "config", "passphrase"),
	}
}

// create makes the vault of c.
func create(t *testing.T, c keychain.Config) *vault.Store {
	t.Helper()
	c.Create = true
	return reopen(t, c)
}

func reopen(t *testing.T, c keychain.Config) *vault.Store {
	t.Helper()
	b, err := keychain.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return vault.NewStore(b, 5*time.Second)
}

func mustPut(t *testing.T, s *vault.Store, profile string) vault.Record {
	t.Helper()
	r := vaulttest.NewRecord(t, profile)
	if err := s.Put(t.Context(), r); err != nil {
		t.Fatalf("put: %v", err)
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		c := fileConfig(t)
		create(t, c)
		var held *os.File
		return vaulttest.Place{
			Open: func(ctx context.Context) (vault.Backend, error) { return keychain.Open(ctx, c) },
			States: []vaulttest.State{
				{
					Name: "hanging", Want: vault.ErrTimeout, ReadsWork: true,
					Break: func() {
						var err error
						held, err = os.OpenFile(filepath.Join(c.Dir, ".lock"), os.O_RDWR, 0)
						must(t, err)
						must(t, syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
					},
					Mend: func() { held.Close() },
				},
				{
					Name: "vanished", Want: vault.ErrGone,
					Break: func() { must(t, os.Rename(c.Dir, c.Dir+".away")) },
					Mend:  func() { must(t, os.Rename(c.Dir+".away", c.Dir)) },
				},
			},
			Spoil: func(name string) { must(t, os.Truncate(filepath.Join(c.Dir, name), 200)) },
			Copy: func(from, to string) {
				data, err := os.ReadFile(filepath.Join(c.Dir, from))
				must(t, err)
				must(t, os.WriteFile(filepath.Join(c.Dir, to), data, 0o600))
			},
		}
	})
}

func TestFileCreate(t *testing.T) {
	t.Parallel()
	c := fileConfig(t)
	if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrGone) {
		t.Errorf("open what was never made: %v, want ErrGone", err)
	}
	r := mustPut(t, create(t, c), "dev")
	info, err := os.Stat(c.PassphraseFile)
	must(t, err)
	if info.Size() != 32 || info.Mode().Perm() != 0o600 {
		t.Errorf("passphrase file: %d bytes, mode %v; want 32, 0600", info.Size(), info.Mode())
	}
	before, err := os.ReadFile(c.PassphraseFile)
	must(t, err)
	store := create(t, c) // again: nothing that is there changes
	if _, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
		t.Errorf("get: %v", err)
	}
	after, err := os.ReadFile(c.PassphraseFile)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("create has changed the passphrase")
	}
}

// P22: everything in the vault is ours alone, and nothing holds the secret.
func TestP22FileModes(t *testing.T) {
	t.Parallel()
	c := fileConfig(t)
	r := mustPut(t, create(t, c), "dev")
	must(t, filepath.WalkDir(filepath.Dir(filepath.Dir(c.Dir)), func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		if path != filepath.Dir(filepath.Dir(c.Dir)) && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			must(t, err)
			if bytes.Contains(data, []byte(r.SecretAccessKey.Reveal())) || bytes.Contains(data, []byte(r.AccessKeyID)) {
				t.Errorf("%s holds the key in the clear", path)
			}
		}
		return nil
	}))
}

// K16: the library takes any passphrase for a new item.
func TestWrongPassphraseIsNoticedBeforeAnyWrite(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		items int
		spoil func(t *testing.T, c keychain.Config)
	}{
		{"empty vault", 0, func(*testing.T, keychain.Config) {}},
		{"with items", 2, func(*testing.T, keychain.Config) {}},
		{"canary gone", 1, func(t *testing.T, c keychain.Config) { must(t, os.Remove(filepath.Join(c.Dir, "broker.canary"))) }},
		{"canary torn", 1, func(t *testing.T, c keychain.Config) {
			must(t, os.Truncate(filepath.Join(c.Dir, "broker.canary"), 10))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fileConfig(t)
			store := create(t, c)
			var records []vault.Record
			for range test.items {
				records = append(records, mustPut(t, store, "dev"))
			}
			test.spoil(t, c)
			right, err := os.ReadFile(c.PassphraseFile)
			must(t, err)
			wrong := make([]byte, 32)
			_, _ = rand.Read(wrong)
			must(t, os.WriteFile(c.PassphraseFile, wrong, 0o600))
			for _, create := range []bool{false, true} {
				c.Create = create
				if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrWrongPassphrase) {
					t.Errorf("open, create=%v: %v, want ErrWrongPassphrase", create, err)
				}
			}
			must(t, os.WriteFile(c.PassphraseFile, right, 0o600))
			store = reopen(t, c)
			for _, r := range records {
				if _, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
					t.Errorf("get with the right passphrase: %v", err)
				}
			}
		})
	}
}

func TestPassphraseFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		f    func(t *testing.T, path string)
		want error
	}{
		{"missing", func(t *testing.T, path string) { must(t, os.Remove(path)) }, vault.ErrGone},
		{"short", func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("hunter2"), 0o600)) }, vault.ErrWrongPassphrase},
		{"huge", func(t *testing.T, path string) { must(t, os.WriteFile(path, make([]byte, 5000), 0o600)) }, vault.ErrWrongPassphrase},
		{"readable", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o644)) }, vault.ErrUnsafe},
		{"symlink", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".real"))
			must(t, os.Symlink(path+".real", path))
		}, vault.ErrUnsafe},
		{"hard link", func(t *testing.T, path string) { must(t, os.Link(path, path+".2")) }, vault.ErrUnsafe},
		{"fifo", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, syscall.Mkfifo(path, 0o600))
		}, vault.ErrUnsafe},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fileConfig(t)
			mustPut(t, create(t, c), "dev")
			test.f(t, c.PassphraseFile)
			c.Create = true // which must not replace it
			if _, err := keychain.Open(t.Context(), c); !errors.Is(err, test.want) {
				t.Errorf("open: %v, want %v", err, test.want)
			}
		})
	}
}

// K17: the library follows links and accepts any directory.
func TestFileUnsafePlaces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		f    func(t *testing.T, dir, item string)
		want error // of open, or of get if open succeeds
	}{
		{"directory open to others", func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o755)) }, vault.ErrUnsafe},
		{"directory is a link", func(t *testing.T, dir, _ string) {
			must(t, os.Rename(dir, dir+".real"))
			must(t, os.Symlink(dir+".real", dir))
		}, vault.ErrUnsafe},
		{"directory of another user", func(t *testing.T, dir, _ string) { must(t, os.Chown(dir, 1002, 1002)) }, vault.ErrUnsafe},
		{"item is a link", func(t *testing.T, _, item string) {
			must(t, os.Rename(item, item+".real"))
			must(t, os.Symlink(item+".real", item))
		}, vault.ErrUnsafe},
		{"item has another name", func(t *testing.T, _, item string) { must(t, os.Link(item, item+".2")) }, vault.ErrUnsafe},
		{"item is readable", func(t *testing.T, _, item string) { must(t, os.Chmod(item, 0o604)) }, vault.ErrUnsafe},
		{"item of another user", func(t *testing.T, _, item string) { must(t, os.Chown(item, 1002, 1002)) }, vault.ErrUnsafe},
		{"item is a fifo", func(t *testing.T, _, item string) {
			must(t, os.Remove(item))
			must(t, syscall.Mkfifo(item, 0o600))
		}, vault.ErrUnsafe},
		{"item is huge", func(t *testing.T, _, item string) { must(t, os.Truncate(item, 1<<20)) }, vault.ErrCorrupt},
		{"directory is a file", func(t *testing.T, dir, _ string) {
			must(t, os.Rename(dir, dir+".real"))
			must(t, os.WriteFile(dir, nil, 0o600))
		}, vault.ErrUnsafe},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fileConfig(t)
			r := mustPut(t, create(t, c), "dev")
			if strings.HasSuffix(test.name, "another user") && os.Getuid() != 0 && os.Getenv("CI") != "true" {
				t.Skip("giving a file away needs root")
			}
			test.f(t, c.Dir, filepath.Join(c.Dir, r.Item))
			b, err := keychain.Open(t.Context(), c)
			if err == nil {
				_, err = b.Get(t.Context(), r.Item)
			}
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// F24: a full disk costs the new item and nothing else. A tmpfs needs root, as
// which the tests run in CI.
func TestF24DiskFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("mounting a small tmpfs needs root")
	}
	c := fileConfig(t)
	must(t, os.MkdirAll(c.Dir, 0o700))
	must(t, syscall.Mount("tmpfs", c.Dir, "tmpfs", 0, "size=16k,mode=0700"))
	t.Cleanup(func() { must(t, syscall.Unmount(c.Dir, syscall.MNT_DETACH)) })
	store := create(t, c)
	old := mustPut(t, store, "dev")
	filler := filepath.Join(c.Dir, "filler")
	f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	err = store.Put(t.Context(), vaulttest.NewRecord(t, "new"))
	if !errors.Is(err, vault.ErrFull) {
		t.Errorf("put on a full disk: %v, want ErrFull", err)
	}
	if _, err := store.Get(t.Context(), old.Item, old.Profile, old.AccessKeyID); err != nil {
		t.Errorf("get of the old item: %v", err)
	}
	must(t, os.Remove(filler))
	mustPut(t, store, "new")
	names, err := store.List(t.Context())
	if must(t, err); len(names) != 2 {
		t.Errorf("list = %v, want two items", names)
	}
}

// K15: a writer that was killed leaves nothing that counts, and the next one
// sweeps it away.
func TestFileSweepsWhatKilledWritersLeft(t *testing.T) {
	t.Parallel()
	c := fileConfig(t)
	store := create(t, c)
	stale := filepath.Join(c.Dir, ".new-123")
	must(t, os.Mkdir(stale, 0o700))
	must(t, os.WriteFile(filepath.Join(stale, "broker.v1.x"), []byte("half"), 0o600))
	r := mustPut(t, store, "dev")
	entries, err := os.ReadDir(c.Dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := []string{".lock", "broker.canary", r.Item}; !slices.Equal(got, want) {
		t.Errorf("the vault has %v, want %v", got, want)
	}
}

// F25: reading needs no write.
func TestF25FileReadOnly(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("a read-only mount needs root")
	}
	c := fileConfig(t)
	r := mustPut(t, create(t, c), "dev")
	must(t, syscall.Mount(c.Dir, c.Dir, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { must(t, syscall.Unmount(c.Dir, syscall.MNT_DETACH)) })
	must(t, syscall.Mount("", c.Dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	store := reopen(t, c)
	if _, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
		t.Errorf("get: %v", err)
	}
	if err := store.Put(t.Context(), vaulttest.NewRecord(t, "new")); !errors.Is(err, vault.ErrReadOnly) {
		t.Errorf("put: %v, want ErrReadOnly", err)
	}
}

// K14: an item with a huge iteration count cannot hold a caller.
func TestFileSlowItem(t *testing.T) {
	t.Parallel()
	c := fileConfig(t)
	r := mustPut(t, create(t, c), "dev")
	// {"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2000000000,"p2s":"AAAAAAAAAAAAAAAA"}
	header := "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJlbmMiOiJBMjU2R0NNIiwicDJjIjoyMDAwMDAwMDAwLCJwMnMiOiJBQUFBQUFBQUFBQUFBQUFBIn0"
	must(t, os.WriteFile(filepath.Join(c.Dir, r.Item), []byte(header+".AAAA.AAAA.AAAA.AAAA"), 0o600))
	store := reopen(t, c)
	began := time.Now()
	if _, err := store.Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("get: %v, want ErrCorrupt", err)
	}
	if took := time.Since(began); took > 30*time.Second { // the item asks for an hour
		t.Errorf("it took %v", took)
	}
}

// P25: what is not the one store that was named is refused in words.
func TestP25OtherStoresAreRefused(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"", "kwallet", "keyctl", "pass", "wincred", "keychain", "FILE", "\x1b[31m"} {
		_, err := keychain.Open(t.Context(), keychain.Config{Backend: backend, Dir: t.TempDir(), PassphraseFile: "/nonexistent", Create: true})
		if !errors.Is(err, vault.ErrNoBackend) {
			t.Errorf("%q: %v, want ErrNoBackend", backend, err)
		}
	}
	for _, dir := range []string{"", "vault", "./vault"} {
		_, err := keychain.Open(t.Context(), keychain.Config{Backend: keychain.File, Dir: dir, PassphraseFile: "/nonexistent", Create: true})
		if !errors.Is(err, vault.ErrNoBackend) {
			t.Errorf("directory %q: %v, want ErrNoBackend", dir, err)
		}
	}
}
