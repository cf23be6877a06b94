// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

func details() ipc.KeyDetails {
	return ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA, Region: "eu-west-1"}
}

func TestReserve(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		r.write("aws/config", "[profile dev]\nregion = eu-west-3\nmfa_serial = "+annMFA+"\n")
		got := do[ipc.Reservation](r, ipc.OpReserve, ipc.ReserveParams{Profile: "dev", AccessKeyID: annKey})
		if !itemShape.MatchString(got.Item) || got.SerialNumber != annMFA || got.AWS.Region != "eu-west-3" || got.Region != "eu-west-3" {
			t.Errorf("%+v", got)
		}
		if s := got.Store; s.Backend != "file" || s.Dir != r.path("vault") || s.PassphraseFile != "/passphrase" || s.Service != "" {
			t.Errorf("store: %+v", s)
		}
		again := do[ipc.Reservation](r, ipc.OpReserve, ipc.ReserveParams{Profile: "dev", AccessKeyID: annKey})
		if again.Item == got.Item {
			t.Error("one item was given twice")
		}
		// A default is asked, and not kept: it would outrank a later [aws] region.
		if got := do[ipc.Reservation](r, ipc.OpReserve, ipc.ReserveParams{Profile: "new", AccessKeyID: annKey}); got.AWS.Region != "us-east-1" || got.Region != "" {
			t.Errorf("%+v", got)
		}
		for _, bad := range []struct {
			params ipc.ReserveParams
			want   ipc.Code
		}{
			{ipc.ReserveParams{Profile: "", AccessKeyID: annKey}, ipc.CodeUsage},
			{ipc.ReserveParams{Profile: "a\nb", AccessKeyID: annKey}, ipc.CodeUsage},
			{ipc.ReserveParams{Profile: "dev", AccessKeyID: "ASIAANNANNANNANNANN1"}, ipc.CodeKeyInvalid},
			{ipc.ReserveParams{Profile: "dev", AccessKeyID: ""}, ipc.CodeKeyInvalid},
		} {
			wantCode(t, "reserve", refused(r, ipc.OpReserve, bad.params), bad.want)
		}
	})
}

func TestSecretServiceStore(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		r.opts.BusAddress = "unix:path=/run/user/1000/bus"
		r.restart()
		r.write("config", "[vault]\nbackend = secret-service\nkeychain = login\n")
		got := do[ipc.Reservation](r, ipc.OpReserve, ipc.ReserveParams{Profile: "dev", AccessKeyID: annKey}).Store
		if got != (ipc.Store{Backend: "secret-service", Keychain: "login", Service: r.opts.BusAddress}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestAdopt(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		adopt := func(profile, key string, n int, replace bool) ipc.AdoptParams {
			return ipc.AdoptParams{Item: item(n), Profile: profile, AccessKeyID: key, Replace: replace, KeyDetails: details()}
		}
		first := do[ipc.Key](r, ipc.OpAdopt, adopt("dev", annKey, 1, false))
		if first.AccessKeyID != annKey || first.SerialNumber != annMFA || first.AddedAt.IsZero() {
			t.Errorf("%+v", first)
		}
		time.Sleep(time.Hour)
		// The same key again is fine, and keeps its day.
		again := do[ipc.Key](r, ipc.OpAdopt, adopt("dev", annKey, 2, false))
		if !again.AddedAt.Equal(first.AddedAt) || !r.aws.items[item(1)] || r.aws.items[item(2)] {
			t.Errorf("%+v, deleted %v", again, r.aws.items)
		}
		err := refused(r, ipc.OpAdopt, adopt("dev", bobKey, 3, false))
		if err.Code != ipc.CodeKeyExists || !strings.Contains(err.Hint, "--replace") || !strings.Contains(err.Message, annKey) {
			t.Errorf("%+v", err)
		}
		wantCode(t, "an item of another profile", refused(r, ipc.OpAdopt, adopt("ops", annKey, 2, false)), ipc.CodeUsage)
		wantCode(t, "an item of another name", refused(r, ipc.OpAdopt, ipc.AdoptParams{Item: "../x", Profile: "dev", AccessKeyID: annKey}), ipc.CodeUsage)

		r.prime("dev")
		replaced := do[ipc.Key](r, ipc.OpAdopt, adopt("dev", bobKey, 3, true))
		if replaced.AccessKeyID != bobKey || !r.aws.items[item(2)] {
			t.Errorf("%+v, deleted %v", replaced, r.aws.items)
		}
		if s := r.status(); len(s.Sessions) != 0 {
			t.Errorf("sessions of the replaced key: %+v", s.Sessions)
		}
		if keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys; len(keys) != 1 || keys[0].AccessKeyID != bobKey {
			t.Errorf("%+v", keys)
		}
	})
}

// TestOneKeyUnderTwoProfiles: the sessions are shared, and stay when one of
// the two goes.
func TestOneKeyUnderTwoProfiles(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("tokyo", annKey, details())
		first := r.prime("dev")
		if got := r.helper("tokyo").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("not shared")
		}
		do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"})
		if got := r.helper("tokyo").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("gone with the other profile")
		}
	})
}

// TestStoredAgainUnverified: what was known of the key stays known, and its
// session is served while AWS is away.
func TestStoredAgainUnverified(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		first := r.prime("dev")
		r.aws.failAlways("GetCallerIdentity", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "away"})
		r.aws.failAlways("Reach", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "away"})
		r.add("dev", annKey, ipc.KeyDetails{SerialNumber: annMFA})
		if got := r.helper("dev").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("another session")
		}
	})
}

// TestReplacedItemIsDeletedLater: the keychain is locked when the old item is
// to go. The new key counts at once, the old item goes when it can.
func TestReplacedItemIsDeletedLater(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		old := r.index.state.Keys["dev"].Item
		r.aws.failAlways("Delete", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "locked"})
		r.add("dev", bobKey, details())
		r.restart()
		if d := r.index.doomed(); len(d) != 1 || d[0].Item != old {
			t.Fatalf("doomed: %+v", d)
		}
		r.aws.failAlways("Delete", nil)
		r.deleteDoomed(t.Context())
		if !r.aws.items[old] || len(r.index.doomed()) != 0 || r.status().Keys[0].AccessKeyID != bobKey {
			t.Errorf("deleted %v, doomed %v", r.aws.items, r.index.doomed())
		}
	})
}

func TestRemove(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		wantCode(t, "unknown", refused(r, ipc.OpRemove, ipc.RemoveParams{Profile: "nobody"}), ipc.CodeNoKey)
		// The store did nothing: the key stays, after a restart as well.
		r.aws.failNext("Delete", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "locked"})
		wantCode(t, "locked", refused(r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"}), ipc.CodeKeychainLocked)
		if d := r.index.doomed(); len(d) != 0 || len(r.status().Keys) != 1 {
			t.Fatalf("doomed %v, keys %v", d, r.status().Keys)
		}
		// Nobody knows what the store did: it is finished later.
		r.aws.failNext("Delete", &ipc.Error{Code: ipc.CodeKeychainTimeout, Message: "no answer"})
		wantCode(t, "no answer", refused(r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"}), ipc.CodeKeychainTimeout)
		if len(r.status().Keys) != 1 {
			t.Error("a key that may be there is not listed")
		}
		r.restart()
		r.deleteDoomed(t.Context())
		if len(r.status().Keys) != 0 {
			t.Error("the removal was not finished")
		}
		if want := []bool{false, false, true}; !slices.Equal(r.aws.silent, want) {
			t.Errorf("deleted silently: %t, want %t", r.aws.silent, want)
		}
		wantCode(t, "mint", waitErr(r.helper("dev")), ipc.CodeNoKey)
	})
}

// TestRemoveEndsTheFlight: nobody is asked for a code of a key that is gone.
func TestRemoveEndsTheFlight(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		if got := do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"}); got.AccessKeyID != annKey {
			t.Errorf("%+v", got)
		}
		wantCode(t, "the waiter", waitErr(c), ipc.CodeNoKey)
		if s := r.status(); len(s.Pending)+len(s.Sessions)+len(s.Keys) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestKeyMovesDuringAFlight: while a code is waited for, the key goes from the
// profile that began the flight, or into another item. Those who still have it
// get their session, made with the item that is there.
func TestKeyMovesDuringAFlight(t *testing.T) {
	for name, move := range map[string]func(r *rig){
		"removed here": func(r *rig) { do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "tokyo"}) },
		"stored again": func(r *rig) { r.add("tokyo", annKey, details()) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				r.add("tokyo", annKey, details())
				r.helper("tokyo")
				synctest.Wait()
				other := r.helper("dev")
				synctest.Wait()
				move(r)
				if m := r.mfa(r.aws.code(annMFA, 0)); m.code() != "" {
					t.Fatal(m.err)
				}
				other.document(t)
				if used := r.aws.params[0].Item; r.aws.items[used] {
					t.Errorf("the session was asked for with item %s, which is deleted", used)
				}
			})
		})
	}
}

// TestCodeOfARemovedKeyIsSpent: AWS took the code, and its session is thrown
// away because the key went meanwhile: the code is not sent again.
func TestCodeOfARemovedKeyIsSpent(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.helper("dev")
		synctest.Wait()
		r.aws.takes(5 * time.Second)
		code := r.aws.code(annMFA, 0)
		m := r.mfa(code)
		time.Sleep(time.Second)
		r.aws.takes(0) // of what follows
		do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"})
		wantCode(t, "mfa", waitErr(m), ipc.CodeNoKey)
		if r.aws.calls("GetSessionToken") != 1 || r.claim(r.device(annMFA), code) {
			t.Error("the code may be sent again")
		}
		if n := len(r.status().Sessions); n != 0 {
			t.Errorf("%d sessions of a key that is gone", n)
		}
	})
}

func TestNotInitialised(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		r.write("config", "")
		if err := os.RemoveAll(r.path("state")); err != nil {
			t.Fatal(err)
		}
		r.restart()
		for op, params := range map[string]any{
			ipc.OpCredentials: ipc.CredentialsParams{Profile: "dev"}, ipc.OpList: nil, ipc.OpServes: nil,
			ipc.OpReserve: ipc.ReserveParams{}, ipc.OpAdopt: ipc.AdoptParams{}, ipc.OpRemove: ipc.RemoveParams{}, ipc.OpRestore: ipc.RestoreParams{},
		} {
			if err := refused(r, op, params); err.Code != ipc.CodeNotInitialised || err.Hint != "choose a store for keys: broker init" {
				t.Errorf("%s: %+v", op, err)
			}
		}
		if do[ipc.Hello](r, ipc.OpHello, nil).Version != "1.2.3" || len(r.status().Problems) != 1 {
			t.Errorf("status: %+v", r.status())
		}
		// Then init writes the config.
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n")
		if len(do[ipc.KeyList](r, ipc.OpList, nil).Keys) != 0 || len(r.status().Problems) != 0 {
			t.Errorf("status: %+v", r.status())
		}
	})
}

// TestIndexLost: whatever happened to state.json, no key is invented or
// forgotten silently, and restore brings them back.
func TestIndexLost(t *testing.T) {
	for name, ruin := range map[string]func(r *rig){
		"deleted": func(r *rig) { r.rm("state/state.json") },
		"both deleted": func(r *rig) {
			r.rm("state/state.json")
			r.rm("state/state.json.1")
		},
		"garbled":        func(r *rig) { r.write("state/state.json", `{"v":1,"keys":{"dev":`) },
		"empty":          func(r *rig) { r.write("state/state.json", "") },
		"another host":   func(r *rig) { r.edit("state/state.json", `"laptop"`, `"other"`) },
		"another format": func(r *rig) { r.edit("state/state.json", `"v":1`, `"v":2`) },
		"an older copy": func(r *rig) {
			r.edit("state/state.json", `"generation":2`, `"generation":1`)
			r.edit("state/state.json.1", `"generation":1`, `"generation":2`)
		},
		"a bad item": func(r *rig) { r.edit("state/state.json", "broker.v1.", "/etc/passwd") },
		"a link":     func(r *rig) { r.rm("state/state.json"); _ = os.Symlink("state.json.1", r.path("state/state.json")) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				r.tasks.close()
				ruin(r)
				r.restart()
				for op, params := range map[string]any{
					ipc.OpCredentials: ipc.CredentialsParams{Profile: "dev"}, ipc.OpList: nil, ipc.OpServes: nil,
					ipc.OpReserve: ipc.ReserveParams{Profile: "dev", AccessKeyID: annKey},
					ipc.OpAdopt:   ipc.AdoptParams{Item: item(9), Profile: "dev", AccessKeyID: annKey}, ipc.OpRemove: ipc.RemoveParams{Profile: "dev"},
				} {
					if err := refused(r, op, params); err.Code != ipc.CodeIndexLost || err.Hint != "rebuild it from the store: broker recover" {
						t.Errorf("%s: %+v", op, err)
					}
				}
				if s := r.status(); len(s.Problems) != 1 || s.Problems[0].Code != ipc.CodeIndexLost {
					t.Errorf("problems: %+v", s.Problems)
				}
				if name == "a link" {
					r.rm("state/state.json") // restore does not write through it either
				}
				keys := do[ipc.KeyList](r, ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{
					{Item: item(7), Profile: "dev", AccessKeyID: annKey, KeyDetails: details()},
					{Item: item(8), Profile: "ops", AccessKeyID: bobKey, KeyDetails: ipc.KeyDetails{NoMFA: true}},
				}}).Keys
				if len(keys) != 2 || keys[0].Profile != "dev" || !keys[1].NoMFA {
					t.Errorf("%+v", keys)
				}
				r.restart()
				r.prime("dev")
			})
		})
	}
}

func (r *rig) rm(name string) {
	r.t.Helper()
	if err := os.Remove(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) edit(name, old, now string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		r.t.Fatalf("%s has no %s: %s", name, old, data)
	}
	r.write(name, strings.Replace(string(data), old, now, 1))
}

func TestRestoreRefusesTwoOfOneProfile(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		one := ipc.AdoptParams{Item: item(7), Profile: "dev", AccessKeyID: annKey}
		wantCode(t, "twice", refused(r, ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{one, one}}), ipc.CodeUsage)
		// What stays keeps its day, what goes takes its sessions along.
		added := r.status().Keys[0].AddedAt
		r.prime("dev")
		time.Sleep(time.Hour)
		got := do[ipc.KeyList](r, ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{one}}).Keys
		if !got[0].AddedAt.Equal(added) || len(r.status().Sessions) != 1 {
			t.Errorf("%+v", got)
		}
		wantCode(t, "no key at all", refused(r, ipc.OpRestore, ipc.RestoreParams{}), ipc.CodeRefused)
		if s := r.status(); len(s.Sessions) != 1 || len(s.Keys) != 1 {
			t.Errorf("%+v", s)
		}
		do[ipc.KeyList](r, ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{{Item: item(8), Profile: "ops", AccessKeyID: bobKey}}})
		if s := r.status(); len(s.Sessions) != 0 || len(s.Keys) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestIndexHeals: state.json taken from a running daemon comes back.
func TestIndexHeals(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.rm("state/state.json")
		if err := r.index.heal(); err != nil {
			t.Fatal(err)
		}
		if err := r.index.heal(); err != nil { // nothing to do
			t.Fatal(err)
		}
		r.restart()
		if len(r.status().Keys) != 1 {
			t.Error("the key is gone")
		}
	})
}

// TestIndexIsOnTheDiskFirst: a change that cannot be written is no change.
func TestIndexIsOnTheDiskFirst(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.rm("state/state.json")
		if err := os.Mkdir(r.path("state/state.json"), 0o700); err != nil {
			t.Fatal(err)
		}
		err := refused(r, ipc.OpAdopt, ipc.AdoptParams{Item: item(9), Profile: "dev", AccessKeyID: bobKey, Replace: true})
		wantCode(t, "adopt", err, ipc.CodeStorage)
		if k := r.status().Keys[0]; k.AccessKeyID != annKey {
			t.Errorf("in memory: %+v", k)
		}
		if r.aws.calls("Delete") != 0 {
			t.Error("the old item was deleted")
		}
	})
}

// TestIndexStaysReadable: what would not be read again is not written, and a key
// can be removed when the index is full.
func TestIndexStaysReadable(t *testing.T) {
	r := ready(t)
	defer func() { r.tasks.close() }()
	grow := func(size int) error {
		return r.index.update(func(s *state) error {
			s.Keys["big"] = record{AccessKeyID: bobKey, Item: item(8), ARN: strings.Repeat("x", size)}
			return nil
		})
	}
	wantCode(t, "too long", grow(ipc.MaxState-reserve), ipc.CodeRefused)
	if keys, err := r.index.snapshot(); err != nil || len(keys) != 1 {
		t.Errorf("in memory: %v, %v", keys, err)
	}
	if s, err := r.index.load(); err != nil || len(s.Keys) != 1 {
		t.Errorf("on the disk: %v, %v", s, err)
	}
	if err := grow(ipc.MaxState - reserve - 2000); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a bit more", grow(ipc.MaxState-reserve), ipc.CodeRefused)
	for range 30 { // condemned again and again: more than is free
		if err := r.index.update(func(s *state) error {
			s.Doomed = append(s.Doomed, doomed{Profile: "big", AccessKeyID: bobKey, Item: item(8)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.index.heal(); err != nil {
		t.Error(err)
	}
	r.rm("state/state.json")
	if err := r.index.heal(); err != nil {
		t.Error(err)
	}
	if s, err := r.index.load(); err != nil || len(s.Doomed) != 30 {
		t.Errorf("what was written is not read: %v", err)
	}
	do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"})
	if err := r.index.update(func(s *state) error { s.spare(item(8)); delete(s.Keys, "big"); return nil }); err != nil {
		t.Error(err)
	}
}

// TestGenerations: the one before lies beside the index.
func TestGenerations(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		read := func(name string) *state {
			data, err := os.ReadFile(r.path(name))
			if err != nil {
				t.Fatal(err)
			}
			s, err := parseState(data)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		r.add("ops", bobKey, details())
		now, before := read("state/state.json"), read("state/state.json.1")
		if now.Generation != before.Generation+1 || len(now.Keys) != 2 || len(before.Keys) != 1 || now.Host != "laptop" {
			t.Errorf("%+v, %+v", now, before)
		}
		info, err := os.Stat(r.path("state/state.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

// FuzzParseState: what is accepted prints to something that is accepted as
// the same.
func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"v":1,"host":"h","generation":1,"keys":{}}`))
	f.Add([]byte(`{"v":1,"host":"h","generation":3,"keys":{"dev":{"accessKeyId":"AKIAANNANNANNANNANN1","item":"broker.v1.00000000000000000000000000000001","addedAt":"2026-01-02T03:04:05Z"}},"doomed":[{"profile":"x","accessKeyId":"","item":"broker.v1.00000000000000000000000000000002"}]}`))
	f.Add([]byte(`{"v":1,"host":"h","generation":1,"keys":{"../x":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data)
		if err != nil {
			return
		}
		for profile, r := range s.Keys {
			if !itemShape.MatchString(r.Item) || !keyShape.MatchString(r.AccessKeyID) || profile == "" {
				t.Errorf("accepted %q: %+v", profile, r)
			}
		}
		printed, err := json.Marshal(s)
		if err != nil {
			return // a time that JSON reads and cannot show: nothing broker writes
		}
		again, err := parseState(printed)
		if err != nil {
			t.Fatalf("%s: %v", printed, err)
		}
		if twice, _ := json.Marshal(again); string(twice) != string(printed) {
			t.Errorf("%s became %s", printed, twice)
		}
	})
}
