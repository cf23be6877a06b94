// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault/vaulttest"
)

const foreignPhrase = "tr0ub4dor & 3"

// foreigner is one key of ann's in the store of another program, and a worker
// that can open that and broker's own.
type foreigner struct {
	*worker
	params ipc.ForeignParams
	left   func() []string // what is in the store
}

// foreignFile makes a store of files as aws-vault does.
func foreignFile(t *testing.T, a *account, w *worker) *foreigner {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	must(t, os.Mkdir(dir, 0o700))
	id, data := annsItem(a)
	must(t, os.WriteFile(filepath.Join(dir, "dev"), vaulttest.EncryptedFile(foreignPhrase, data), 0o600))
	source := ipc.Foreign{Owner: "aws-vault", Store: ipc.Store{Backend: "file", Dir: dir}}
	return newForeigner(w, source, id, "", func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		return names
	})
}

// foreignCollection makes a collection as granted does.
func foreignCollection(t *testing.T, a *account, w *worker, k *vaulttest.Keyring) *foreigner {
	t.Helper()
	const name = "granted-aws-iam-credentials"
	c := k.MakeCollection(name)
	id, data := annsItem(a)
	c.Plant("dev", data)
	source := ipc.Foreign{Owner: "granted", Store: ipc.Store{Backend: "secret-service", Service: k.Address}, Collection: name}
	return newForeigner(w, source, id, k.Address, c.Labels)
}

// foreignPass makes a folder in a password store.
func foreignPass(t *testing.T, a *account, w *worker) *foreigner {
	t.Helper()
	s := vaulttest.NewPasswordStore(t)
	id, data := annsItem(a)
	s.Insert("aws/dev", data)
	source := ipc.Foreign{
		Owner: "aws-vault", Prefix: "aws",
		Store: ipc.Store{Backend: "pass", Dir: s.Dir, Program: "/usr/bin/pass", GnuPGHome: s.GnuPGHome},
	}
	return newForeigner(w, source, id, "", func() []string {
		names, err := filepath.Glob(filepath.Join(s.Dir, "aws", "*"))
		must(t, err)
		return names
	})
}

func newForeigner(w *worker, source ipc.Foreign, id, bus string, left func() []string) *foreigner {
	if bus == "" {
		bus = w.store.Service
	}
	w.command.Env, w.command.Dialog = ipc.ForeignEnv(source, w.store, w.home, bus), true
	return &foreigner{w, ipc.ForeignParams{Source: source, Name: "dev", AccessKeyID: id, Passphrase: secret.New(foreignPhrase)}, left}
}

func annsItem(a *account) (id string, data []byte) {
	ann, _ := a.User("ann")
	k := ann.AccessKeys[0]
	return k.AccessKeyID, vaulttest.WrappedItem("dev", vaulttest.AWSVaultKey(k.AccessKeyID, k.SecretAccessKey.Reveal()))
}

// A key goes from each store of others into each of broker's.
func TestForeignLife(t *testing.T) {
	t.Parallel()
	t.Run("file to secret-service", func(t *testing.T) {
		t.Parallel()
		a, k := newAccount(t, false), vaulttest.StartKeyring(t)
		foreignLife(t, a, foreignFile(t, a, newWorker(t, ipc.Store{Backend: "secret-service", Service: k.Address}, k.Address)))
	})
	t.Run("secret-service to file", func(t *testing.T) {
		t.Parallel()
		a, k := newAccount(t, false), vaulttest.StartKeyring(t)
		foreignLife(t, a, foreignCollection(t, a, fileWorker(t), k))
	})
	t.Run("pass to file", func(t *testing.T) {
		t.Parallel()
		a := newAccount(t, false)
		foreignLife(t, a, foreignPass(t, a, fileWorker(t)))
	})
}

func foreignLife(t *testing.T, a *account, f *foreigner) {
	must(t, f.run(t, ipc.OpProbe, ipc.ProbeParams{Store: f.store, Item: item(99), Create: true}, nil))
	var names ipc.ForeignKeys
	must(t, f.run(t, ipc.OpForeignList, ipc.ForeignListParams{Source: f.params.Source}, &names))
	if fmt.Sprint(names.Names) != "[dev]" {
		t.Errorf("names %q, want dev", names.Names)
	}
	which := f.params
	which.AccessKeyID = ""
	var key ipc.ForeignKey
	must(t, f.run(t, ipc.OpForeignKey, which, &key))
	if key.AccessKeyID != f.params.AccessKeyID {
		t.Errorf("it is key %s, want %s", key.AccessKeyID, f.params.AccessKeyID)
	}
	var kept ipc.PutResult
	put := ipc.ForeignPutParams{ForeignParams: f.params, Item: item(1), Store: f.store, AWS: a.aws, Profile: "dev"}
	must(t, f.run(t, ipc.OpForeignPut, put, &kept))
	if kept.Identity.UserName != "ann" || len(kept.Devices) == 0 {
		t.Errorf("put answered %+v", kept)
	}
	var id ipc.Identity
	must(t, f.run(t, ipc.OpCallerIdentity, ipc.ItemParams{Store: f.store, Item: item(1), Profile: "dev", AccessKeyID: key.AccessKeyID, AWS: a.aws}, &id))
	if id != kept.Identity {
		t.Errorf("the stored key is of %+v, want %+v", id, kept.Identity)
	}

	put.AccessKeyID, put.Item = "AKIAIOSFODNN7EXAMPLE", item(2)
	wantCode(t, f.run(t, ipc.OpForeignPut, put, nil), ipc.CodeSourceFailed)
	if left := f.left(); len(left) != 1 {
		t.Errorf("left of the source: %q", left)
	}
	must(t, f.run(t, ipc.OpForeignDelete, f.params, nil))
	if left := f.left(); len(left) != 0 {
		t.Errorf("left of the source once it is deleted: %q", left)
	}
	must(t, f.run(t, ipc.OpCallerIdentity, ipc.ItemParams{Store: f.store, Item: item(1), Profile: "dev", AccessKeyID: key.AccessKeyID, AWS: a.aws}, nil))
}

// A store of others that fails, and an AWS that does not vouch for the key:
// nothing is stored, nothing is lost, and the reason is told apart from one of
// broker's own store.
func TestF17ForeignFailures(t *testing.T) {
	t.Parallel()
	a := newAccount(t, false)
	f := foreignFile(t, a, fileWorker(t))
	must(t, f.run(t, ipc.OpProbe, ipc.ProbeParams{Store: f.store, Item: item(99), Create: true}, nil))
	put := ipc.ForeignPutParams{ForeignParams: f.params, Item: item(1), Store: f.store, AWS: a.aws, Profile: "dev"}

	wrong := put
	wrong.Passphrase = secret.New("something else")
	wantCode(t, f.run(t, ipc.OpForeignPut, wrong, nil), ipc.CodeSourcePassword)
	gone := put
	gone.Source.Dir += "-gone"
	wantCode(t, f.run(t, ipc.OpForeignPut, gone, nil), ipc.CodeSourceGone)
	elsewhere := put
	elsewhere.Source.Backend, elsewhere.Source.Service = "secret-service", "unix:path=/nowhere"
	wantCode(t, f.run(t, ipc.OpForeignPut, elsewhere, nil), ipc.CodeInternal)
	must(t, a.Set("key."+f.params.AccessKeyID+"=Inactive"))
	wantCode(t, f.run(t, ipc.OpForeignPut, put, nil), ipc.CodeAWSKeyUnknown)

	if entries, err := filepath.Glob(filepath.Join(f.store.Dir, "broker.v1.*")); err != nil || len(entries) != 0 {
		t.Errorf("stored %v, %v", entries, err)
	}
	if left := f.left(); len(left) != 1 || !strings.HasSuffix(left[0], "/dev") {
		t.Errorf("left of the source: %q", left)
	}
}
