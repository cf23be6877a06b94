// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/vaulttest"
)

// foreignShelf is a store of another program.
type foreignShelf struct {
	items      map[string][]byte
	fail       error // of every call
	failOpen   error
	keeps      bool // what is deleted stays
	hangs      bool
	reads      int
	passphrase secret.String // of the latest opening
}

func (s *foreignShelf) open(_ context.Context, _ ipc.Foreign, passphrase secret.String) (vault.ForeignStore, error) {
	s.passphrase = passphrase
	return s, s.failOpen
}

func (s *foreignShelf) wait(ctx context.Context) error {
	if s.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.fail
}

func (s *foreignShelf) Names(ctx context.Context) ([]string, error) {
	var names []string
	for name := range s.items {
		names = append(names, name)
	}
	return names, s.wait(ctx)
}

func (s *foreignShelf) Get(ctx context.Context, name string) ([]byte, error) {
	s.reads++
	data, ok := s.items[name]
	if !ok {
		return nil, &vault.Error{Kind: vault.ErrNotFound, Text: "it is not there"}
	}
	return slices.Clone(data), s.wait(ctx)
}

func (s *foreignShelf) Delete(ctx context.Context, name string) error {
	if !s.keeps {
		delete(s.items, name)
	}
	return s.wait(ctx)
}

var foreignSource = ipc.Foreign{Owner: "aws-vault", Store: ipc.Store{Backend: "file"}}

func foreignParams() ipc.ForeignParams {
	return ipc.ForeignParams{Source: foreignSource, Name: "dev", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Passphrase: secret.New("open sesame")}
}

func foreignPut() ipc.ForeignPutParams {
	return ipc.ForeignPutParams{ForeignParams: foreignParams(), Item: item(1), Store: ipc.Store{Backend: "file"}, AWS: ipc.AWS{Region: "us-east-1"}, Profile: "dev"}
}

// shelved returns a bench with one key in a foreign store.
func shelved(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.foreign.items = map[string][]byte{"dev": vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", canary[:39]+"=")}
	return b
}

// What is no key is left out, and nothing is read.
func TestForeignList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.foreign.items = map[string][]byte{}
	keys := []string{"dev", "a b", "team/prod", "session", "x,y", "not a session (x)"}
	for _, name := range append(slices.Clone(keys),
		"sts.GetSessionToken,ZGV2,YXJuOmF3czppYW06OjExMTEyMjIyMzMzMzptZmEvYW5u,1767225600", "sts.AssumeRole,ZGV2,,1767225600",
		"oidc:https://example.awsapps.com/start", "session,ZGV2,,1767225600", "session:dev:arn:1767225600", "dev session (1767225600)") {
		b.foreign.items[name] = nil
	}
	raw, err := b.run(t, ipc.OpForeignList, ipc.ForeignListParams{Source: foreignSource})
	if err != nil {
		t.Fatal(err)
	}
	var got ipc.ForeignKeys
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	if !slices.Equal(got.Names, keys) {
		t.Errorf("names %q, want %q", got.Names, keys)
	}
	if b.foreign.reads != 0 {
		t.Errorf("%d items were read", b.foreign.reads)
	}
	b.foreign.items = nil
	if raw, err := b.run(t, ipc.OpForeignList, ipc.ForeignListParams{Source: foreignSource}); err != nil || string(raw) != `{"names":[]}` {
		t.Errorf("an empty store: %s, %v", raw, err)
	}
}

func TestForeignKey(t *testing.T) {
	t.Parallel()
	b := shelved(t)
	for _, data := range [][]byte{b.foreign.items["dev"], vaulttest.OldAWSVaultKey("AKIAIOSFODNN7EXAMPLE", canary[:39]+"=")} {
		b.foreign.items["dev"] = data
		p := foreignParams()
		p.AccessKeyID = ""
		raw, err := b.run(t, ipc.OpForeignKey, p)
		if want := `{"accessKeyId":"AKIAIOSFODNN7EXAMPLE"}`; err != nil || string(raw) != want {
			t.Errorf("%s, %v, want %s", raw, err, want)
		}
	}
	if !b.foreign.passphrase.Equal(secret.New("open sesame")) {
		t.Error("the store was opened with another passphrase")
	}
	if len(b.aws.calls) != 0 || len(b.memory.Items()) != 0 {
		t.Errorf("AWS was asked %q, and %d items are stored", b.aws.calls, len(b.memory.Items()))
	}
}

// A key goes over as add would have stored it, and stays where it was.
func TestForeignPut(t *testing.T) {
	t.Parallel()
	b, other := shelved(t), newBench(t)
	raw, err := b.run(t, ipc.OpForeignPut, foreignPut())
	if err != nil {
		t.Fatal(err)
	}
	want, err := other.run(t, ipc.OpPut, putParams(item(1)))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != string(want) || !slices.Equal(b.aws.calls, other.aws.calls) {
		t.Errorf("answered %s after %q, want %s after %q", raw, b.aws.calls, want, other.aws.calls)
	}
	if got, want := b.memory.Items()[item(1)], other.memory.Items()[item(1)]; string(got) != string(want) {
		t.Errorf("stored %d bytes, want the %d that add stores", len(got), len(want))
	}
	if len(b.foreign.items) != 1 {
		t.Error("the key is gone from where it was")
	}
}

func TestForeignDelete(t *testing.T) {
	t.Parallel()
	b := shelved(t)
	b.foreign.items["prod"] = []byte("{}")
	if _, err := b.run(t, ipc.OpForeignDelete, foreignParams()); err != nil {
		t.Fatal(err)
	}
	if _, there := b.foreign.items["prod"]; !there || len(b.foreign.items) != 1 {
		t.Errorf("%d items are left, want the other one", len(b.foreign.items))
	}
	b = shelved(t)
	b.foreign.keeps = true
	if _, err := b.run(t, ipc.OpForeignDelete, foreignParams()); err == nil || err.Code != ipc.CodeSourceFailed || !strings.Contains(err.Message, "still there") {
		t.Errorf("a store that keeps what is deleted: %+v, want source_failed that says so", err)
	}
}

// What is not the key that is meant, or none that broker stores, goes nowhere
// and stays.
func TestForeignRefuses(t *testing.T) {
	t.Parallel()
	key := func(text string) func(*bench) {
		return func(b *bench) { b.foreign.items["dev"] = []byte(text) }
	}
	fails := func(kind error) func(*bench) {
		return func(b *bench) { b.foreign.fail = &vault.Error{Kind: kind, Text: "no", Hint: "broker unlock"} }
	}
	pair := func(more string) string {
		return fmt.Sprintf(`{"AccessKeyID":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":%q%s}`, canary[:39]+"=", more)
	}
	for _, test := range []struct {
		name   string
		change func(*bench)
		code   ipc.Code
		says   string
	}{
		{"another key", key(strings.Replace(pair(""), "7EXAMPLE", "7EXAMPL2", 1)), ipc.CodeSourceFailed, "a moment ago"},
		{"session", key(pair(`,"SessionToken":"x"`)), ipc.CodeKeyInvalid, "temporary"},
		{"that ends", key(pair(`,"CanExpire":true,"Expires":"2026-01-01T00:00:00Z"`)), ipc.CodeKeyInvalid, "temporary"},
		{"temporary ID", key(strings.Replace(pair(""), "AKIA", "ASIA", 1)), ipc.CodeKeyInvalid, "temporary"},
		{"no ID", key(`{"SecretAccessKey":"` + canary + `"}`), ipc.CodeKeyInvalid, "no access key ID"},
		{"the secret in its place", key(`{"AccessKeyID":"` + canary + `"}`), ipc.CodeKeyInvalid, "no access key ID"},
		{"no secret", key(`{"AccessKeyID":"AKIAIOSFODNN7EXAMPLE"}`), ipc.CodeKeyInvalid, "malformed"},
		{"no JSON", key(canary), ipc.CodeKeyInvalid, "no key"},
		{"other JSON", key(`{"AccessKeyID":["` + canary + `"]}`), ipc.CodeKeyInvalid, "no key"},
		{"absent", func(b *bench) { clear(b.foreign.items) }, ipc.CodeSourceFailed, "not there"},
		{"locked", fails(vault.ErrLocked), ipc.CodeSourceLocked, "aws-vault's file store"},
		{"denied", fails(vault.ErrDenied), ipc.CodeSourceLocked, "aws-vault's file store"},
		{"silent", fails(vault.ErrTimeout), ipc.CodeSourceTimeout, "aws-vault's file store"},
		{"wrong passphrase", fails(vault.ErrWrongPassphrase), ipc.CodeSourcePassword, "aws-vault's file store"},
		{"gone", fails(vault.ErrGone), ipc.CodeSourceGone, "aws-vault's file store"},
		{"hanging", func(b *bench) { b.foreign.hangs = true }, ipc.CodeSourceTimeout, "did not answer within"},
		{"cannot open", func(b *bench) { b.foreign.failOpen = &vault.Error{Kind: vault.ErrLocked, Text: "no"} }, ipc.CodeSourceLocked, "read dev"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for op, params := range map[string]any{ipc.OpForeignKey: foreignParams(), ipc.OpForeignPut: foreignPut(), ipc.OpForeignDelete: foreignParams()} {
				b := shelved(t)
				test.change(b)
				before := len(b.foreign.items)
				_, err := b.run(t, op, params)
				if err == nil || err.Code != test.code || !strings.Contains(err.Message, test.says) || err.Hint == "broker unlock" {
					t.Errorf("%s: %+v, want %s that says %q, and no hint about broker's own store", op, err, test.code, test.says)
				}
				if len(b.memory.Items()) != 0 || len(b.foreign.items) != before || len(b.aws.calls) != 0 {
					t.Errorf("%s: %d items stored, %d of %d left, AWS asked %q", op, len(b.memory.Items()), len(b.foreign.items), before, b.aws.calls)
				}
			}
		})
	}
}

// What is to become of a key must be said: its ID is what ties a reservation to
// what is read.
func TestForeignNeedsAName(t *testing.T) {
	t.Parallel()
	put, del := foreignPut(), foreignParams()
	put.AccessKeyID, del.AccessKeyID = "", ""
	for op, params := range map[string]any{ipc.OpForeignPut: put, ipc.OpForeignDelete: del} {
		b := shelved(t)
		if _, err := b.run(t, op, params); err == nil || err.Code != ipc.CodeUsage || len(b.foreign.items) != 1 {
			t.Errorf("%s: %+v, want usage", op, err)
		}
	}
	b := shelved(t)
	p := foreignParams()
	p.Name = "dev session (1767225600)"
	b.foreign.items[p.Name] = b.foreign.items["dev"]
	if _, err := b.run(t, ipc.OpForeignKey, p); err == nil || err.Code != ipc.CodeKeyInvalid {
		t.Errorf("a session by its name: %+v, want key_invalid", err)
	}
}

// A list that fails says which, and panics without a word.
func TestForeignListFails(t *testing.T) {
	t.Parallel()
	for kind, code := range map[error]ipc.Code{
		vault.ErrLocked: ipc.CodeSourceLocked, vault.ErrTimeout: ipc.CodeSourceTimeout, vault.ErrGone: ipc.CodeSourceGone,
		context.Canceled: ipc.CodeDeadline,
	} {
		b := shelved(t)
		b.foreign.fail = fmt.Errorf("list: %w", kind)
		if _, err := b.run(t, ipc.OpForeignList, ipc.ForeignListParams{Source: foreignSource}); err == nil || err.Code != code {
			t.Errorf("%v: %+v, want %s", kind, err, code)
		}
	}
}

// FuzzForeignKey: whatever is in an item of another program, what comes of it is
// a long-lived key or a refusal, and nothing of it is repeated but the ID.
func FuzzForeignKey(f *testing.F) {
	f.Add(vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", canary[:39]+"="))
	f.Add(vaulttest.OldAWSVaultKey("AKIAIOSFODNN7EXAMPLE", canary[:39]+"="))
	f.Add([]byte(`{"accesskeyid":"AKIAIOSFODNN7EXAMPLE","AccessKeyID":null,"SessionToken":1}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t)
		b.foreign.items = map[string][]byte{"dev": data}
		p := foreignParams()
		p.AccessKeyID = ""
		raw, err := b.run(t, ipc.OpForeignKey, p)
		var key ipc.ForeignKey
		switch {
		case err != nil && err.Code != ipc.CodeKeyInvalid:
			t.Errorf("%+v, want key_invalid", err)
		case err == nil && (json.Unmarshal(raw, &key) != nil || !strings.HasPrefix(key.AccessKeyID, "AKIA") || len(key.AccessKeyID) > len(data)):
			t.Errorf("%q makes %s", data, raw)
		}
	})
}
