// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// both is a blow that kills the daemon and the worker of a call.
func both(op string, nth int, after bool) cut {
	return cut{blow: blow{Op: op, Nth: nth, After: after, Daemon: true, Worker: true}}
}

// tears has a rotation cut short at each of the points, which all must be met.
func tears(t *testing.T, cuts ...cut) {
	t.Helper()
	needRoot(t)
	t.Parallel()
	r := newRack(t)
	for _, c := range cuts {
		r.tear(c)
		r.fell(c)
	}
}

// The faults are tried at the calls of the worker; at each record, P23 is.

// F1: before CreateAccessKey is sent. There is no stranger, and the old key serves.
func TestF01KilledBeforeCreateAccessKey(t *testing.T) {
	tears(t, both("seal", 1, false), both("seal", 1, true))
}

// F2: IAM has made the key, and nobody has its secret: the worker died with it,
// or the answer was lost. The key is found and deleted, and another one made.
func TestF02KilledBeforeTheAnswer(t *testing.T) {
	lost := both("create-key", 1, true)
	lost.knobs = []string{"drop.CreateAccessKey=after:1"}
	gone := cut{blow: blow{Op: "create-key", Nth: 1, After: true, Worker: true}, knobs: lost.knobs}
	tears(t, lost, gone, both("create-key", 1, false))
}

// F3: the secret is sealed, or stored, and nothing says so yet.
func TestF03KilledBeforeTheRecord(t *testing.T) {
	tears(t, both("create-key", 1, true), cut{blow: blow{Op: "create-key", Nth: 1, After: true, Daemon: true}},
		cut{blow: blow{Op: "create-key", Nth: 1, Daemon: true}}, // the worker goes on alone
		both("store-key", 1, false), both("store-key", 1, true))
}

// F5: in the middle of trying the new key.
func TestF05KilledBetweenTries(t *testing.T) {
	tears(t, both("verify-key", 1, false), both("verify-key", 2, true))
}

// F7: the index names the new key, and both are active.
func TestF07KilledAfterTheSwitch(t *testing.T) {
	tears(t, cut{index: 2}, cut{journal: 7}, both("set-key-status", 1, false))
}

// F8: the old key is Inactive, with or without a record of that.
func TestF08KilledAfterTheOldKeyIsInactive(t *testing.T) {
	tears(t, both("set-key-status", 1, true), both("delete-key", 1, false))
}

// F9: the user goes back, from wherever it was cut short: the old key is what is
// left, in the index, at IAM and in the vault, in the item that it had. Nothing
// else may come of it, because the old key is not deleted within the hour.
func TestF09UndoAfterAKill(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRack(t)
	r.setting("keep_disabled = 0s", "keep_disabled = 1h")
	for _, c := range []cut{both("create-key", 1, true), both("verify-key", 2, false), both("set-key-status", 1, true), {journal: 9}} {
		c.undo = true
		r.tear(c)
		r.fell(c)
		if index, err := r.index(); err != nil || index[racked] != r.before[racked] || r.undo.wait().status != 0 {
			t.Errorf("taken back from %v, the index has %v, and had %v: %v", c, index, r.before, err)
		}
	}
}

// F9: it is too late to go back once IAM has deleted the old key, even if nobody
// was left to write that down. The user is told, and the new key goes on.
func TestF09UndoTooLate(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRack(t)
	r.cutShort(both("delete-key", 1, true))
	r.setting("keep_disabled = 0s", "keep_disabled = 1h") // so that the user is faster than the daemon
	had, fresh := r.before[racked].AccessKeyID, r.stored(racked)
	gone := "go back to key " + had + ": IAM does not have it any more"
	if undo := r.run("broker", "rotate", racked, "--undo"); undo.status != 8 || undo.stdout != "" || !strings.Contains(undo.stderr, gone) {
		t.Errorf("while the journal says disabled: %+v", undo)
	}
	r.setting("keep_disabled = 1h", "keep_disabled = 0s")
	r.must(r.run("broker", "rotate", racked, "--resume"))
	r.oneKey()
	gone = "key " + fresh + " of profile " + racked + " is not being rotated"
	if undo := r.run("broker", "rotate", racked, "--undo"); undo.status == 0 || undo.stdout != "" || !strings.Contains(undo.stderr, gone) {
		t.Errorf("in the end: %+v", undo)
	}
	if index, err := r.index(); err != nil || index[racked].AccessKeyID != fresh || fresh == had {
		t.Errorf("the index has %v, and had %v: %v", index, r.before, err)
	}
}

// F10: the old key is gone at IAM, and its item is still there.
func TestF10KilledBeforeTheItemIsDeleted(t *testing.T) {
	tears(t, both("delete-key", 1, true), cut{index: 4}, both("delete", 1, false), both("delete", 1, true))
}

// F24: the disk is full when a step begins, or when its answer comes: the
// journal, the sealed file, the vault and the index are all on it.
func TestF24DiskFullInARotation(t *testing.T) {
	var cuts []cut
	for _, op := range []string{"seal", "create-key", "verify-key", "set-key-status", "delete-key"} {
		cuts = append(cuts, cut{blow: blow{Op: op, Nth: 1, Fill: "STATE"}}, cut{blow: blow{Op: op, Nth: 1, After: true, Fill: "STATE", Daemon: op == "create-key"}})
	}
	tears(t, cuts...)
}

// P23: at each record of the journal and of the index, the key that the index
// names is stored, and works, as things stand at that moment. AWS knows the new
// key only from when broker waits for nothing else: until then it is the old one.
func TestP23OneKeyWorksAtEveryInstant(t *testing.T) {
	var early, late []cut
	for n := 1; n <= 5; n++ {
		early, late = append(early, cut{journal: n, slow: true}), append(late, cut{journal: n + 5, slow: true})
	}
	index := []cut{{index: 1, slow: true}, {index: 2, slow: true}, {index: 3, slow: true}}
	for name, cuts := range map[string][]cut{"until the switch": early, "from the switch on": late, "index": index} {
		t.Run(name, func(t *testing.T) { tears(t, cuts...) })
	}
}

// TestHoldOutlivesAKill: a rotation that is to be held is, whatever cuts it short
// or stops it on the way there, and leaves both keys active until --resume.
func TestHoldOutlivesAKill(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRackOf(t, twins)
	for _, c := range []cut{both("verify-key", 1, false), {journal: 6}, both("on-rotate", 2, true)} {
		c.hold = true
		r.tear(c)
		r.fell(c)
		if r.held != 1 {
			t.Errorf("cut short at %v, it was held %d times", c, r.held)
		}
	}
	tell := filepath.Join(r.dir, "tell")
	data, err := os.ReadFile(tell)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, tell, "#!/bin/sh\nexit 1\n")
	r.cutShort(cut{hold: true}) // by on_rotate
	if all := r.rotating(); len(all) != 1 || all[0].Waiting != "stuck" || all[0].State != "switched" {
		t.Fatalf("stopped by on_rotate: %+v", all)
	}
	overwrite(t, tell, string(data))
	r.converges(r.last)
	if r.held != 1 || r.asked != 2 {
		t.Errorf("stopped by on_rotate, it was held %d times, and the user asked %d times", r.held, r.asked)
	}
}

// TestRotationIsTakenUpFirst: a daemon that goes on after a kill knows of the
// rotation before it serves anybody. Who came earlier would see a free key, and
// could begin again, or remove it.
func TestRotationIsTakenUpFirst(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRack(t)
	r.arm(blow{Op: "verify-key", Nth: 1, Daemon: true, Worker: true})
	r.start("broker", "rotate", racked).wait()
	log := filepath.Join(r.stateDir(), "brokerd.log")
	if err := os.Truncate(log, 0); err != nil {
		t.Fatal(err)
	}
	r.rotating()
	text := r.daemonLog()
	if on, serving := strings.Index(text, "rotation goes on"), strings.Index(text, "msg=serving"); on < 0 || on > serving {
		t.Errorf("the daemon served before it knew of the rotation:\n%s", text)
	}
	r.converges(cut{})
}

// TestVaultLockedInARotation: the passphrase vault, or the keyring, is locked at
// any of its steps. It waits, and goes on when the vault is open.
func TestVaultLockedInARotation(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for _, test := range []struct {
		kind kind
		word string
		at   []blow
	}{
		{typed, "lock", []blow{{Op: "seal"}, {Op: "create-key"}, {Op: "create-key", After: true}, {Op: "verify-key"}, {Op: "delete-key", After: true, Daemon: true}}},
		{keyed, "shut", []blow{{Op: "create-key"}, {Op: "create-key", After: true}, {Op: "delete-key", After: true, Daemon: true}}},
	} {
		t.Run(test.kind.String(), func(t *testing.T) {
			t.Parallel()
			r := newRackOf(t, test.kind)
			for _, at := range test.at {
				at.Nth, at.Run = 1, []string{test.word}
				r.tear(cut{blow: at})
				r.fell(cut{blow: at})
			}
		})
	}
}
