// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// TestF32RotationByTheClockOfAWS: a machine whose clock is off waits no longer
// for a new key, nor less, than one whose clock is right.
func TestF32RotationByTheClockOfAWS(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		bubble(t, aged, func(t *testing.T, r *rig) {
			r.aws.skew.Store(int64(skew))
			began := r.clock.Now()
			rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
			if err != nil || rot.State != "disabled" {
				t.Fatalf("%+v, %v", rot, err)
			}
			if took := r.clock.Now().Sub(began); took < leastVerify || took > time.Minute {
				t.Errorf("with a clock that is %v off it took %v", skew, took)
			}
			if tries := r.aws.calls("VerifyKey"); tries > 30 {
				t.Errorf("with a clock that is %v off the key was tried %d times", skew, tries)
			}
		})
	}
}

// TestF32ClockSetAheadKeepsTheOldKey: the day for second thoughts is one of
// AWS's, whatever somebody makes of this machine's clock meanwhile.
func TestF32ClockSetAheadKeepsTheOldKey(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		const year = 365 * 24 * time.Hour
		r.clock.move(year, 0)
		r.aws.skew.Add(-int64(year))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(r.aws.iamKeys()) != 2 {
			t.Fatalf("the old key was deleted ten minutes after it was disabled: %+v", r.aws.iamKeys())
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(r.aws.iamKeys()) != 1 {
			t.Errorf("after a day IAM has %+v", r.aws.iamKeys())
		}
	})
}

// TestF32ClockSetBackDeletesTheOldKeyInTime: nor does it take a year longer.
func TestF32ClockSetBackDeletesTheOldKeyInTime(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		const year = 365 * 24 * time.Hour
		r.clock.move(-year, 0)
		r.aws.skew.Add(int64(year))
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if len(r.aws.iamKeys()) != 2 {
			t.Fatalf("after 23 hours IAM has %+v", r.aws.iamKeys())
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(r.aws.iamKeys()) != 1 {
			t.Errorf("after 25 hours IAM has %+v", r.aws.iamKeys())
		}
	})
}

// TestF32RestartKnowsTheClockOfAWS: a daemon that takes a rotation up asks what
// time it is before it waits for one.
func TestF32RestartKnowsTheClockOfAWS(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		r.aws.skew.Store(int64(12 * time.Hour))
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		r.restart()
		r.TakeUp(t.Context())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(r.aws.iamKeys()) != 1 {
			t.Errorf("after 25 hours IAM has %+v", r.aws.iamKeys())
		}
	})
}

// TestRotationGoesOnWithAnyonesSession: a rotation that waits for a code goes
// on as soon as its user has a session, whatever that was made for.
func TestRotationGoesOnWithAnyonesSession(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if s := r.status().Rotations; len(s) != 1 || s[0].Problem == nil || s[0].Problem.Code != ipc.CodeMFARequired {
			t.Fatalf("it does not wait for a code: %+v", s)
		}
		r.prime("dev")
		time.Sleep(time.Second) // far less than until the next try
		synctest.Wait()
		if s := r.status().Rotations; len(s) != 0 || len(r.aws.iamKeys()) != 1 {
			t.Errorf("there is a session, and still %+v", s)
		}
	})
}

// TestJournalUnreadable: what a journal is about that cannot be read is left
// alone, and status says so.
func TestJournalUnreadable(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		path := filepath.Join(r.rotationDir(), strings.Repeat("a", 32)+journalSuffix)
		sealed := strings.TrimSuffix(path, journalSuffix) + ".sealed"
		if err := os.MkdirAll(r.rotationDir(), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{path, sealed} {
			if err := os.WriteFile(file, []byte(`{"v":1,`), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r.TakeUp(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		s := r.status()
		if len(s.Rotations) != 0 || len(s.Problems) != 1 || s.Problems[0].Code != ipc.CodeStorage ||
			!strings.Contains(s.Problems[0].Message, path) || s.Problems[0].Hint == "" {
			t.Errorf("status: %+v, %+v", s.Rotations, s.Problems)
		}
		for _, file := range []string{path, sealed} {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
		if n := r.aws.calls("ListKeys"); n != 0 {
			t.Errorf("IAM was asked %d times", n)
		}
	})
}

// TestIndexRebuiltDuringARotation: whichever of the two keys it names after
// that, the one that is to stay does in the end.
func TestIndexRebuiltDuringARotation(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil {
			t.Fatal(err)
		}
		j := r.rotating(annKey).state()
		do[ipc.KeyList](r, ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{{
			Profile: "dev", Item: j.Places[0].OldItem, AccessKeyID: annKey,
			KeyDetails: ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true},
		}}})
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys
		if len(keys) != 1 || keys[0].AccessKeyID != rot.New || len(r.aws.iamKeys()) != 1 || r.aws.iamKeys()[0].AccessKeyID != rot.New {
			t.Errorf("the index has %+v, IAM %+v, want %s", keys, r.aws.iamKeys(), rot.New)
		}
	})
}

// TestForgetSparesTheKeyInUse: no defect of another part makes a rotation
// forget the item that a profile lives on.
func TestForgetSparesTheKeyInUse(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Fatal(err)
		}
		rot := r.rotating(annKey)
		j := rot.state()
		err := hands{r.Broker, rot}.Forget(t.Context(), j, []string{j.Places[0].NewItem})
		if !hasCode(err, ipc.CodeInternal) || len(do[ipc.KeyList](r, ipc.OpList, nil).Keys) != 1 {
			t.Errorf("%v", err)
		}
		if got := r.index.doomed(); len(got) != 0 {
			t.Errorf("doomed: %v", got)
		}
	})
}

// TestF14SessionOfAKeyThatIsGone: the old key is deleted elsewhere, and with it
// the session that signs. The rotation asks for another one.
func TestF14SessionOfAKeyThatIsGone(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Fatal(err)
		}
		r.aws.setKeys(r.aws.iamKeys()[1:])
		time.Sleep(time.Minute) // for a code that was not used
		r.aws.failNext("ListKeys", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Resume: true})
		if err != nil || rot.State != "disabled" || r.aws.calls("GetSessionToken") != 2 {
			t.Errorf("%+v, %v, %d sessions", rot, err, r.aws.calls("GetSessionToken"))
		}
	})
}

// TestRotationKeepsItsKeyToItself: a profile that gets the old key now would
// lose it when the rotation ends.
func TestRotationKeepsItsKeyToItself(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true}); err != nil {
			t.Fatal(err)
		}
		err := refused(r, ipc.OpAdopt, ipc.AdoptParams{Profile: "twin", Item: "broker.v1." + strings.Repeat("a", 32), AccessKeyID: annKey})
		wantCode(t, "add", err, ipc.CodeRefused)
		if !strings.Contains(coded(err).Hint, "broker rotate dev") {
			t.Errorf("the hint is %q", coded(err).Hint)
		}
	})
}

// TestF27TornJournal: a temporary file that a crash has left among the journals
// goes, once nobody can be writing it; what is not ours stays.
func TestF27TornJournal(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if err := os.MkdirAll(r.rotationDir(), 0o700); err != nil {
			t.Fatal(err)
		}
		id := strings.Repeat("a", 32)
		names := map[string]bool{
			"." + id + ".json.tmp-1": false, "." + id + ".sealed.tmp-2": false, "." + id + ".sealed.room.tmp-3": false, ".notes.tmp-4": true,
		}
		for name := range names {
			path := filepath.Join(r.rotationDir(), name)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			old := r.clock.Now().Add(-2 * leftoverAge)
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		r.sweepFiles(t.Context())
		for name, stays := range names {
			if _, err := os.Stat(filepath.Join(r.rotationDir(), name)); (err == nil) != stays {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestUndoOfWhatIsGivenUp: the new key is somebody else's, and while broker cannot
// delete it, the user takes the rotation back. Who began it hears why it came to nothing;
// who takes it back, that it is.
func TestUndoOfWhatIsGivenUp(t *testing.T) {
	bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
		r.aws.failNext("VerifyKey", &ipc.Error{Code: ipc.CodeKeyInvalid, Message: "it is a key of bob"})
		r.aws.failAlways("DeleteKey", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "nobody is there"})
		began := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskNowhere)
		time.Sleep(time.Minute)
		if rot := r.rotating(annKey); rot == nil || !rot.state().Back {
			t.Fatal("it is not given up")
		}
		undo := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev", Undo: true}, ipc.AskNowhere)
		synctest.Wait()
		r.aws.failNext("DeleteKey")
		<-undo.done
		if text := string(undo.result); undo.err != nil || !strings.Contains(text, `"state":"undone"`) || strings.Contains(text, `"problem"`) {
			t.Errorf("undo: %s, %v", text, undo.err)
		}
		<-began.done
		wantCode(t, "who began it", began.err, ipc.CodeKeyInvalid)
		if keys := r.aws.iamKeys(); len(keys) != 1 || !r.aws.active(annKey) {
			t.Errorf("IAM has %+v", keys)
		}
	})
}
