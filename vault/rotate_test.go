// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/atomicfile"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
	"credbroker/vault/vaulttest"
)

const (
	key1      = "AKIAIOSFODNN7EXAMPLE"
	newKey    = "AKIANEWKEYNEWKEYNEW2"
	newCanary = "canary/newKeyWJalrXUtnFEMIK7MDENGbPxRfiC"
)

// fakeIAM has the keys of one user.
type fakeIAM struct {
	keys      []ipc.KeyState
	createErr error
	deleteErr error
	userErr   error
	reportErr error  // of a report's beginning
	lookErr   error  // of a look at it
	looks     int    // at a report before it is done
	onCreate  func() // after the key is made, before the answer
}

func (f *fakeAWS) GetUser(context.Context) error { return f.iam.userErr }

func (f *fakeAWS) ListAccessKeys(context.Context, string) ([]ipc.KeyState, error) {
	return slices.Clone(f.iam.keys), nil
}

func (f *fakeAWS) BeginReport(_ context.Context, arn string) (string, error) {
	return "job of " + arn, f.iam.reportErr
}

func (f *fakeAWS) Report(_ context.Context, job string) (bool, []ipc.ServiceUse, error) {
	if f.iam.looks--; f.iam.looks >= 0 {
		return false, nil, nil
	}
	return true, []ipc.ServiceUse{{Namespace: "s3", ServiceName: job}}, f.iam.lookErr
}

func (f *fakeAWS) LastUsed(_ context.Context, key *ipc.KeyState) error {
	if key.AccessKeyID == newKey {
		return &vault.AWSError{Code: ipc.CodeAWSDenied, Message: "AccessDenied", Sent: true, Refused: true}
	}
	key.ServiceName = "s3"
	return nil
}

func (f *fakeAWS) CreateAccessKey(_ context.Context, userName string) (string, secret.String, error) {
	f.calls = append(f.calls, "CreateAccessKey "+userName)
	if f.iam.createErr != nil {
		return "", secret.String{}, f.iam.createErr
	}
	f.iam.keys = append(f.iam.keys, ipc.KeyState{AccessKeyID: newKey, Active: true})
	if f.iam.onCreate != nil {
		f.iam.onCreate()
	}
	return newKey, secret.New(newCanary), nil
}

func (f *fakeAWS) UpdateAccessKey(_ context.Context, _, id string, active bool) error {
	for i := range f.iam.keys {
		if f.iam.keys[i].AccessKeyID == id {
			f.iam.keys[i].Active = active
			return nil
		}
	}
	return &vault.AWSError{Code: ipc.CodeKeyGone, Message: "NoSuchEntity", Sent: true, Refused: true}
}

func (f *fakeAWS) DeleteAccessKey(_ context.Context, _, id string) error {
	f.calls = append(f.calls, "DeleteAccessKey "+id)
	if f.iam.deleteErr != nil {
		return f.iam.deleteErr
	}
	f.iam.keys = slices.DeleteFunc(f.iam.keys, func(k ipc.KeyState) bool { return k.AccessKeyID == id })
	return nil
}

// sealing is a bench with a stored key that is to be replaced.
type sealing struct {
	*bench
	sealed ipc.Sealed
	create ipc.CreateKeyParams
	store  ipc.StoreKeyParams
}

func newSealing(t *testing.T) *sealing {
	t.Helper()
	s := &sealing{bench: newBench(t)}
	if _, err := s.run(t, ipc.OpPut, putParams(item(1))); err != nil {
		t.Fatal(err)
	}
	s.sealed = ipc.Sealed{Seal: item(9), File: filepath.Join(t.TempDir(), "sealed"), Rotation: "r1"}
	places := []ipc.KeyPlace{{Profile: "dev", Item: item(2)}, {Profile: "twin", Item: item(3)}}
	s.create = ipc.CreateKeyParams{
		IAMParams: ipc.IAMParams{ItemParams: itemParams(item(1)), UserName: "ann"},
		Sealed:    s.sealed, AccountID: ann.AccountID, ARN: ann.ARN, Places: places,
	}
	s.store = ipc.StoreKeyParams{Sealed: s.sealed, AccessKeyID: newKey, AccountID: ann.AccountID, ARN: ann.ARN, Places: places}
	if _, err := s.run(t, ipc.OpSeal, ipc.SealParams{Seal: s.sealed.Seal}); err != nil {
		t.Fatal(err)
	}
	return s
}

// sealedHas fails the test unless the file is there, and hides the secret.
func (s *sealing) sealedHas(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(s.sealed.File)
	if err != nil || bytes.Contains(data, []byte(newCanary)) || !bytes.Contains(data, []byte(newKey)) {
		t.Errorf("the sealed file: %s, %v", data, err)
	}
	if info, err := os.Stat(s.sealed.File); err != nil || info.Mode() != 0o600 {
		t.Errorf("the sealed file has %v, %v", info, err)
	}
}

// storedNew fails the test unless both places have the new key.
func (s *sealing) storedNew(t *testing.T) {
	t.Helper()
	for _, p := range s.create.Places {
		if data := s.memory.Items()[p.Item]; !bytes.Contains(data, []byte(newCanary)) || !bytes.Contains(data, []byte(p.Profile)) {
			t.Errorf("item %s of %s holds %d bytes", p.Item, p.Profile, len(data))
		}
	}
}

func TestCreateKey(t *testing.T) {
	s := newSealing(t)
	raw, err := s.run(t, ipc.OpCreateKey, s.create)
	if err != nil || string(raw) != `{"accessKeyId":"`+newKey+`"}` {
		t.Fatalf("%s, %v", raw, err)
	}
	s.storedNew(t)
	s.sealedHas(t)
	for range 2 { // as after a crash
		if _, err := s.run(t, ipc.OpStoreKey, s.store); err != nil {
			t.Fatal(err)
		}
	}
	if raw, err := s.run(t, ipc.OpSealedKey, ipc.SealedKeyParams{Sealed: s.sealed}); err != nil || !strings.Contains(string(raw), newKey) {
		t.Errorf("%s, %v", raw, err)
	}
	s.storedNew(t)
	if left, _ := filepath.Glob(s.sealed.File + ".room"); left != nil {
		t.Error("the spare file was left behind")
	}
}

// TestF03SealedOutlivesTheStore: a vault that fails after IAM has made the key
// loses nothing.
func TestF03SealedOutlivesTheStore(t *testing.T) {
	s := newSealing(t)
	s.aws.iam.onCreate = func() { s.memory.Break(vaulttest.Locked) }
	raw, err := s.run(t, ipc.OpCreateKey, s.create)
	var created ipc.CreatedKey
	if err != nil || json.Unmarshal(raw, &created) != nil || created.AccessKeyID != newKey ||
		created.StoreError == nil || created.StoreError.Code != ipc.CodeKeychainLocked {
		t.Fatalf("%s, %v", raw, err)
	}
	s.sealedHas(t)
	if _, err := s.run(t, ipc.OpStoreKey, s.store); err == nil || err.Code != ipc.CodeKeychainLocked {
		t.Errorf("a locked vault stored it: %v", err)
	}
	s.memory.Break(vaulttest.None)
	if _, err := s.run(t, ipc.OpStoreKey, s.store); err != nil {
		t.Fatal(err)
	}
	s.storedNew(t)
}

// TestF02LockedBeforeTheVaultOpens: while a dialog of the vault is up, whoever
// looks for the key finds that somebody is still making it.
func TestF02LockedBeforeTheVaultOpens(t *testing.T) {
	s := newSealing(t)
	looked := 0
	s.opening = func() {
		looked++
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if unlock, err := atomicfile.Lock(ctx, s.sealed.File+".lock"); err == nil {
			unlock()
			t.Errorf("opening %d: nobody is making a key", looked)
		} else if !errors.Is(err, atomicfile.ErrLocked) {
			t.Error(err)
		}
	}
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err != nil || looked == 0 {
		t.Errorf("%v, opened %d times", err, looked)
	}
}

// TestF24NoRoomForASecret: a disk that is full before the call makes no key; one
// that fails after it costs no key, as long as the vault takes it; and when
// nothing takes it, the key is deleted again.
func TestF24NoRoomForASecret(t *testing.T) {
	s := newSealing(t)
	s.create.File = filepath.Join(t.TempDir(), "missing", "sealed")
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err == nil || slices.Contains(s.aws.calls, "CreateAccessKey ann") {
		t.Errorf("a key was made without a place for its secret: %v, %v", err, s.aws.calls)
	}

	s = newSealing(t)
	gone := func() {
		if err := os.RemoveAll(filepath.Dir(s.sealed.File)); err != nil {
			t.Error(err)
		}
	}
	s.aws.iam.onCreate = gone
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err != nil {
		t.Errorf("the vault has it: %v", err)
	}
	s.storedNew(t)
	if raw, err := s.run(t, ipc.OpStoreKey, s.store); err != nil || string(raw) != "{}" {
		t.Errorf("the vault has it, and the next step says %s, %v", raw, err)
	}
	if err := s.memory.Delete(t.Context(), s.store.Places[1].Item); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(t, ipc.OpStoreKey, s.store); err == nil {
		t.Error("one of the places does not have it")
	}

	s = newSealing(t)
	s.aws.iam.onCreate = func() { gone(); s.memory.Break(vaulttest.Full) }
	_, err := s.run(t, ipc.OpCreateKey, s.create)
	if err == nil || err.Spent || len(s.aws.iam.keys) != 0 || !strings.Contains(err.Message, "deleted again") {
		t.Errorf("%+v, IAM has %v", err, s.aws.iam.keys)
	}

	s = newSealing(t)
	s.aws.iam.onCreate = func() { gone(); s.memory.Break(vaulttest.Full) }
	s.aws.iam.deleteErr = &vault.AWSError{Code: ipc.CodeAWSDenied, Message: "AccessDenied", Sent: true, Refused: true}
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err == nil || !err.Spent || !strings.Contains(err.Message, newKey) {
		t.Errorf("nobody is told of the key that stays: %+v", err)
	}
}

func TestCreateKeyIsNotSentWithoutASeal(t *testing.T) {
	s := newSealing(t)
	s.create.Seal = item(8)
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err == nil || slices.Contains(s.aws.calls, "CreateAccessKey ann") {
		t.Errorf("%v, %v", err, s.aws.calls)
	}
	s.create.Seal = item(1) // a key, not a seal
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err == nil || err.Code != ipc.CodeKeychainCorrupt || slices.Contains(s.aws.calls, "CreateAccessKey ann") {
		t.Errorf("%v, %v", err, s.aws.calls)
	}
}

// TestCreateKeyUnknown: what AWS has not refused may have made a key.
func TestCreateKeyUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		err   vault.AWSError
		spent bool
	}{
		"refused":     {vault.AWSError{Code: ipc.CodeAWSDenied, Sent: true, Refused: true}, false},
		"unreachable": {vault.AWSError{Code: ipc.CodeAWSUnreachable}, false},
		"cut off":     {vault.AWSError{Code: ipc.CodeAWSSlow, Sent: true}, true},
		"a 500":       {vault.AWSError{Code: ipc.CodeAWSUnavailable, Sent: true}, true},
	} {
		s := newSealing(t)
		s.aws.iam.createErr = &test.err
		_, err := s.run(t, ipc.OpCreateKey, s.create)
		if err == nil || err.Spent != test.spent {
			t.Errorf("%s: %+v", name, err)
		}
		if raw, err := s.run(t, ipc.OpSealedKey, ipc.SealedKeyParams{Sealed: s.sealed}); err != nil || string(raw) != "{}" {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
	}
}

// TestP24SealedFileIsBound: a sealed file of another rotation, or one that was
// changed, does not open.
func TestP24SealedFileIsBound(t *testing.T) {
	s := newSealing(t)
	if _, err := s.run(t, ipc.OpCreateKey, s.create); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.create.Places {
		if err := s.memory.Delete(t.Context(), p.Item); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(s.sealed.File)
	if err != nil {
		t.Fatal(err)
	}
	other := s.store
	other.Rotation = "r2"
	if _, err := s.run(t, ipc.OpStoreKey, other); err == nil {
		t.Error("the file of another rotation was taken")
	}
	other = s.store
	other.AccessKeyID = "AKIAOTHEROTHEROTHER2"
	if _, err := s.run(t, ipc.OpStoreKey, other); err == nil {
		t.Error("the file of another key was taken")
	}
	for _, change := range [][2]string{{newKey, "AKIAOTHEROTHEROTHER2"}, {`"box":"`, `"box":"AAAA`}, {`"nonce":"`, `"nonce":"AAAA`}} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if err := os.WriteFile(s.sealed.File, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		p := s.store
		if strings.HasPrefix(change[1], "AKIA") {
			p.AccessKeyID = change[1]
		}
		if _, err := s.run(t, ipc.OpStoreKey, p); err == nil || bad == string(good) {
			t.Errorf("%s was taken", bad)
		}
	}
	if len(s.memory.Items()) != 2 {
		t.Errorf("the vault has %d items", len(s.memory.Items()))
	}
	if err := os.WriteFile(s.sealed.File, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(t, ipc.OpStoreKey, s.store); err != nil {
		t.Fatal(err)
	}
	s.storedNew(t)
}

func TestSealIsNoKey(t *testing.T) {
	s := newSealing(t)
	before := s.memory.Items()[s.sealed.Seal]
	if _, err := s.run(t, ipc.OpSeal, ipc.SealParams{Seal: s.sealed.Seal}); err != nil || !bytes.Equal(before, s.memory.Items()[s.sealed.Seal]) {
		t.Errorf("sealing twice changed the seal: %v", err)
	}
	raw, err := s.run(t, ipc.OpRecover, ipc.RecoverParams{})
	var found ipc.RecoverResult
	if err != nil || json.Unmarshal(raw, &found) != nil || len(found.Keys) != 1 {
		t.Errorf("recover found %s, %v", raw, err)
	}
	if _, err := s.run(t, ipc.OpDelete, ipc.ItemParams{Item: s.sealed.Seal, Profile: "dev", AccessKeyID: key1}); err != nil || len(s.memory.Items()) != 1 {
		t.Errorf("the seal cannot be deleted: %v", err)
	}
}

func TestKeysAtIAM(t *testing.T) {
	s := newSealing(t)
	s.aws.iam.keys = []ipc.KeyState{{AccessKeyID: key1, Active: true}, {AccessKeyID: newKey}}
	raw, err := s.run(t, ipc.OpListKeys, s.create.IAMParams)
	var states ipc.KeyStates
	if err != nil || json.Unmarshal(raw, &states) != nil || len(states.Keys) != 2 ||
		states.Keys[0].ServiceName != "s3" || states.Keys[1].LastUsedError == nil {
		t.Errorf("%s, %v", raw, err)
	}
	target := ipc.TargetParams{IAMParams: s.create.IAMParams, Target: key1}
	if _, err := s.run(t, ipc.OpSetKeyStatus, ipc.KeyStatusParams{TargetParams: target}); err != nil || s.aws.iam.keys[0].Active {
		t.Errorf("%v, %v", err, s.aws.iam.keys)
	}
	gone := target
	gone.Target = "AKIAOTHEROTHEROTHER2"
	if _, err := s.run(t, ipc.OpSetKeyStatus, ipc.KeyStatusParams{TargetParams: gone}); err == nil || err.Code != ipc.CodeKeyGone {
		t.Errorf("a key that is gone: %v", err)
	}
	if _, err := s.run(t, ipc.OpDeleteKey, target); err != nil || len(s.aws.iam.keys) != 1 {
		t.Errorf("%v, %v", err, s.aws.iam.keys)
	}
	if _, err := s.run(t, ipc.OpDeleteKey, ipc.TargetParams{
		IAMParams: ipc.IAMParams{UserName: "ann", Session: json.RawMessage(`{"Version":1}`)}, Target: key1,
	}); err == nil {
		t.Error("a session that is none was taken")
	}
}

func TestVerifyKey(t *testing.T) {
	denied := &vault.AWSError{Code: ipc.CodeAWSDenied, Sent: true, Refused: true}
	for name, test := range map[string]struct {
		arn            string
		stsErr, iamErr error
		want           ipc.Code
	}{
		"known":            {ann.ARN, nil, nil, ""},
		"IAM forbids":      {ann.ARN, nil, denied, ""},
		"IAM lags":         {ann.ARN, nil, &vault.AWSError{Code: ipc.CodeAWSKeyUnknown, Sent: true, Refused: true}, ipc.CodeAWSKeyUnknown},
		"STS lags":         {ann.ARN, &vault.AWSError{Code: ipc.CodeAWSKeyUnknown, Sent: true, Refused: true}, nil, ipc.CodeAWSKeyUnknown},
		"of somebody else": {"arn:aws:iam::111122223333:user/bob", nil, nil, ipc.CodeKeyInvalid},
	} {
		s := newSealing(t)
		s.aws.idErr, s.aws.iam.userErr = test.stsErr, test.iamErr
		_, err := s.run(t, ipc.OpVerifyKey, ipc.VerifyKeyParams{ItemParams: s.create.ItemParams, ARN: test.arn})
		if test.want == "" && err != nil || test.want != "" && !errors.Is(err, &ipc.Error{Code: test.want}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestF04TornItem: an item that a crash has torn, or that holds something else,
// is neither used nor written over; the caller is told, and gives the key another
// one. The old key's item is as it was.
func TestF04TornItem(t *testing.T) {
	for name, torn := range map[string][]byte{"half": []byte(`{"item":"broker.v1.0`), "nothing": {}, "a probe": []byte("probe 00")} {
		s := newSealing(t)
		before := s.memory.Items()[item(1)]
		s.memory.Plant(item(3), torn)
		raw, err := s.run(t, ipc.OpCreateKey, s.create)
		var created ipc.CreatedKey
		if err != nil || json.Unmarshal(raw, &created) != nil || created.StoreError == nil {
			t.Fatalf("%s: %s, %v", name, raw, err)
		}
		raw, err = s.run(t, ipc.OpStoreKey, s.store)
		var stored ipc.StoredKey
		if err != nil || json.Unmarshal(raw, &stored) != nil || stored.Spoilt == nil || stored.Spoilt.Code != ipc.CodeKeychainCorrupt {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
		if got := s.memory.Items(); !bytes.Equal(got[item(3)], torn) || !bytes.Equal(got[item(1)], before) {
			t.Errorf("%s: an item was written over", name)
		}
		s.store.Places[1].Item, s.create.Places[1].Item = item(4), item(4)
		if raw, err := s.run(t, ipc.OpStoreKey, s.store); err != nil || string(raw) != "{}" {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
		s.storedNew(t)
	}
}
