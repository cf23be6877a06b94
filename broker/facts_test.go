// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

const days = 24 * time.Hour

func (r *rig) key(profile string) ipc.Key {
	r.t.Helper()
	for _, k := range do[ipc.KeyList](r, ipc.OpList, nil).Keys {
		if k.Profile == profile {
			return k
		}
	}
	r.t.Fatalf("profile %s has no key", profile)
	return ipc.Key{}
}

// settle lets what follows a session happen.
func settle() {
	time.Sleep(2 * factsDelay)
	synctest.Wait()
}

// TestFactsFollowASession: nobody is asked for a code so that IAM can be, and
// what it tells outlives the daemon.
func TestFactsFollowASession(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		used := r.clock.Now().Add(2 * time.Second).UTC()
		r.aws.mu.Lock()
		r.aws.iam.keys[0].LastUsed, r.aws.iam.keys[0].ServiceName, r.aws.iam.keys[0].Region = &used, "s3", "eu-west-1"
		r.aws.mu.Unlock()
		other := ipc.KeyState{AccessKeyID: bobKey, CreateDate: r.clock.Now().Add(-400 * days)}
		r.aws.setKeys(append(r.aws.iamKeys(), other))
		r.learnFacts(t.Context())
		if k := r.key("dev"); k.CreateDate != nil || k.LearntAt != nil || k.FactsError != nil || k.Level != "" || r.aws.calls("ListKeys") != 0 || r.status().Prompts != 0 {
			t.Fatalf("before a session: %+v, %d calls", k, r.aws.calls("ListKeys"))
		}
		r.prime("dev")
		settle()
		for range 2 {
			k := r.key("dev")
			if k.CreateDate == nil || !k.CreateDate.Equal(r.aws.iamKeys()[0].CreateDate) || k.Active == nil || !*k.Active || k.LearntAt == nil {
				t.Fatalf("after a session: %+v", k)
			}
			if k.LastUsed == nil || !k.LastUsed.Equal(used) || k.LastUsedService != "s3" || k.LastUsedRegion != "eu-west-1" {
				t.Errorf("last use: %+v", k.KeyFacts)
			}
			if len(k.Others) != 1 || k.Others[0].AccessKeyID != bobKey || k.Others[0].Active {
				t.Errorf("the other slot: %+v", k.Others)
			}
			if k.Level != ipc.LevelUrgent || k.DueAt == nil || !k.DueAt.Equal(k.CreateDate.Add(90*days)) || !k.Due() {
				t.Errorf("level %q, due at %v", k.Level, k.DueAt)
			}
			r.restart()
		}
		if r.aws.calls("ListKeys") != 1 || !r.aws.iamSigned()[0] {
			t.Errorf("%d calls, signed with a session: %v", r.aws.calls("ListKeys"), r.aws.iamSigned())
		}
	})
}

// TestFactsAreRefreshedDaily, with what is there; a day later IAM is asked again.
func TestFactsAreRefreshedDaily(t *testing.T) {
	noMFA := func(t *testing.T) *rig {
		r := newRig(t)
		r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		r.aws.setKeys([]ipc.KeyState{{AccessKeyID: annKey, Active: true, CreateDate: r.clock.Now()}})
		return r
	}
	bubble(t, noMFA, func(t *testing.T, r *rig) {
		for day := range 3 {
			for range 5 {
				r.learnFacts(t.Context())
				time.Sleep(time.Minute)
			}
			if got := r.aws.calls("ListKeys"); got != day+1 {
				t.Fatalf("day %d: %d calls", day, got)
			}
			time.Sleep(24 * time.Hour)
		}
		if r.aws.iamSigned()[0] {
			t.Error("a user without MFA signs with the key itself")
		}
		r.aws.failNext("ListKeys", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "no route"})
		before := *r.key("dev").LearntAt
		r.learnFacts(t.Context())
		if k := r.key("dev"); k.FactsError == nil || !k.LearntAt.Equal(before) || k.CreateDate == nil {
			t.Errorf("out of reach: %+v", k.KeyFacts)
		}
		calls := r.aws.calls("ListKeys")
		r.learnFacts(t.Context())
		time.Sleep(factsRetry)
		r.learnFacts(t.Context())
		if k := r.key("dev"); k.FactsError != nil || !k.LearntAt.After(before) || r.aws.calls("ListKeys") != calls+1 {
			t.Errorf("an hour later: %+v, %d calls", k.KeyFacts, r.aws.calls("ListKeys")-calls)
		}
	})
}

// TestOwnUse: a session of ours is a use that IAM does not know of yet, and a
// question that the key itself signed is none.
func TestOwnUse(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		begin := r.clock.Now()
		r.prime("dev")
		settle()
		k := r.key("dev")
		if k.LastUsed == nil || k.LastUsed.Sub(begin).Abs() > time.Minute || k.LastUsedService != "sts" || k.Level == ipc.LevelUnused {
			t.Errorf("%+v", k.KeyFacts)
		}
	})
	alone := func(t *testing.T) *rig {
		r := newRig(t)
		r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		last := r.clock.Now().Add(-10 * days)
		r.aws.setKeys([]ipc.KeyState{{AccessKeyID: annKey, Active: true, CreateDate: r.clock.Now().Add(-80 * days), LastUsed: &last, ServiceName: "s3"}})
		return r
	}
	bubble(t, alone, func(t *testing.T, r *rig) {
		for day := range 50 {
			asked := r.clock.Now().Add(10 * time.Minute) // as IAM rounds it
			if got := r.key("dev").Level == ipc.LevelUnused; got {
				t.Fatalf("unused on day %d", day)
			}
			r.learnFacts(t.Context())
			r.aws.mu.Lock()
			r.aws.iam.keys[0].LastUsed, r.aws.iam.keys[0].ServiceName = &asked, "iam"
			r.aws.mu.Unlock()
			time.Sleep(24*time.Hour - time.Second*time.Duration(day%2))
			time.Sleep(time.Second)
		}
		if k := r.key("dev"); k.Level != ipc.LevelUnused || k.LastUsedService != "s3" {
			t.Errorf("%+v", k.KeyFacts)
		}
		now := r.clock.Now().Add(-5 * time.Hour)
		r.aws.mu.Lock()
		r.aws.iam.keys[0].LastUsed, r.aws.iam.keys[0].ServiceName = &now, "iam"
		r.aws.mu.Unlock()
		r.learnFacts(t.Context())
		if k := r.key("dev"); k.Level == ipc.LevelUnused {
			t.Errorf("somebody else's call of IAM: %+v", k.KeyFacts)
		}
	})
}

// TestFactsThatIAMKeeps: the age is that since add, and says why.
func TestFactsThatIAMKeeps(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.aws.failAlways("ListKeys", &ipc.Error{Code: ipc.CodeAWSDenied, Message: "AccessDenied: not authorized to perform: iam:ListAccessKeys"})
		r.prime("dev")
		settle()
		k := r.key("dev")
		if at, certain := k.Born(); certain || !at.Equal(k.AddedAt) {
			t.Errorf("it is since %v, certain: %v", at, certain)
		}
		if k.FactsError == nil || !strings.Contains(k.FactsError.Message, "iam:ListAccessKeys") || k.DueAt == nil || !k.DueAt.Equal(k.AddedAt.Add(90*days)) {
			t.Errorf("%+v", k.KeyFacts)
		}
		r.aws.setKeys(nil)
		r.aws.failNext("ListKeys")
		r.outdate(annKey)
		r.learnFacts(t.Context())
		if k := r.key("dev"); k.FactsError == nil || k.FactsError.Code != ipc.CodeKeyGone {
			t.Errorf("a key that IAM does not have: %+v", k.FactsError)
		}
	})
}

// TestFactsAfterARotation: the new key is young at once, and in the end the old
// one is in no list.
func TestFactsAfterARotation(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		settle()
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil {
			t.Fatal(err)
		}
		k := r.key("dev")
		if k.AccessKeyID != rot.New || k.CreateDate == nil || r.clock.Now().Sub(*k.CreateDate) > time.Hour || k.Level != "" || len(k.Others) != 0 {
			t.Fatalf("after the switch: %+v", k)
		}
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Undo: true}); err != nil {
			t.Fatal(err)
		}
		if k := r.key("dev"); k.AccessKeyID != annKey || k.Level != ipc.LevelUrgent {
			t.Errorf("after --undo: %+v", k)
		}
		r.learnFacts(t.Context())
		if k := r.key("dev"); len(k.Others) != 0 || k.Level != ipc.LevelUrgent {
			t.Errorf("once learnt anew: %+v", k)
		}
	})
}

// TestRefuseAfter: no session is made with a key that is too old. What is cached
// goes on, and so does rotation.
func TestRefuseAfter(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.write("aws/config", "[profile dev]\n[profile role1]\nrole_arn = arn:aws:iam::111122223333:role/one\nsource_profile = dev\n")
		r.prime("dev")
		settle()
		time.Sleep(time.Minute)
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n[rotation]\nmax_age = off\nrefuse_after = 99d\n")
		time.Sleep(3 * time.Second)
		if k := r.key("dev"); k.Level != ipc.LevelWarn || !k.DueAt.Equal(k.CreateDate.Add(99*days)) {
			t.Errorf("whoever is refused was told before: %+v", k.KeyFacts)
		}
		r.helper("dev").document(t)
		r.helper("role1").document(t)
		if got := r.aws.calls("GetSessionToken"); got != 1 {
			t.Fatalf("%d sessions", got)
		}
		do[ipc.LockResult](r, ipc.OpLock, ipc.LockParams{})
		for what, c := range map[string]*client{
			"dev": r.helper("dev"), "role1": r.helper("role1"),
			"mfa": r.start(ipc.OpMFA, ipc.MFAParams{Profile: "dev", Code: "123456"}, ipc.AskNowhere),
		} {
			<-c.done
			wantCode(t, what, c.err, ipc.CodeKeyTooOld)
			if e := coded(c.err); e.Hint != "replace it: broker rotate dev" || !strings.Contains(e.Message, "100 days old") {
				t.Errorf("%s: %q, hint %q", what, e.Message, e.Hint)
			}
		}
		if got := r.aws.calls("GetSessionToken"); got != 1 {
			t.Errorf("%d sessions", got)
		}
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		r.helper("dev").document(t)
	})
}

// TestStateWithFactsOfLater: fields that nobody here knows are no reason to lose
// the index, and one without facts is read as ever.
func TestStateWithFactsOfLater(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		settle()
		data, err := os.ReadFile(r.opts.Places.StateFile)
		if err != nil {
			t.Fatal(err)
		}
		var s map[string]any
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		facts := s["facts"].(map[string]any)[annKey].(map[string]any)
		facts["mood"], s["weather"] = "bright", map[string]any{"rain": true}
		data, _ = json.Marshal(s)
		if err := os.WriteFile(r.opts.Places.StateFile, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r.restart()
		if k := r.key("dev"); k.CreateDate == nil {
			t.Errorf("%+v", k)
		}
		delete(s, "facts")
		data, _ = json.Marshal(s)
		if err := os.WriteFile(r.opts.Places.StateFile, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r.restart()
		if k := r.key("dev"); k.CreateDate != nil || k.AccessKeyID != annKey {
			t.Errorf("%+v", k)
		}
	})
}

// TestMaxAgeOfTheKey: the strictest of the profiles that have it, broker's own
// config before the AWS file.
func TestMaxAgeOfTheKey(t *testing.T) {
	for _, tt := range []struct {
		own, aws string
		want     time.Duration // 0: never
	}{
		{"", "[profile dev]\n", 90 * days},
		{"", "[profile dev]\nbroker_max_age = 30d\n", 30 * days},
		{"[profile dev]\nmax_age = 40d\n", "[profile dev]\nbroker_max_age = 30d\n", 40 * days},
		{"[profile dev]\nmax_age = off\n", "[profile dev]\n", 90 * days}, // the other profile says nothing
		{"[profile dev]\nmax_age = 40d\n[profile two]\nmax_age = 20d\n", "[profile dev]\n", 20 * days},
		{"[rotation]\nmax_age = off\n", "[profile dev]\n", 0},
		{"[rotation]\nmax_age = off\nrefuse_after = 50d\n", "[profile dev]\n", 50 * days},
	} {
		bubble(t, ready, func(t *testing.T, r *rig) {
			r.add("two", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
			r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n"+tt.own)
			r.write("aws/config", tt.aws)
			r.restart()
			k := r.key("dev")
			if tt.want == 0 && k.DueAt != nil || tt.want != 0 && (k.DueAt == nil || !k.DueAt.Equal(k.AddedAt.Add(tt.want))) {
				t.Errorf("%q, %q: due at %v, added at %v", tt.own, tt.aws, k.DueAt, k.AddedAt)
			}
		})
	}
}

// TestNoOtherKeyAfterUndo: the key that --undo deletes is no second key of the
// user, though broker has learnt of it.
func TestNoOtherKeyAfterUndo(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		settle()
		r.aws.failAlways("ListKeys", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "nobody is there"}) // nothing is learnt anew
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Undo: true}); err != nil {
			t.Fatal(err)
		}
		if k := r.key("dev"); k.AccessKeyID != annKey || len(k.Others) != 0 {
			t.Errorf("%+v", k)
		}
	})
}
