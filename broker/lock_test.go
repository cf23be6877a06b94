// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// typedVault is a rig whose vault opens with a passphrase, and two keys in it.
// One serves many profiles, the other needs no code.
func typedVault(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.write("config", "[vault]\nbackend = file\n")
	var text strings.Builder
	text.WriteString("[profile dev]\nregion = eu-west-1\n")
	for i := range 20 {
		fmt.Fprintf(&text, "[profile role%d]\nsource_profile = dev\nrole_arn = arn:aws:iam::%s:role/r%d\n", i, account, i)
	}
	r.write("aws/config", text.String())
	r.restart()
	h := r.unlock()
	r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
	r.add("ops", bobKey, ipc.KeyDetails{AccountID: account, NoMFA: true})
	r.holding = h
	t.Cleanup(func() { r.holding.hangUp() })
	return r
}

// unlock has somebody hold the key of the vault.
func (r *rig) unlock() *client {
	r.t.Helper()
	h := r.start(ipc.OpHolding, ipc.HoldingParams{IdleLimit: 28800}, ipc.AskNowhere)
	if e := (<-h.events).(ipc.HoldingEvent); !e.Accepted {
		r.t.Fatalf("the daemon says %+v, want accepted", e)
	}
	return h
}

// obey ends who holds the key as soon as it is told to.
func (c *client) obey() {
	select {
	case e := <-c.events:
		if e.(ipc.HoldingEvent).Lock {
			c.hangUp()
		}
	case <-c.done:
	}
}

func (r *rig) lock(profile string) ipc.LockResult {
	r.t.Helper()
	return do[ipc.LockResult](r, ipc.OpLock, ipc.LockParams{Profile: profile})
}

// listedOps returns every operation of the daemon, as internal/ipc lists them.
func listedOps(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/ipc/ops.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Op") {
			return true
		}
		op, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
		return true
	})
	return ops
}

// TestP13LockedServesNothing: after lock, whatever needs a key says that the
// vault is locked and how to open it; everything else goes on.
func TestP13LockedServesNothing(t *testing.T) {
	bubble(t, typedVault, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.helper("role1").document(t)
		r.helper("ops").document(t)
		go r.holding.obey()
		if got := r.lock(""); got.Sessions != 3 || got.Vault == nil || !got.Vault.Locked {
			t.Errorf("lock: %+v, want 3 sessions dropped and the vault locked", got)
		}
		if s := r.status(); len(s.Sessions) != 0 || s.Vault == nil || !s.Vault.Locked || s.Vault.Since.IsZero() || s.Vault.IdleLimit != 0 {
			t.Errorf("status after lock: %+v, vault %+v", s.Sessions, s.Vault)
		}
		r.aws.failAlways("Delete", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "the vault is locked", Hint: "open it: broker unlock"})
		calls := len(r.aws.seenCalls())

		const goesOn = ""
		item := "broker.v1." + strings.Repeat("a", 32)
		table := map[string]struct {
			params any
			want   ipc.Code
		}{
			ipc.OpHello:       {nil, goesOn},
			ipc.OpStatus:      {nil, goesOn},
			ipc.OpList:        {nil, goesOn},
			ipc.OpServes:      {nil, goesOn},
			ipc.OpExplain:     {ipc.ExplainParams{Profile: "role1"}, goesOn},
			ipc.OpCredentials: {ipc.CredentialsParams{Profile: "dev"}, ipc.CodeKeychainLocked},
			ipc.OpMFA:         {ipc.MFAParams{Profile: "dev", Code: "123456"}, ipc.CodeKeychainLocked},
			ipc.OpReserve:     {ipc.ReserveParams{Profile: "new", AccessKeyID: annKey}, ipc.CodeKeychainLocked},
			ipc.OpRemove:      {ipc.RemoveParams{Profile: "ops"}, ipc.CodeKeychainLocked},
			ipc.OpAdopt:       {ipc.AdoptParams{Profile: "third", Item: item, AccessKeyID: annKey}, goesOn}, // the key lies there already
			ipc.OpRestore: {ipc.RestoreParams{Keys: []ipc.AdoptParams{{
				Profile: "dev", Item: item, AccessKeyID: annKey, KeyDetails: ipc.KeyDetails{AccountID: account, ARN: annARN, SerialNumber: annMFA},
			}}}, goesOn},
			ipc.OpRotate:  {ipc.RotateParams{Profile: "dev"}, ipc.CodeKeychainLocked},
			ipc.OpCreate:  {ipc.CreateParams{Profile: "new", Using: "dev"}, ipc.CodeKeychainLocked},
			ipc.OpUsage:   {ipc.UsageParams{Profile: "dev"}, ipc.CodeKeychainLocked},
			ipc.OpRevoke:  {ipc.RevokeParams{Profile: "dev"}, goesOn}, // what is not done at AWS it says of the key
			ipc.OpLock:    {ipc.LockParams{}, goesOn},
			ipc.OpNag:     {nil, goesOn},
			ipc.OpSnooze:  {ipc.SnoozeParams{Profile: "dev", Seconds: 60}, goesOn},
			ipc.OpHolding: {nil, goesOn}, // is how it is unlocked: below
		}
		ops := listedOps(t)
		for _, op := range ops {
			try, ok := table[op]
			if !ok {
				t.Errorf("op %s: nobody has said what it does while the vault is locked", op)
				continue
			}
			if op == ipc.OpHolding || op == ipc.OpRestore || op == ipc.OpRevoke {
				continue // it would change the table's ground
			}
			c := r.start(op, try.params, ipc.AskNowhere)
			<-c.done
			if got := c.code(); got != try.want {
				t.Errorf("op %s: code %q, want %q (%v)", op, got, try.want, c.err)
			}
			if try.want == ipc.CodeKeychainLocked && coded(c.err).Hint != "open it: broker unlock" {
				t.Errorf("op %s: hint %q", op, coded(c.err).Hint)
			}
		}
		if len(ops) < 12 {
			t.Errorf("only %d ops were found", len(ops))
		}
		began := time.Now()
		for i := range 20 {
			wantCode(t, "role", r.helper(fmt.Sprintf("role%d", i)).wait(), ipc.CodeKeychainLocked)
		}
		wantCode(t, "ops", r.helper("ops").wait(), ipc.CodeKeychainLocked)
		if waited := time.Since(began); waited > 0 {
			t.Errorf("helpers waited %v for a vault that is locked", waited)
		}
		since := slices.DeleteFunc(slices.Clone(r.aws.seenCalls()[calls:]), func(line string) bool { return strings.HasPrefix(line, "Delete ") })
		if len(since) != 0 {
			t.Errorf("a locked vault, and yet %q", since)
		}
		do[ipc.KeyList](r, ipc.OpRestore, table[ipc.OpRestore].params)

		r.holding = r.unlock()
		if v := r.status().Vault; v == nil || v.Locked || v.IdleLimit != 28800 {
			t.Errorf("after unlock: %+v", v)
		}
		r.clock.move(time.Minute, time.Minute)
		r.prime("dev")
	})
}

func (c *client) wait() error { <-c.done; return c.err }

// TestP13LockOfOneProfile: the sessions of its key go, those of others stay,
// and the next request asks for a code again.
func TestP13LockOfOneProfile(t *testing.T) {
	for name, setup := range map[string]func(*testing.T) *rig{"typed": typedVault, "keychain": func(t *testing.T) *rig {
		r := typedVault(t)
		r.holding.hangUp()
		<-r.holding.done
		r.write("config", "[vault]\nbackend = secret-service\n")
		return r
	}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, setup, func(t *testing.T, r *rig) {
				r.prime("dev")
				r.helper("role1").document(t)
				kept := r.helper("ops").document(t)
				if got := r.lock("role2"); got.Sessions != 2 { // the key of role2 is that of dev
					t.Errorf("lock: %+v, want 2 sessions dropped", got)
				}
				if got := r.helper("ops").document(t); got.AccessKeyID != kept.AccessKeyID {
					t.Error("the session of another key is gone too")
				}
				r.clock.move(time.Minute, time.Minute)
				r.prime("dev")
				wantCode(t, "lock of nobody", refused(r, ipc.OpLock, ipc.LockParams{Profile: "nobody"}), ipc.CodeNoProfile)
				r.holding.hangUp()
			})
		})
	}
}

// TestP13LockDropsWhatIsUnderWay: neither a code that is waited for, nor a call
// that is at AWS already, brings a session that was begun before the lock.
func TestP13LockDropsWhatIsUnderWay(t *testing.T) {
	for _, profile := range []string{"", "dev"} {
		t.Run("lock "+profile, func(t *testing.T) {
			bubble(t, typedVault, func(t *testing.T, r *rig) {
				want := ipc.CodeKeychainLocked
				if profile != "" {
					want = ipc.CodeMFARequired
				}
				go r.holding.obey()
				waiting := r.helper("dev")
				synctest.Wait()
				if got := r.lock(profile); got.Prompts != 1 {
					t.Errorf("lock: %+v, want one prompt withdrawn", got)
				}
				wantCode(t, "a caller that waited for a code", waiting.wait(), want)
				if profile != "" && !strings.Contains(waiting.err.Error(), "broker lock dropped the session") {
					t.Error(waiting.err)
				}
				if profile == "" {
					r.holding = r.unlock()
					go r.holding.obey()
				}

				atAWS := r.helper("dev")
				synctest.Wait()
				r.aws.takes(10 * time.Second)
				answer := r.mfa(r.aws.code(annMFA, 0))
				synctest.Wait()
				r.lock(profile)
				wantCode(t, "a caller whose session is being made", atAWS.wait(), want)
				wantCode(t, "who gave the code", answer.wait(), want)
				r.aws.takes(0)
				if s := r.status().Sessions; len(s) != 0 {
					t.Errorf("a dropped session came all the same: %+v", s)
				}
				r.aws.codesSentOnce(t)

				// A role that is made of a session from before the lock.
				if profile == "" {
					r.holding = r.unlock()
					go r.holding.obey()
				}
				r.clock.move(5*time.Minute, 5*time.Minute)
				r.prime("dev")
				r.aws.takes(10 * time.Second)
				role, free := r.helper("role3"), r.helper("ops")
				synctest.Wait()
				r.lock(profile)
				wantCode(t, "a role that is being made", role.wait(), want)
				if <-free.done; (free.err == nil) != (profile != "") {
					t.Errorf("a session of another key: %v", free.err)
				}
				for _, s := range r.status().Sessions {
					if s.SourceKeyID == annKey {
						t.Errorf("a dropped role came all the same: %+v", s)
					}
				}
				r.holding.hangUp()
			})
		})
	}
}

// TestHolderThatDies: the vault counts as locked, whoever waits is told, and
// what is in memory goes on being served: that was not asked to be dropped.
func TestHolderThatDies(t *testing.T) {
	bubble(t, typedVault, func(t *testing.T, r *rig) {
		kept := r.helper("ops").document(t)
		waiting := r.helper("dev")
		synctest.Wait()
		r.holding.hangUp()
		wantCode(t, "a caller that waited for a code", waiting.wait(), ipc.CodeKeychainLocked)
		if v := r.status().Vault; v == nil || !v.Locked {
			t.Errorf("status: %+v, want locked", v)
		}
		if got := r.helper("ops").document(t); got.AccessKeyID != kept.AccessKeyID {
			t.Error("the session in memory is not served")
		}
		wantCode(t, "the next", r.helper("role1").wait(), ipc.CodeKeychainLocked)
	})
}

// TestWhatWaitedForTheVault goes on when the new holder can be asked for the key,
// which is a moment after it was accepted.
func TestWhatWaitedForTheVault(t *testing.T) {
	bubble(t, typedVault, func(t *testing.T, r *rig) {
		r.aws.failAlways("Delete", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "locked"})
		r.add("dev", bobKey, details())
		settle() // what the daemon does at its start tries to delete, too
		go r.holding.obey()
		r.lock("")
		r.aws.failAlways("Delete", nil)
		r.holding = r.unlock()
		time.Sleep(time.Second)
		if len(r.index.doomed()) != 1 {
			t.Fatal("the vault was used before its key could be had")
		}
		l, err := net.Listen("unix", r.path("vault.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		time.Sleep(time.Second)
		if left := r.index.doomed(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestHolderThatStays: one that does not end when it is told to is killed, and
// lock answers only then. A second holder is not wanted meanwhile, nor before.
func TestHolderThatStays(t *testing.T) {
	bubble(t, typedVault, func(t *testing.T, r *rig) {
		if got := do[ipc.Holding](r, ipc.OpHolding, ipc.HoldingParams{}); !got.Already {
			t.Error("a second holder was accepted")
		}
		began := time.Now()
		r.lock("")
		select {
		case <-r.holding.killed:
		default:
			t.Error("it was not killed")
		}
		if took := time.Since(began); took != letGo {
			t.Errorf("lock took %v, want %v", took, letGo)
		}
	})
}

// TestLockFlips: lock, unlock and callers at once, for long.
func TestLockFlips(t *testing.T) {
	bubble(t, typedVault, func(t *testing.T, r *rig) {
		r.aws.takes(5 * time.Millisecond)
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			for ctx.Err() == nil {
				r.holding.obey()
				<-r.holding.done
				r.holding = r.unlock()
				time.Sleep(40 * time.Millisecond)
			}
		})
		codes := map[ipc.Code]int{}
		var mu sync.Mutex
		for i := range 50 {
			group.Go(func() {
				for range 20 {
					profile := "ops"
					if i%2 == 0 {
						profile = fmt.Sprintf("role%d", i%20)
					}
					code := r.startWithin(ipc.OpCredentials, ipc.CredentialsParams{Profile: profile}, ipc.AskNowhere, 100*time.Millisecond).code()
					mu.Lock()
					codes[code]++
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
			})
		}
		for range 30 {
			time.Sleep(50 * time.Millisecond)
			r.lock("")
			r.lock("dev")
		}
		stop()
		go func() { // the last one of the flips
			for range 2 {
				time.Sleep(time.Second)
				r.lock("")
			}
		}()
		group.Wait()
		known := []ipc.Code{"", ipc.CodeKeychainLocked, ipc.CodeMFARequired, ipc.CodeDeadline}
		for code := range maps.Keys(codes) {
			if !slices.Contains(known, code) {
				t.Errorf("%d callers got %s", codes[code], code)
			}
		}
		if codes[""] == 0 || codes[ipc.CodeKeychainLocked] == 0 {
			t.Errorf("callers got %v: neither locked nor unlocked was tried", codes)
		}
		r.holding.hangUp()
		time.Sleep(2 * time.Second)
	})
}
