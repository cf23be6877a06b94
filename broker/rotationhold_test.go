// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/broker/nag"
	"credbroker/internal/ipc"
)

// TestHoldOfARotationUnderWay: --hold counts for one that began without, and who
// asks too late is told so.
func TestHoldOfARotationUnderWay(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.failAlways("StoreKey", &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "nobody is there"})
		c := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		c.hangUp()
		<-c.done
		r.aws.failNext("StoreKey")
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true})
		if err != nil || rot.State != "switched" || rot.Waiting != "held" || !rot.Hold || r.aws.calls("SetKeyStatus") != 0 {
			t.Fatalf("%+v, %v", rot, err)
		}
		if rot, err = r.rotate(ipc.RotateParams{Profile: "dev", Resume: true}); err != nil || rot.State != "disabled" {
			t.Fatalf("%+v, %v", rot, err)
		}
		_, err = r.rotate(ipc.RotateParams{Profile: "dev", Hold: true})
		wantCode(t, "too late", err, ipc.CodeRefused)
	})
}

// TestHoldOutlivesOnRotate: on_rotate fails, the hint says --resume, and who does
// that finds the rotation held as it was to be. One who says it while on_rotate
// still runs has not seen that, and finds the same.
func TestHoldOutlivesOnRotate(t *testing.T) {
	for _, meanwhile := range []bool{false, true} {
		bubble(t, aged, func(t *testing.T, r *rig) {
			r.prime("dev")
			r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[rotation]\non_rotate = /bin/tell\n")
			if !meanwhile {
				r.aws.failNext("OnRotate", &ipc.Error{Code: ipc.CodeOnRotate, Message: "exit status 1"})
				_, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: true})
				wantCode(t, "rotate", err, ipc.CodeOnRotate)
			} else {
				r.aws.takes(5 * time.Second)
				defer r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev", Hold: true}, ipc.AskTerminal).hangUp()
				for r.aws.calls("OnRotate") == 0 {
					time.Sleep(time.Second)
				}
			}
			rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Resume: true})
			if err != nil || rot.Waiting != "held" || r.aws.calls("SetKeyStatus") != 0 {
				t.Errorf("while it ran %v: %+v, %v", meanwhile, rot, err)
			}
		})
	}
}

// TestHeldIsMentioned: who has forgotten a rotation that is held, or that waits
// for a code, hears of it from the second day on.
func TestHeldIsMentioned(t *testing.T) {
	for _, hold := range []bool{true, false} {
		bubble(t, overdue, func(t *testing.T, r *rig) {
			rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: hold})
			if err != nil {
				t.Fatal(err)
			}
			find := func() []nag.Notice {
				found, err := r.find(r.files.current(), nag.CLI, r.localNow())
				if err != nil {
					t.Fatal(err)
				}
				return found
			}
			if n := find(); len(n) != 0 {
				t.Errorf("hold %v: at once: %+v", hold, n)
			}
			time.Sleep(50 * time.Hour)
			synctest.Wait()
			if n := find(); len(n) != 1 || n[0].AccessKeyID != rot.New || n[0].Next != "broker rotate dev --resume" {
				t.Errorf("hold %v: after two days: %+v", hold, n)
			}
		})
	}
}

// TestRotateAgainAsksForTheCode: a rotation that waits for a code asks whoever
// comes back for it, with or without --resume, and names the key it replaces.
func TestRotateAgainAsksForTheCode(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		rot, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if s := r.status().Rotations; len(s) != 1 || s[0].Problem == nil || !strings.Contains(s[0].Problem.Message, annKey) {
			t.Fatalf("%+v", s)
		}
		again, err := r.rotate(ipc.RotateParams{Profile: "dev"})
		if err != nil || again.State != "deleted" || again.New != rot.New {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

// TestNoticeOfOneThatWasTakenBack does not say that the old key is gone.
func TestNoticeOfOneThatWasTakenBack(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		n := r.ended(nag.Notice{AccessKeyID: annKey, Profile: "dev"}, ipc.Rotation{State: "undone", Old: annKey, New: bobKey}, nil)
		if !strings.Contains(n.Title, "taken back") || strings.Contains(n.Text, bobKey) || strings.Contains(n.Text, "deleted") {
			t.Errorf("%+v", n)
		}
	})
}
