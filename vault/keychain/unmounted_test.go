// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"credbroker/vault"
	"credbroker/vault/keychain"
)

// P26: an empty directory where the vault was is a disk that is not mounted. Its
// items are not missing, nothing is written in their place, and it is no vault
// from which keys were deleted.
func TestP26UnmountedVaultIsGone(t *testing.T) {
	t.Parallel()
	c := fileConfig(t)
	r := mustPut(t, create(t, c), "dev")
	c.Create = false
	must(t, os.Rename(c.Dir, c.Dir+".elsewhere"))
	must(t, os.Mkdir(c.Dir, 0o700))
	for range 2 { // the second time with what the first one left
		if _, err := keychain.Open(t.Context(), c); !errors.Is(err, vault.ErrGone) {
			t.Errorf("open: %v, want ErrGone", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, "broker.canary")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a canary was put there (%v)", err)
	}
	must(t, os.RemoveAll(c.Dir))
	must(t, os.Rename(c.Dir+".elsewhere", c.Dir))
	if _, err := reopen(t, c).Get(t.Context(), r.Item, r.Profile, r.AccessKeyID); err != nil {
		t.Errorf("after it was mounted: %v", err)
	}
}
