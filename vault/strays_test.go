// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/vault"
	"credbroker/vault/vaulttest"
)

func strays(t *testing.T, b *bench, p ipc.StraysParams) ipc.Strays {
	t.Helper()
	raw, err := b.run(t, ipc.OpStrays, p)
	if err != nil {
		t.Fatal(err)
	}
	var found ipc.Strays
	if err := json.Unmarshal(raw, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestStrays: what nobody knows of is named; nothing is read unasked, and of what
// is known, nothing ever.
func TestStrays(t *testing.T) {
	t.Parallel()
	b := stored(t)
	b.memory.Plant(item(2), []byte(canary))
	b.memory.Plant(item(3), []byte("probe 00"))
	b.memory.Plant(vault.Prefix+"\x1b[31m", []byte("x"))
	b.memory.Plant("somebody's", []byte("x"))
	b.memory.Calls()
	named := strays(t, b, ipc.StraysParams{Known: []string{item(1)}})
	if len(named.Items) != 3 || named.More != 0 || named.Items[1].Item != item(2) || named.Items[1].Error != nil {
		t.Errorf("%+v", named)
	}
	if calls := b.memory.Calls(); !slices.Equal(calls, []string{"list " + vault.Prefix}) {
		t.Errorf("the store was asked %q", calls)
	}
	read := strays(t, b, ipc.StraysParams{Known: []string{item(2)}, Read: true})
	if len(read.Items) != 3 {
		t.Fatalf("%+v", read)
	}
	if bad := read.Items[0]; bad.Error == nil || strings.Contains(bad.Item+bad.Error.Message, "\x1b") {
		t.Errorf("a bad name is reported as %+v", bad)
	}
	if key := read.Items[1]; key.Item != item(1) || key.Profile != "dev" || key.AccessKeyID != "AKIAIOSFODNN7EXAMPLE" || key.StoredAt.IsZero() || key.Error != nil {
		t.Errorf("the key is reported as %+v", key)
	}
	if probe := read.Items[2]; probe.Error == nil || probe.Profile != "" {
		t.Errorf("a probe is reported as %+v", probe)
	}
	if calls := b.memory.Calls(); slices.Contains(calls, "get "+item(2)) || slices.Contains(calls, "get somebody's") || len(b.aws.calls) != 0 {
		t.Errorf("the store was asked %q, AWS %q", calls, b.aws.calls)
	}
}

// TestStraysAreBounded: however many there are, some are named, and the answer
// is a line.
func TestStraysAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range 5000 {
		b.memory.Plant(item(n), []byte("probe 00"))
	}
	b.memory.Calls()
	found := strays(t, b, ipc.StraysParams{Read: true})
	if len(found.Items) != ipc.MostStrays || found.More != 5000-ipc.MostStrays || len(b.memory.Calls()) != 1+ipc.MostStrays {
		t.Errorf("%d named, %d more", len(found.Items), found.More)
	}
}

// TestP26StraysOfAClosedStore: one that is locked has none that are known.
func TestP26StraysOfAClosedStore(t *testing.T) {
	t.Parallel()
	b := stored(t)
	b.memory.Break(vaulttest.Locked)
	if raw, err := b.run(t, ipc.OpStrays, ipc.StraysParams{}); err == nil || err.Code != ipc.CodeKeychainLocked {
		t.Errorf("%s, %+v; want keychain_locked", raw, err)
	}
}
