// SPDX-License-Identifier: Apache-2.0

//go:build stores

package keychain_test

import (
	"context"
	"os"
	"testing"

	"credbroker/vault"
	"credbroker/vault/keychain"
	"credbroker/vault/vaulttest"
)

func newDesktop(t *testing.T) *vaulttest.Desktop {
	t.Helper()
	return vaulttest.JoinBus(os.Getenv("KEYCHAIN_TEST_BUS")).NewDesktop(t)
}

// The conformance suite, on a real KeePassXC.
func TestKeePassXC(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		d := newDesktop(t)
		p := d.StartKeePassXC()
		return vaulttest.Place{
			Open: func(ctx context.Context) (vault.Backend, error) { return keychain.Open(ctx, serviceConfig()) },
			States: []vaulttest.State{
				{Name: "locked", Want: vault.ErrLocked, Break: d.Lock, Mend: func() { p.Quit(); p = d.StartKeePassXC() }},
				{Name: "hanging", Want: vault.ErrTimeout, Break: func() { p.Freeze() }, Mend: func() { p.Thaw() }},
				{Name: "vanished", Want: vault.ErrGone, Break: func() { p.Quit() }, Mend: func() { p = d.StartKeePassXC() }},
			},
		}
	})
}

// The conformance suite, on the Secret Service of a real KWallet.
func TestKWallet(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vaulttest.Place {
		d := newDesktop(t)
		p := d.StartKWallet()
		// It locks its collections when it starts. Workers unlock them one after
		// the other; in one process the bus cannot tell who is who.
		reopen(t, serviceConfig())
		return vaulttest.Place{
			Open: func(ctx context.Context) (vault.Backend, error) { return keychain.Open(ctx, serviceConfig()) },
			States: []vaulttest.State{
				{Name: "hanging", Want: vault.ErrTimeout, Break: func() { p.Freeze() }, Mend: func() { p.Thaw() }},
				{Name: "vanished", Want: vault.ErrGone, Break: func() { d.AwaitWallet(); p.Quit() }, Mend: func() { p = d.StartKWallet() }},
			},
		}
	})
}
