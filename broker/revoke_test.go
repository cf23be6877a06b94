// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// fakePolicy is the one inline policy that broker writes.
type fakePolicy struct {
	before     *time.Time
	quarantine []string
}

func (f *fakeAWS) DenySessions(ctx context.Context, p ipc.DenyParams) error {
	if err := f.iamCall(ctx, "DenySessions", p.UserName, p.IAMParams); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.policy.before = &p.Before
	return nil
}

func (f *fakeAWS) AllowSessions(ctx context.Context, p ipc.IAMParams) error {
	if err := f.iamCall(ctx, "AllowSessions", p.UserName, p); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.policy.before = nil
	return nil
}

func (f *fakeAWS) Quarantines(ctx context.Context, p ipc.IAMParams) ([]string, error) {
	if err := f.iamCall(ctx, "Quarantines", p.UserName, p); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.policy.quarantine, nil
}

// revoke runs the operation.
func (r *rig) revoke(p ipc.RevokeParams) (ipc.Revoked, error) {
	r.t.Helper()
	return withCodes[ipc.Revoked](r, ipc.OpRevoke, p)
}

// revokedKey is revoke of what must work, of one key.
func (r *rig) revokedKey(p ipc.RevokeParams) ipc.RevokedKey {
	r.t.Helper()
	out, err := r.revoke(p)
	if err != nil || len(out.Keys) == 0 || out.Problem != nil {
		r.t.Fatalf("%+v, %v", out, err)
	}
	return out.Keys[0]
}

// since returns the calls that AWS has seen since a mark, IAM's and STS's.
func (f *fakeAWS) since(mark int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []string
	for _, line := range f.log[mark:] {
		if action, _, _ := strings.Cut(line, " "); action != "Reach" {
			calls = append(calls, action)
		}
	}
	return calls
}

func (f *fakeAWS) mark() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.log)
}

func (f *fakeAWS) active(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.iam.keys, func(k ipc.KeyState) bool { return k.AccessKeyID == id && k.Active })
}

// TestRevoke: the session that is there signs, nothing is minted any more, and
// it is taken back with the same session: no code in all but the first.
func TestRevoke(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		r.prime("dev")
		role := r.helper("one").document(t)
		mark := r.aws.mark()
		got := r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		if !got.Inactive || got.Problem != nil || got.RevokedAt == nil || r.aws.active(annKey) {
			t.Fatalf("%+v", got)
		}
		if len(got.Sessions) != 2 || got.Sessions[0].AccessKeyID != role.AccessKeyID || got.Sessions[0].Kind != "role" || got.Sessions[1].Kind != "session" {
			t.Errorf("sessions that stay alive: %+v", got.Sessions)
		}
		if calls := r.aws.since(mark); !slices.Equal(calls, []string{"SetKeyStatus", "Quarantines"}) || slices.Contains(r.aws.iamSigned(), false) {
			t.Errorf("AWS saw %v, signed by a session: %v", calls, r.aws.iamSigned())
		}
		mark = r.aws.mark()
		for _, profile := range []string{"dev", "one"} {
			h := r.helper(profile)
			wantCode(t, profile, h.wait(), ipc.CodeKeyInactive)
			if hint := coded(h.err).Hint; !strings.Contains(hint, "broker revoke dev --undo") || !strings.Contains(hint, "broker add dev --replace") {
				t.Errorf("hint %q", hint)
			}
		}
		wantCode(t, "mfa", refused(r, ipc.OpMFA, ipc.MFAParams{Profile: "dev", Code: "123456"}), ipc.CodeKeyInactive)
		wantCode(t, "rotate", refused(r, ipc.OpRotate, ipc.RotateParams{Profile: "dev"}), ipc.CodeKeyInactive)
		if calls := r.aws.since(mark); len(calls) != 0 {
			t.Errorf("a revoked key, and yet %v", calls)
		}
		if s := r.status(); len(s.Sessions) != 0 || s.Keys[0].Revoked == nil || !s.Keys[0].Revoked.Inactive {
			t.Errorf("status: %+v", s)
		}
		back := r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true})
		if back.RevokedAt != nil || back.Problem != nil || !r.aws.active(annKey) || r.aws.calls("GetSessionToken") != 1 {
			t.Errorf("%+v, %d sessions were made", back, r.aws.calls("GetSessionToken"))
		}
		if s := r.status(); s.Keys[0].Revoked != nil {
			t.Errorf("status: %+v", s.Keys)
		}
		time.Sleep(time.Minute) // for a code that was not used
		r.prime("dev")
		if again := r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true}); again.RevokedAt != nil || again.Problem != nil {
			t.Errorf("undone twice: %+v", again)
		}
	})
}

// TestRevokeDeny: the deny is the last that its session signs; then only
// somebody else can take all of it back.
func TestRevokeDeny(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.add("boss", bobKey, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::" + account + ":user/boss", UserName: "boss", NoMFA: true})
		r.prime("dev")
		r.aws.skew.Store(int64(time.Hour))
		mark := r.aws.mark()
		got := r.revokedKey(ipc.RevokeParams{Profile: "dev", DenySessions: true})
		want := r.clock.Now().Add(time.Hour + denySlack).UTC().Truncate(time.Second)
		if got.DeniedBefore == nil || !got.DeniedBefore.Equal(want) || r.aws.policy.before == nil || !r.aws.policy.before.Equal(want) {
			t.Errorf("denied before %v, want %v by AWS's clock", got.DeniedBefore, want)
		}
		if calls := r.aws.since(mark); !slices.Equal(calls, []string{"SetKeyStatus", "Quarantines", "DenySessions"}) {
			t.Errorf("AWS saw %v", calls)
		}
		mark = r.aws.mark()
		again := r.revokedKey(ipc.RevokeParams{Profile: "dev", DenySessions: true})
		if !again.Inactive || again.DeniedBefore == nil || again.Problem != nil || again.DenyProblem != nil || !slices.Equal(r.aws.since(mark), []string{"GetCallerIdentity"}) {
			t.Errorf("twice: %+v; AWS saw %v", again, r.aws.since(mark))
		}
		stuck := r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true})
		if stuck.RevokedAt == nil || stuck.Problem == nil || stuck.Problem.Code != ipc.CodeKeyInactive || !strings.Contains(stuck.Problem.Hint, "--using PROFILE") {
			t.Errorf("undone by nobody: %+v", stuck)
		}
		mark = r.aws.mark()
		back := r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true, Using: "boss"})
		if back.RevokedAt != nil || back.Problem != nil || r.aws.policy.before != nil || !r.aws.active(annKey) {
			t.Errorf("%+v", back)
		}
		if calls := r.aws.since(mark); !slices.Equal(calls, []string{"GetCallerIdentity", "SetKeyStatus", "AllowSessions"}) {
			t.Errorf("AWS saw %v", calls)
		}
	})
}

// TestRevokeWithoutMFA: the key signs itself, and its own end last.
func TestRevokeWithoutMFA(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		r.helper("dev").document(t)
		mark := r.aws.mark()
		got := r.revokedKey(ipc.RevokeParams{Profile: "dev", DenySessions: true})
		if calls := r.aws.since(mark); !got.Inactive || got.DeniedBefore == nil || !slices.Equal(calls, []string{"GetCallerIdentity", "Quarantines", "DenySessions", "SetKeyStatus"}) {
			t.Errorf("%+v; AWS saw %v", got, calls)
		}
	})
}

// TestRevokeCostsACode: with no session at hand a code is asked for, but not for
// a key that AWS does not take; and what is done here does not wait for it.
func TestRevokeCostsACode(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		waiting := r.helper("dev")
		synctest.Wait()
		c := r.start(ipc.OpRevoke, ipc.RevokeParams{Profile: "dev"}, ipc.AskTerminal)
		<-c.prompts
		if err := waiting.wait(); !strings.Contains(err.Error(), "broker revoke dropped the session") {
			t.Errorf("a caller that waited for a code: %v", err)
		}
		wantCode(t, "meanwhile", r.helper("dev").wait(), ipc.CodeKeyInactive)
		c.answers <- "" // cancelled
		<-c.done
		var out ipc.Revoked
		if c.err != nil || json.Unmarshal(c.result, &out) != nil || out.Keys[0].Inactive || out.Keys[0].Problem == nil || out.Keys[0].Problem.Code != ipc.CodeMFACancelled {
			t.Fatalf("%s, %v", c.result, c.err)
		}
		if !strings.Contains(out.Keys[0].Problem.Message, "may work on at AWS") || !strings.HasSuffix(out.Keys[0].Problem.Hint, "broker revoke dev") {
			t.Errorf("%+v", out.Keys[0].Problem)
		}
		time.Sleep(2 * time.Minute)
		if got := r.revokedKey(ipc.RevokeParams{Profile: "dev"}); !got.Inactive || r.aws.active(annKey) || len(got.Sessions) != 0 {
			t.Errorf("%+v", got)
		}
		r.restart()
		if got := r.revokedKey(ipc.RevokeParams{Profile: "dev"}); !got.Inactive || got.Problem != nil || r.aws.calls("GetSessionToken") != 1 {
			t.Errorf("%+v, %d sessions were made", got, r.aws.calls("GetSessionToken"))
		}
		wantCode(t, "after a restart", r.helper("dev").wait(), ipc.CodeKeyInactive)
	})
}

// TestRevokeAll: one of three users is denied, the others are done, each says
// what became of it, and no user costs two codes.
func TestRevokeAll(t *testing.T) {
	const cleo = "AKIACLEOCLEOCLEOCLE1"
	bubble(t, func(t *testing.T) *rig {
		r := aged(t)
		r.add("ops", bobKey, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::" + account + ":user/bob", UserName: "bob", NoMFA: true})
		r.add("web", cleo, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::" + account + ":user/cleo", UserName: "cleo", NoMFA: true})
		r.add("dev2", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
		r.aws.setKeys(append(r.aws.iamKeys(), ipc.KeyState{AccessKeyID: bobKey, Active: true}, ipc.KeyState{AccessKeyID: cleo, Active: true}))
		return r
	}, func(t *testing.T, r *rig) {
		r.aws.failNext("SetKeyStatus", &ipc.Error{Code: ipc.CodeAWSDenied, Message: "make key inactive: UpdateAccessKey: AccessDenied (it needs iam:UpdateAccessKey)"})
		out, err := r.revoke(ipc.RevokeParams{All: true})
		if err != nil || len(out.Keys) != 3 {
			t.Fatalf("%+v, %v", out, err)
		}
		dev, ops, web := out.Keys[0], out.Keys[1], out.Keys[2]
		if !slices.Equal(dev.Profiles, []string{"dev", "dev2"}) || !dev.Inactive || !web.Inactive || r.aws.calls("GetSessionToken") != 1 {
			t.Errorf("%+v %+v", dev, web)
		}
		if ops.Inactive || ops.Problem == nil || ops.Problem.Code != ipc.CodeAWSDenied || !strings.Contains(ops.Problem.Message, "iam:UpdateAccessKey") || !strings.HasSuffix(ops.Problem.Hint, "broker revoke ops --using PROFILE") {
			t.Errorf("%+v", ops)
		}
		for _, profile := range []string{"dev", "dev2", "ops", "web"} {
			wantCode(t, profile, r.helper(profile).wait(), ipc.CodeKeyInactive)
		}
		out, err = r.revoke(ipc.RevokeParams{All: true})
		if err != nil || !out.Keys[1].Inactive || r.aws.active(bobKey) {
			t.Errorf("again: %+v, %v", out, err)
		}
	})
}

// TestRevokeInARotation: both keys go, the rotation stands still, and it goes on
// when that is taken back, or ends when another key takes the place.
func TestRevokeInARotation(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true})
		if err != nil || rot.New == "" {
			t.Fatalf("%+v, %v", rot, err)
		}
		out, err := r.revoke(ipc.RevokeParams{All: true})
		if err != nil || len(out.Keys) != 2 || !out.Keys[0].Inactive || !out.Keys[1].Inactive || r.aws.active(rot.New) || r.aws.active(annKey) {
			t.Fatalf("%+v, %v; IAM has %+v", out, err, r.aws.iamKeys())
		}
		synctest.Wait()
		_, err = r.rotate(ipc.RotateParams{Profile: "dev", Resume: true})
		wantCode(t, "resume", err, ipc.CodeKeyInactive)
		if s := r.status().Rotations; len(s) != 1 || s[0].Waiting != "stuck" && s[0].Waiting != "held" {
			t.Errorf("%+v", s)
		}
		if back := r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true}); back.Problem != nil || !r.aws.active(rot.New) || !r.aws.active(annKey) {
			t.Fatalf("%+v; IAM has %+v", back, r.aws.iamKeys())
		}
		time.Sleep(time.Minute) // for a code that was not used
		if rot, err = r.rotate(ipc.RotateParams{Profile: "dev", Resume: true}); err != nil || rot.State != "disabled" {
			t.Fatalf("%+v, %v", rot, err)
		}
		if out, err = r.revoke(ipc.RevokeParams{Profile: "dev"}); err != nil || len(out.Keys) != 2 || r.aws.active(rot.New) {
			t.Fatalf("%+v, %v", out, err)
		}
		if back := r.revokedKey(ipc.RevokeParams{Profile: "dev", Undo: true}); back.Problem != nil || !r.aws.active(rot.New) || r.aws.active(annKey) {
			t.Errorf("the old key of the rotation was Inactive before: %+v", r.aws.iamKeys())
		}
		if _, err = r.revoke(ipc.RevokeParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		r.add("dev", bobKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		synctest.Wait()
		if left, _ := os.ReadDir(r.rotationDir()); len(left) != 0 || len(r.status().Rotations) != 0 {
			t.Errorf("left: %v, %+v", left, r.status().Rotations)
		}
		r.helper("dev").document(t)
	})
}

// TestRevokeRefusals: what AWS does not do is said of the key, with who can; and
// here it is done all the same.
func TestRevokeRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		err    ipc.Error
		policy []string
		want   ipc.Code
		says   string
	}{
		"unreachable": {"Reach", ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "nobody is there"}, nil, ipc.CodeAWSUnreachable, "nobody is there"},
		"denied":      {"SetKeyStatus", ipc.Error{Code: ipc.CodeAWSDenied, Message: "(it needs iam:UpdateAccessKey)"}, nil, ipc.CodeAWSDenied, "iam:UpdateAccessKey"},
		"quarantine":  {"SetKeyStatus", ipc.Error{Code: ipc.CodeAWSExplicitDeny, Message: "explicit deny"}, []string{"AWSCompromisedKeyQuarantineV3"}, ipc.CodeAWSQuarantined, "attached AWSCompromisedKeyQuarantineV3"},
	} {
		bubble(t, aged, func(t *testing.T, r *rig) {
			r.prime("dev")
			r.aws.policy.quarantine = c.policy
			r.aws.failNext(c.action, &c.err)
			got := r.revokedKey(ipc.RevokeParams{Profile: "dev"})
			if got.Inactive || got.Problem == nil || got.Problem.Code != c.want || !strings.Contains(got.Problem.Message, c.says) {
				t.Errorf("%s: %+v %v", name, got, got.Problem)
			}
			if s := r.status(); len(s.Sessions) != 0 {
				t.Errorf("%s: %+v", name, s.Sessions)
			}
			if got = r.revokedKey(ipc.RevokeParams{Profile: "dev"}); !got.Inactive {
				t.Errorf("%s: again: %+v", name, got)
			}
		})
	}
	bubble(t, aged, func(t *testing.T, r *rig) {
		wantCode(t, "nobody", refused(r, ipc.OpRevoke, ipc.RevokeParams{Profile: "nobody"}), ipc.CodeNoProfile)
		wantCode(t, "neither", refused(r, ipc.OpRevoke, ipc.RevokeParams{}), ipc.CodeUsage)
		wantCode(t, "both", refused(r, ipc.OpRevoke, ipc.RevokeParams{All: true, Profile: "dev"}), ipc.CodeUsage)
		wantCode(t, "itself", refused(r, ipc.OpRevoke, ipc.RevokeParams{Profile: "dev", Using: "dev"}), ipc.CodeUsage)
		r.write("aws/config", chainConfig(""))
		if e := refused(r, ipc.OpRevoke, ipc.RevokeParams{Profile: "one"}); e.Code != ipc.CodeNoKey || e.Hint != "revoke that one: broker revoke dev" {
			t.Errorf("%+v", e)
		}
	})
}

// TestRevokeOnAFullDisk: it is done, and the user is told that it is nowhere
// written down.
func TestRevokeOnAFullDisk(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.Broker.revoked.path = r.path("config") + "/no/directory"
		out, err := r.revoke(ipc.RevokeParams{Profile: "dev"})
		if err != nil || out.Problem == nil || out.Problem.Code != ipc.CodeStorage || !out.Keys[0].Inactive {
			t.Errorf("%+v, %v", out, err)
		}
		wantCode(t, "helper", r.helper("dev").wait(), ipc.CodeKeyInactive)
	})
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.write("state/"+revocationsName, "{}")
		r.restart()
		if p := r.status().Problems; len(p) != 1 || p[0].Code != ipc.CodeStorage {
			t.Errorf("%+v", p)
		}
	})
}

// TestP13RevokeWhileLocked: what needs no key is done, and what does says how
// the vault is opened.
func TestP13RevokeWhileLocked(t *testing.T) {
	bubble(t, typedVault, func(t *testing.T, r *rig) {
		go r.holding.obey()
		r.lock("")
		r.aws.failAlways("GetCallerIdentity", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "the vault is locked", Hint: "open it: broker unlock"})
		got := r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		if got.Inactive || got.RevokedAt == nil || got.Problem == nil || got.Problem.Code != ipc.CodeKeychainLocked || got.Problem.Hint != "open it: broker unlock" {
			t.Errorf("%+v", got)
		}
	})
}
