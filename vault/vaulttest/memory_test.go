// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest_test

import (
	"context"
	"testing"

	"credbroker/vault"
	"credbroker/vault/vaulttest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	vaulttest.Run(t, func(*testing.T) vaulttest.Place {
		m := &vaulttest.Memory{}
		state := func(name string, f vaulttest.Fault, want error) vaulttest.State {
			return vaulttest.State{
				Name: name, Break: func() { m.Break(f) }, Mend: func() { m.Break(vaulttest.None) }, Want: want,
			}
		}
		return vaulttest.Place{
			Open: func(context.Context) (vault.Backend, error) { return m, nil },
			States: []vaulttest.State{
				state("locked", vaulttest.Locked, vault.ErrLocked),
				state("denied", vaulttest.Denied, vault.ErrDenied),
				state("hanging", vaulttest.Hanging, vault.ErrTimeout),
				state("vanished", vaulttest.Vanished, vault.ErrGone),
			},
			Lie: func(l vaulttest.Lie) {
				m.Break(map[vaulttest.Lie]vaulttest.Fault{
					vaulttest.Honest: vaulttest.None, vaulttest.Forgets: vaulttest.Forgetful, vaulttest.Swaps: vaulttest.Lying,
					vaulttest.Denies: vaulttest.Masking, vaulttest.Clings: vaulttest.Sticky,
				}[l])
			},
			Spoil: func(name string) { m.Plant(name, m.Items()[name][:100]) },
			Copy:  func(from, to string) { m.Plant(to, m.Items()[from]) },
		}
	})
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	k := vaulttest.StartKeyring(t)
	k.Plant("somebody's", map[string]string{"app": "other"}, []byte("x"))
	k.Lock()
	if got := k.Labels(); len(got) != 1 {
		t.Errorf("labels = %q of a locked keyring, want what was planted", got)
	}
	k.Unlock()
	k.Kill()
	k.Start()
	if got := k.Labels(); len(got) != 1 || got[0] != "somebody's" {
		t.Errorf("labels = %q after a restart, want what was planted", got)
	}
}
