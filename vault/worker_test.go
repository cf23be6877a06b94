// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/vaulttest"
)

// canary has the shape of a secret access key.
const canary = "canary/wJalrXUtnFEMIK7MDENGbPxRfiCYEX12"

// fakeAWS answers for one key.
type fakeAWS struct {
	id         ipc.Identity
	idErr      error
	devices    []ipc.MFADevice
	devicesErr error
	tokenErr   error
	calls      []string
	got        vault.SessionToken
	key        string
	secret     secret.String
	panics     bool
	partitions []string // that calls were made in
	iam        fakeIAM
	policies   fakePolicies
}

func (f *fakeAWS) GetCallerIdentity(context.Context) (ipc.Identity, error) {
	f.calls = append(f.calls, "GetCallerIdentity")
	if f.panics {
		panic("signing with " + f.secret.Reveal())
	}
	return f.id, f.idErr
}

func (f *fakeAWS) ListMFADevices(_ context.Context, userName string) ([]ipc.MFADevice, error) {
	f.calls = append(f.calls, "ListMFADevices "+userName)
	return f.devices, f.devicesErr
}

func (f *fakeAWS) GetSessionToken(ctx context.Context, in vault.SessionToken) (json.RawMessage, error) {
	f.calls = append(f.calls, "GetSessionToken")
	f.got = in
	if f.panics {
		panic("signing with " + f.secret.Reveal())
	}
	if f.tokenErr != nil {
		return nil, f.tokenErr
	}
	return json.RawMessage(`{"Version":1}`), ctx.Err()
}

// bench is a worker on a memory and a pretend AWS.
type bench struct {
	memory  *vaulttest.Memory
	backend vault.Backend // on the memory
	aws     *fakeAWS
	worker  *vault.Worker
	opened  []bool // the create flag of each opening
	fail    error  // of the next opening
	opening func() // while the vault is opened; nil: nothing
	foreign *foreignShelf
}

var ann = ipc.Identity{AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:user/team/ann", UserID: "AIDA1", UserName: "ann"}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{memory: &vaulttest.Memory{}, aws: &fakeAWS{id: ann}, foreign: &foreignShelf{}}
	b.backend = b.memory
	worker, err := vault.New(vault.Options{
		Open: func(_ context.Context, _ ipc.Store, create bool) (vault.Backend, error) {
			b.opened = append(b.opened, create)
			if b.opening != nil {
				b.opening()
			}
			return b.backend, b.fail
		},
		AWS: func(to ipc.AWS, accessKeyID string, s secret.String) (vault.AWS, error) {
			b.aws.partitions = append(b.aws.partitions, to.Partition)
			b.aws.key, b.aws.secret = accessKeyID, s
			return b.aws, nil
		},
		Foreign: b.foreign.open,
		Now:     func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) },
		Limits:  vault.Limits{Dialog: 100 * time.Millisecond, Call: 100 * time.Millisecond, AWS: 100 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.worker = worker
	return b
}

// run carries out an operation and fails the test if anything it says holds the
// secret.
func (b *bench) run(t *testing.T, op string, params any) (json.RawMessage, *ipc.Error) {
	t.Helper()
	var raw json.RawMessage
	var err error
	if p, ok := params.(interface {
		Encode() (json.RawMessage, error)
	}); ok {
		raw, err = p.Encode()
	} else {
		raw, err = json.Marshal(params)
	}
	if err != nil {
		t.Fatal(err)
	}
	result, err := b.worker.Run(t.Context(), op, raw)
	said := fmt.Sprintf("%s %v %+v %#v", result, err, err, err)
	if strings.Contains(said, canary) || strings.Contains(said, "canary/") {
		t.Errorf("%s says the secret: %s", op, said)
	}
	if err == nil {
		return result, nil
	}
	var e *ipc.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v is no *ipc.Error", op, err)
	}
	return result, e
}

func putParams(item string) ipc.PutParams {
	return ipc.PutParams{
		Item: item, Store: ipc.Store{Backend: "file"}, AWS: ipc.AWS{Region: "us-east-1"},
		Profile: "dev", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: secret.New(canary[:39] + "="),
	}
}

func itemParams(item string) ipc.ItemParams {
	return ipc.ItemParams{
		Store: ipc.Store{Backend: "file"}, Item: item, Profile: "dev", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", AWS: ipc.AWS{Region: "us-east-1"},
	}
}

func item(n int) string { return fmt.Sprintf("%s%032x", vault.Prefix, n) }

// stored returns a bench with one key in item(1).
func stored(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	if _, err := b.run(t, ipc.OpPut, putParams(item(1))); err != nil {
		t.Fatal(err)
	}
	b.aws.calls = nil
	b.memory.Calls()
	return b
}

func TestPut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.aws.devices = []ipc.MFADevice{{SerialNumber: "arn:aws:iam::111122223333:mfa/ann"}}
	raw, err := b.run(t, ipc.OpPut, putParams(item(1)))
	if err != nil {
		t.Fatal(err)
	}
	var result ipc.PutResult
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	if result.Identity != ann || len(result.Devices) != 1 || result.DevicesError != nil {
		t.Errorf("result = %+v", result)
	}
	if want := []string{"GetCallerIdentity", "ListMFADevices ann"}; !slices.Equal(b.aws.calls, want) {
		t.Errorf("AWS was asked %v, want %v", b.aws.calls, want)
	}
	if want := []string{"set " + item(1), "get " + item(1)}; !slices.Equal(b.memory.Calls(), want) {
		t.Errorf("the store was asked something other than %v", want)
	}
	if data := b.memory.Items()[item(1)]; len(data) > vault.MaxRecord || !strings.Contains(string(data), canary[:39]) {
		t.Errorf("stored %d bytes", len(data))
	}
	if slices.Contains(b.opened, true) {
		t.Error("put has created a store")
	}
}

func TestPutDevicesAreBestEffort(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.aws.devicesErr = &vault.AWSError{Code: ipc.CodeAWSDenied, Message: "AccessDenied"}
	raw, err := b.run(t, ipc.OpPut, putParams(item(1)))
	if err != nil {
		t.Fatal(err)
	}
	var result ipc.PutResult
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	if result.DevicesError == nil || result.DevicesError.Code != ipc.CodeAWSDenied || result.Devices == nil {
		t.Errorf("result = %+v, want the reason why the devices are unknown", result)
	}
}

func TestPutNoVerify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := putParams(item(1))
	p.NoVerify = true
	if _, err := b.run(t, ipc.OpPut, p); err != nil {
		t.Fatal(err)
	}
	if len(b.aws.calls) != 0 {
		t.Errorf("AWS was asked %v", b.aws.calls)
	}
}

// What cannot be a long-lived key of an IAM user is refused, and nothing is
// stored.
func TestPutRefuses(t *testing.T) {
	t.Parallel()
	root := ipc.Identity{AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:root", UserID: "111122223333"}
	tests := []struct {
		name   string
		change func(*bench, *ipc.PutParams)
		code   ipc.Code
		says   string
	}{
		{"temporary", func(_ *bench, p *ipc.PutParams) { p.AccessKeyID = "ASIAIOSFODNN7EXAMPLE" }, ipc.CodeKeyInvalid, "temporary"},
		{"swapped", func(_ *bench, p *ipc.PutParams) {
			p.AccessKeyID, p.SecretAccessKey = p.SecretAccessKey.Reveal(), secret.New(p.AccessKeyID)
		}, ipc.CodeKeyInvalid, "swapped"},
		{"malformed ID", func(_ *bench, p *ipc.PutParams) { p.AccessKeyID = canary }, ipc.CodeKeyInvalid, "malformed"},
		{"ID with blank", func(_ *bench, p *ipc.PutParams) { p.AccessKeyID += " " }, ipc.CodeKeyInvalid, "malformed"},
		{"short secret", func(_ *bench, p *ipc.PutParams) { p.SecretAccessKey = secret.New(canary[:30]) }, ipc.CodeKeyInvalid, "malformed"},
		{"no secret", func(_ *bench, p *ipc.PutParams) { p.SecretAccessKey = secret.String{} }, ipc.CodeKeyInvalid, "malformed"},
		{"profile", func(_ *bench, p *ipc.PutParams) { p.Profile = "a\nb" }, ipc.CodeKeyInvalid, "profile"},
		{"item", func(_ *bench, p *ipc.PutParams) { p.Item = "../x" }, ipc.CodeKeychainCorrupt, "not the name"},
		{"root user", func(b *bench, _ *ipc.PutParams) { b.aws.id = root }, ipc.CodeKeyInvalid, "root user"},
		{"no user", func(b *bench, _ *ipc.PutParams) { b.aws.id.ARN = "arn:aws:sts::111122223333:assumed-role/x/y" }, ipc.CodeKeyInvalid, "no IAM user"},
		{"inactive", func(b *bench, _ *ipc.PutParams) {
			b.aws.idErr = &vault.AWSError{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"}
		}, ipc.CodeAWSKeyUnknown, "AKIAIOSFODNN7EXAMPLE"},
		{"wrong secret", func(b *bench, _ *ipc.PutParams) {
			b.aws.idErr = &vault.AWSError{Code: ipc.CodeAWSSecret, Message: "SignatureDoesNotMatch"}
		}, ipc.CodeAWSSecret, "AKIAIOSFODNN7EXAMPLE"},
		{"panic", func(b *bench, _ *ipc.PutParams) { b.aws.panics = true }, ipc.CodeInternal, "put"},
		{"locked", func(b *bench, _ *ipc.PutParams) { b.memory.Break(vaulttest.Locked) }, ipc.CodeKeychainLocked, "store key AKIAIOSFODNN7EXAMPLE of profile dev"},
		{"full", func(b *bench, _ *ipc.PutParams) { b.memory.Break(vaulttest.Full) }, ipc.CodeDiskFull, "no space left"},
		{"torn", func(b *bench, _ *ipc.PutParams) { b.memory.Break(vaulttest.Torn) }, ipc.CodeKeychainCorrupt, "did not keep"},
		{"forgetful", func(b *bench, _ *ipc.PutParams) { b.memory.Break(vaulttest.Forgetful) }, ipc.CodeKeychainCorrupt, "did not keep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, p := newBench(t), putParams(item(1))
			test.change(b, &p)
			_, err := b.run(t, ipc.OpPut, p)
			if err == nil || err.Code != test.code || !strings.Contains(err.Message, test.says) {
				t.Fatalf("%+v, want %s that says %q", err, test.code, test.says)
			}
			if len(b.memory.Items()) != 0 {
				t.Errorf("stored %v", b.memory.Items())
			}
		})
	}
}

func TestPutTwice(t *testing.T) {
	t.Parallel()
	b := stored(t)
	before := b.memory.Items()[item(1)]
	p := putParams(item(1))
	p.Profile = "other"
	if _, err := b.run(t, ipc.OpPut, p); err == nil || err.Code != ipc.CodeKeychainFailed {
		t.Errorf("second put: %v", err)
	}
	if string(before) != string(b.memory.Items()[item(1)]) {
		t.Error("the item has changed")
	}
}

func TestSessionToken(t *testing.T) {
	t.Parallel()
	b := stored(t)
	raw, err := b.run(t, ipc.OpSessionToken, ipc.SessionTokenParams{
		ItemParams: itemParams(item(1)), SerialNumber: "arn:aws:iam::111122223333:mfa/ann", TokenCode: "123456", DurationSeconds: 43200,
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != `{"Version":1}` {
		t.Errorf("result = %s", raw)
	}
	want := vault.SessionToken{
		SerialNumber: "arn:aws:iam::111122223333:mfa/ann", TokenCode: "123456", DurationSeconds: 43200, AccountID: "111122223333",
	}
	if b.aws.got != want || b.aws.key != "AKIAIOSFODNN7EXAMPLE" || b.aws.secret.Reveal() != canary[:39]+"=" {
		t.Errorf("AWS was asked %+v with key %s", b.aws.got, b.aws.key)
	}
}

// A code that may have left this machine is spent, whatever became of it; one
// that has not is not.
func TestSessionTokenSpent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		code   string
		change func(*bench)
		want   bool
	}{
		{"refused", "123456", func(b *bench) { b.aws.tokenErr = &vault.AWSError{Code: ipc.CodeMFAWrong, Sent: true} }, true},
		{"no connection", "123456", func(b *bench) { b.aws.tokenErr = &vault.AWSError{Code: ipc.CodeAWSUnreachable} }, false},
		{"unknown", "123456", func(b *bench) { b.aws.tokenErr = errors.New("something else") }, true},
		{"panic", "123456", func(b *bench) { b.aws.panics = true }, true},
		{"without a code", "", func(b *bench) { b.aws.tokenErr = &vault.AWSError{Code: ipc.CodeAWSFailed, Sent: true} }, false},
		{"locked", "123456", func(b *bench) { b.memory.Break(vaulttest.Locked) }, false},
		{"hanging", "123456", func(b *bench) { b.memory.Break(vaulttest.Hanging) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := stored(t)
			test.change(b)
			_, err := b.run(t, ipc.OpSessionToken, ipc.SessionTokenParams{
				ItemParams: itemParams(item(1)), SerialNumber: "s", TokenCode: test.code, DurationSeconds: 900,
			})
			if err == nil || err.Spent != test.want {
				t.Errorf("%+v, want spent = %v", err, test.want)
			}
		})
	}
}

// P24: an item that is not the one in the index is refused before AWS is asked.
func TestP24MismatchAsksNobody(t *testing.T) {
	t.Parallel()
	for _, op := range []string{ipc.OpSessionToken, ipc.OpCallerIdentity, ipc.OpListMFADevices, ipc.OpDelete} {
		b := stored(t)
		prod := putParams(item(2))
		prod.Profile, prod.AccessKeyID = "prod", "AKIAI44QH8DHBEXAMPLE"
		if _, err := b.run(t, ipc.OpPut, prod); err != nil {
			t.Fatal(err)
		}
		b.aws.calls = nil
		b.memory.Plant(item(1), b.memory.Items()[item(2)])
		_, err := b.run(t, op, ipc.SessionTokenParams{ItemParams: itemParams(item(1)), TokenCode: "123456", SerialNumber: "s"})
		if err == nil || err.Code != ipc.CodeKeychainCorrupt || err.Spent {
			t.Errorf("%s: %+v, want keychain_corrupt", op, err)
		}
		if len(b.aws.calls) != 0 || len(b.memory.Items()) != 2 {
			t.Errorf("%s: AWS was asked %v, the store has %d items", op, b.aws.calls, len(b.memory.Items()))
		}
	}
}

// P26: what is wrong with a store is said as it is; "missing" only of a store
// that was seen to work; and nothing is created or deleted on the way.
func TestP26ErrorsOfStores(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault vaulttest.Fault
		want  ipc.Code
	}{
		{"locked", vaulttest.Locked, ipc.CodeKeychainLocked},
		{"denied", vaulttest.Denied, ipc.CodeKeychainDenied},
		{"hanging", vaulttest.Hanging, ipc.CodeKeychainTimeout},
		{"vanished", vaulttest.Vanished, ipc.CodeKeychainGone},
		{"masking", vaulttest.Masking, ipc.CodeKeychainCorrupt},
	}
	for _, test := range tests {
		for _, op := range []string{ipc.OpSessionToken, ipc.OpCallerIdentity, ipc.OpListMFADevices, ipc.OpDelete, ipc.OpProbe} {
			t.Run(test.name+"/"+op, func(t *testing.T) {
				t.Parallel()
				b := stored(t)
				b.memory.Break(test.fault)
				params := any(itemParams(item(1)))
				if op == ipc.OpProbe {
					params = ipc.ProbeParams{Item: item(9)}
				}
				_, err := b.run(t, op, params)
				if err == nil || err.Code != test.want {
					t.Fatalf("%+v, want %s", err, test.want)
				}
				if test.fault == vaulttest.Masking && strings.Contains(err.Message, "works otherwise") {
					t.Errorf("%q believes a store that hides everything", err.Message)
				}
				if len(b.aws.calls) != 0 {
					t.Errorf("AWS was asked %v", b.aws.calls)
				}
				if _, ok := b.memory.Items()[item(1)]; !ok {
					t.Error("the key is gone")
				}
			})
		}
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, err := b.run(t, ipc.OpCallerIdentity, itemParams(item(1)))
		if err == nil || err.Code != ipc.CodeKeychainCorrupt || !strings.Contains(err.Message, "is missing") {
			t.Errorf("%+v, want keychain_corrupt", err)
		}
	})
	t.Run("lying", func(t *testing.T) {
		t.Parallel()
		b := stored(t)
		b.memory.Plant(item(2), b.memory.Items()[item(1)])
		b.memory.Break(vaulttest.Lying)
		if _, err := b.run(t, ipc.OpCallerIdentity, itemParams(item(1))); err != nil {
			t.Errorf("%v: both items say that they are the first", err)
		}
		if _, err := b.run(t, ipc.OpCallerIdentity, itemParams(item(2))); err == nil || err.Code != ipc.CodeKeychainCorrupt {
			t.Errorf("%+v, want keychain_corrupt", err)
		}
	})
	t.Run("cannot open", func(t *testing.T) {
		t.Parallel()
		b := stored(t)
		b.fail = &vault.Error{Kind: vault.ErrWrongPassphrase, Text: "it does not open"}
		for op, params := range map[string]any{
			ipc.OpProbe: ipc.ProbeParams{Item: item(9)}, ipc.OpDelete: itemParams(item(1)), ipc.OpCallerIdentity: itemParams(item(1)),
			ipc.OpRecover: ipc.RecoverParams{}, ipc.OpPut: putParams(item(3)),
		} {
			if _, err := b.run(t, op, params); err == nil || err.Code != ipc.CodeWrongPassphrase {
				t.Errorf("%s: %+v, want wrong_passphrase", op, err)
			}
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	b := stored(t)
	for range 2 {
		if _, err := b.run(t, ipc.OpDelete, itemParams(item(1))); err != nil {
			t.Fatal(err)
		}
		if len(b.memory.Items()) != 0 {
			t.Errorf("left: %v", b.memory.Items())
		}
	}
	b = stored(t)
	b.memory.Break(vaulttest.Sticky)
	if _, err := b.run(t, ipc.OpDelete, itemParams(item(1))); err == nil || err.Code != ipc.CodeKeychainDenied {
		t.Errorf("%+v, want keychain_denied from a store that keeps what it deletes", err)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.run(t, ipc.OpProbe, ipc.ProbeParams{Item: item(1), Create: true}); err != nil {
		t.Fatal(err)
	}
	if len(b.memory.Items()) != 0 || !slices.Equal(b.opened, []bool{true}) {
		t.Errorf("left: %v; create: %v", b.memory.Items(), b.opened)
	}
	for _, fault := range []vaulttest.Fault{vaulttest.Forgetful, vaulttest.Torn, vaulttest.Sticky, vaulttest.Full, vaulttest.Masking} {
		b := newBench(t)
		b.memory.Break(fault)
		if _, err := b.run(t, ipc.OpProbe, ipc.ProbeParams{Item: item(1)}); err == nil {
			t.Errorf("fault %d passes a probe", fault)
		}
	}
}

func TestCallerIdentity(t *testing.T) {
	t.Parallel()
	b := stored(t)
	raw, err := b.run(t, ipc.OpCallerIdentity, itemParams(item(1)))
	var id ipc.Identity
	if err != nil || json.Unmarshal(raw, &id) != nil || id != ann {
		t.Errorf("%s, %v; want %+v", raw, err, ann)
	}
	b.aws.id.AccountID = "999999999999"
	if _, err := b.run(t, ipc.OpCallerIdentity, itemParams(item(1))); err == nil || err.Code != ipc.CodeAWSGarbage {
		t.Errorf("%+v, want aws_garbage for an answer of another account", err)
	}
}

func TestListMFADevices(t *testing.T) {
	t.Parallel()
	b := stored(t)
	raw, err := b.run(t, ipc.OpListMFADevices, itemParams(item(1)))
	if err != nil || string(raw) != `{"devices":[]}` {
		t.Errorf("%s, %v; want an empty list", raw, err)
	}
	b.aws.devicesErr = &vault.AWSError{Code: ipc.CodeAWSDenied, Message: "AccessDenied"}
	if _, err := b.run(t, ipc.OpListMFADevices, itemParams(item(1))); err == nil || err.Code != ipc.CodeAWSDenied {
		t.Errorf("%+v, want aws_denied", err)
	}
}

func recovered(t *testing.T, b *bench) []ipc.RecoveredKey {
	t.Helper()
	raw, err := b.run(t, ipc.OpRecover, ipc.RecoverParams{Store: ipc.Store{Backend: "file"}})
	if err != nil {
		t.Fatal(err)
	}
	var result ipc.RecoverResult
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	return result.Keys
}

// Everything that is ours is reported, what cannot be used with its reason.
func TestRecover(t *testing.T) {
	t.Parallel()
	b := stored(t)
	b.memory.Plant(item(2), b.memory.Items()[item(1)])
	b.memory.Plant(item(3), []byte(canary))
	b.memory.Plant(item(4), []byte("probe 00"))
	b.memory.Plant(vault.Prefix+"\x1b[31m", []byte("x"))
	b.memory.Plant("somebody's", []byte("x"))
	b.memory.Calls()
	b.aws.devices = []ipc.MFADevice{{SerialNumber: "arn:aws:iam::111122223333:mfa/ann"}}
	keys := recovered(t, b)
	if len(keys) != 4 {
		t.Fatalf("%d keys, want 4: %+v", len(keys), keys)
	}
	if keys[0].Error == nil || strings.Contains(keys[0].Item+keys[0].Error.Message, "\x1b") {
		t.Errorf("a bad name is reported as %+v", keys[0])
	}
	good := keys[1]
	if good.Error != nil || good.Item != item(1) || good.Profile != "dev" || good.AccessKeyID != "AKIAIOSFODNN7EXAMPLE" ||
		good.Identity != ann || len(good.Devices) != 1 || good.StoredAt.IsZero() {
		t.Errorf("the key is reported as %+v", good)
	}
	for _, bad := range keys[2:] {
		if bad.Error == nil || bad.Error.Code != ipc.CodeKeychainCorrupt || bad.Profile != "" {
			t.Errorf("a damaged item is reported as %+v", bad)
		}
	}
	if calls := b.memory.Calls(); slices.Contains(calls, "get somebody's") {
		t.Error("another program's item was read")
	}
}

// breaking is a store that fails once it has listed its items.
type breaking struct {
	*vaulttest.Memory
	fault vaulttest.Fault
}

func (b breaking) List(ctx context.Context) ([]string, error) {
	names, err := b.Memory.List(ctx)
	b.Break(b.fault)
	return names, err
}

// P26: a store that is closed in the middle of recover is no store without keys.
func TestP26RecoverNeedsTheWholeStore(t *testing.T) {
	t.Parallel()
	for fault, want := range map[vaulttest.Fault]ipc.Code{
		vaulttest.Locked: ipc.CodeKeychainLocked, vaulttest.Denied: ipc.CodeKeychainDenied, vaulttest.Hanging: ipc.CodeKeychainTimeout,
		vaulttest.Vanished: ipc.CodeKeychainGone, vaulttest.Masking: ipc.CodeKeychainCorrupt,
	} {
		b := stored(t)
		b.backend = breaking{b.memory, fault}
		raw, err := b.run(t, ipc.OpRecover, ipc.RecoverParams{Store: ipc.Store{Backend: "file"}})
		if err == nil || err.Code != want {
			t.Errorf("fault %d: %s, %+v; want %s", fault, raw, err, want)
		}
	}
}

// Without AWS, items speak for themselves, and AWS is asked once.
// A store that is locked and lists nothing is no empty one; an item that is
// listed twice is one key.
func TestRecoverFromALyingList(t *testing.T) {
	t.Parallel()
	b := stored(t)
	b.memory.Break(vaulttest.Mute)
	if _, err := b.run(t, ipc.OpRecover, ipc.RecoverParams{Store: ipc.Store{Backend: "file"}}); err == nil || err.Code != ipc.CodeKeychainLocked {
		t.Errorf("a locked store that lists nothing: %+v, want keychain_locked", err)
	}
	b.memory.Break(vaulttest.Stutter)
	if keys := recovered(t, b); len(keys) != 1 {
		t.Errorf("%d keys of an item that is listed twice, want one", len(keys))
	}
}

func TestRecoverOffline(t *testing.T) {
	t.Parallel()
	b := stored(t)
	p := putParams(item(2))
	p.Profile = "prod"
	if _, err := b.run(t, ipc.OpPut, p); err != nil {
		t.Fatal(err)
	}
	b.aws.calls = nil
	b.aws.idErr = &vault.AWSError{Code: ipc.CodeAWSUnreachable, Message: "no route"}
	keys := recovered(t, b)
	if len(keys) != 2 || len(b.aws.calls) != 1 {
		t.Fatalf("%d keys, AWS was asked %v", len(keys), b.aws.calls)
	}
	for _, key := range keys {
		if key.Error == nil || key.Error.Code != ipc.CodeAWSUnreachable || key.Identity.ARN != ann.ARN {
			t.Errorf("%+v, want what the item says and aws_unreachable", key)
		}
	}
	b.aws.calls = nil
	b.aws.idErr = &vault.AWSError{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"}
	if keys := recovered(t, b); keys[0].Error == nil || len(b.aws.calls) != 2 {
		t.Errorf("%+v; AWS was asked %v, want once for each key", keys, b.aws.calls)
	}
}

// Only the user can know that a key is one of another partition.
func TestPutOfAKeyFromElsewhere(t *testing.T) {
	t.Parallel()
	for partition, want := range map[string]bool{"": true, "aws": false} {
		b, p := newBench(t), putParams(item(1))
		p.AWS.Partition = partition
		b.aws.idErr = &vault.AWSError{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"}
		_, err := b.run(t, ipc.OpPut, p)
		if err == nil || err.Code != ipc.CodeAWSKeyUnknown || strings.Contains(err.Hint, "set region in the profile") != want {
			t.Errorf("partition %q: %+v", partition, err)
		}
	}
}

// A key is asked about in its own partition, whatever the Region of recover:
// another one would say that there is no such key.
func TestRecoverAsksTheRightPartition(t *testing.T) {
	t.Parallel()
	b := stored(t)
	b.aws.id.ARN = "arn:aws-cn:iam::111122223333:user/team/ann"
	p := putParams(item(2))
	p.Profile = "cn"
	if _, err := b.run(t, ipc.OpPut, p); err != nil {
		t.Fatal(err)
	}
	p = putParams(item(3))
	p.Profile, p.NoVerify, p.SerialNumber = "gov", true, "arn:aws-us-gov:iam::111122223333:mfa/ann"
	if _, err := b.run(t, ipc.OpPut, p); err != nil {
		t.Fatal(err)
	}
	b.aws.calls, b.aws.partitions = nil, nil
	b.aws.idErr = &vault.AWSError{Code: ipc.CodeAWSUnreachable, Message: "no route"}
	recovered(t, b)
	if want := []string{"aws", "aws-cn", "aws-us-gov"}; !slices.Equal(b.aws.partitions, want) {
		t.Errorf("AWS was asked in %q, want %q: one that is offline says nothing about another", b.aws.partitions, want)
	}
}

// P33: neither a panic nor malformed parameters quote what they were given.
func TestP33NothingIsQuoted(t *testing.T) {
	t.Parallel()
	b := stored(t)
	b.aws.panics = true
	if _, err := b.run(t, ipc.OpCallerIdentity, itemParams(item(1))); err == nil || err.Code != ipc.CodeInternal {
		t.Errorf("panic: %+v, want internal", err)
	}
	for _, params := range []string{
		``, `null`, `[]`, `"` + canary + `"`, `{"secretAccessKey":["` + canary + `"]}`, `{"item":{"x":"` + canary + `"}}`, `{"profile":"` + canary,
	} {
		for _, op := range []string{
			ipc.OpPut, ipc.OpDelete, ipc.OpProbe, ipc.OpRecover, canary, ipc.OpForeignList, ipc.OpForeignKey, ipc.OpForeignPut, ipc.OpForeignDelete,
		} {
			_, err := b.worker.Run(t.Context(), op, json.RawMessage(params))
			if op != canary && err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary/") {
				t.Errorf("%s %s: %v", op, params, err)
			}
		}
	}
}

func TestUnknownOp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.run(t, "make-coffee", struct{}{})
	if err == nil || err.Code != ipc.CodeProtocol || !strings.Contains(err.Message, "protocol 1") {
		t.Errorf("%+v, want a protocol error that names the version", err)
	}
}

func TestNewRequiresItsParts(t *testing.T) {
	t.Parallel()
	if _, err := vault.New(vault.Options{}); err == nil {
		t.Error("a worker was made of nothing")
	}
}

// The worker ends before it is killed.
func TestBudget(t *testing.T) {
	t.Parallel()
	for _, op := range []string{
		ipc.OpProbe, ipc.OpPut, ipc.OpDelete, ipc.OpSessionToken, ipc.OpCallerIdentity, ipc.OpListMFADevices, ipc.OpRecover,
		ipc.OpForeignList, ipc.OpForeignKey, ipc.OpForeignPut, ipc.OpForeignDelete, "other",
	} {
		plain := vault.Budget(op, json.RawMessage(`{"store":{"backend":"file"}}`))
		dialog := vault.Budget(op, json.RawMessage(`{"store":{"backend":"secret-service"}}`))
		if plain <= 0 || plain+ipc.KillDelay > ipc.Limit(op) || dialog != plain+55*time.Second {
			t.Errorf("%s: %v, with a dialog %v; it is killed after %v", op, plain, dialog, ipc.Limit(op))
		}
	}
}
