// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"context"
	"fmt"

	"credbroker/internal/secret"
	"credbroker/vault"
)

// Foreign names the store in which another program keeps keys, by way of the
// same library.
type Foreign struct {
	Config                   // of which Backend, Dir, Keychain, Home, Program, Environ, Session, Bus and Call count
	Owner      string        // the program: "aws-vault" or "granted"
	Collection string        // secret-service: its name
	Prefix     string        // pass: the folder of its items; empty: the whole password store
	Passphrase secret.String // file
}

// OpenForeign opens the store of another program, unlocking it if its own
// dialog can be shown. Nothing is made that is not there, and nothing is ever
// written to it.
func OpenForeign(ctx context.Context, f Foreign) (vault.ForeignStore, error) {
	f.setDefaults()
	if f.service() == "" {
		return nil, &vault.Error{Kind: vault.ErrNoBackend, Text: fmt.Sprintf("%.40q is no program whose stores broker knows", f.Owner)}
	}
	open, ok := foreignOpeners()[f.Backend]
	if !ok {
		return nil, &vault.Error{Kind: vault.ErrNoBackend, Text: fmt.Sprintf("broker does not read %s's %.40q store here", f.Owner, f.Backend)}
	}
	return open(ctx, f)
}

// foreignOpener opens one kind of store.
type foreignOpener func(context.Context, Foreign) (vault.ForeignStore, error)

// service is what the owner calls itself in a keychain of macOS, and on both
// sides of the colon in the names that Windows has.
func (f Foreign) service() string {
	switch f.Owner {
	case "aws-vault":
		return "aws-vault"
	case "granted":
		return "granted-aws-iam-credentials"
	}
	return ""
}

// foreignRing is a store of the system that another program uses.
type foreignRing struct{ *ring }

var _ vault.ForeignStore = foreignRing{}

// Names implements vault.ForeignStore.
func (r foreignRing) Names(ctx context.Context) ([]string, error) { return r.names(ctx) }

// Get implements vault.ForeignStore.
func (r foreignRing) Get(ctx context.Context, name string) ([]byte, error) { return r.read(ctx, name) }

// Delete implements vault.ForeignStore.
func (r foreignRing) Delete(ctx context.Context, name string) error { return r.remove(ctx, name) }
