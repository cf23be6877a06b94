// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// underWay returns the rotations that status shows.
func (w *world) underWay() []ipc.Rotation {
	w.t.Helper()
	var s struct{ Rotations []ipc.Rotation }
	if err := json.Unmarshal([]byte(w.must(w.run("broker", "status", "--json")).stdout), &s); err != nil {
		w.t.Fatal(err)
	}
	return s.Rotations
}

// awaitRotation waits until the one rotation that there is waits for why.
func (w *world) awaitRotation(why string) (rot ipc.Rotation) {
	w.t.Helper()
	w.eventually("the rotation waits for "+why, func() error {
		all := w.underWay()
		if len(all) != 1 || all[0].Waiting != why {
			return fmt.Errorf("%+v", all)
		}
		rot = all[0]
		return nil
	})
	return rot
}

// awaitNoRotation waits until all of them have ended.
func (w *world) awaitNoRotation() {
	w.t.Helper()
	w.eventually("the rotation ends", func() error {
		if all := w.underWay(); len(all) != 0 {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
}

// deal tells the worker of a rack what blow to deal out next.
func (r *rack) deal(b blow) {
	r.t.Helper()
	for _, name := range []string{"calls", "dealt"} {
		_ = os.Remove(filepath.Join(r.bin, name)) // it may not be there
	}
	plan, err := json.Marshal(b)
	if err != nil {
		r.t.Fatal(err)
	}
	overwrite(r.t, filepath.Join(r.bin, "blow"), string(plan))
}

func (r *rack) awaitFile(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.bin, name)
	r.eventually(name+" is there", func() error {
		data, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(data), text) {
			err = fmt.Errorf("it says %q", data)
		}
		return err
	})
}

// itemOf returns the vault item that the index names for a profile, and what is
// in its file.
func (w *world) itemOf(profile string) (name string, data []byte) {
	w.t.Helper()
	var index struct {
		Keys map[string]struct{ Item string }
	}
	state := filepath.Join(w.home, ".local", "state", "broker")
	text, err := os.ReadFile(filepath.Join(state, "state.json"))
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	name = index.Keys[profile].Item
	if err == nil {
		data, err = os.ReadFile(filepath.Join(state, "vault", name))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return name, data
}

// TestF04TornItem: the store tears the item of the new key, while nobody notices,
// or with the death of the daemon, or of the worker, too. The key gets another
// item; the torn one is not written over, and goes in the end; the old key's is
// as it was.
func TestF04TornItem(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRack(t)
	vault := filepath.Join(r.stateDir(), "vault")
	for _, b := range []blow{{}, {Daemon: true}, {Daemon: true, Worker: true}} {
		old, before := r.itemOf(racked)
		torn := filepath.Join(r.bin, "torn")
		b.Op, b.Nth, b.After = "create-key", 1, true
		b.Run = []string{"/bin/sh", "-c", "f=$(ls -t " + vault + "/broker.v1.* | head -n 1); truncate -s 40 $f && basename $f >" + torn}
		r.deal(b)
		rotating := r.start("broker", "rotate", racked, "--hold")
		r.awaitFile("dealt", "")
		r.works("torn")
		r.awaitRotation("held") // by itself
		rotating.wait()
		name, err := os.ReadFile(torn)
		if err != nil {
			t.Fatal(err)
		}
		if item := strings.TrimSpace(string(name)); len(r.contents(vault)) == 0 || item == old || filepath.Base(item) == first(r.itemOf(racked)) {
			t.Errorf("%v: item %s was torn, %s is the old key's, and %s the new one's", b, item, old, first(r.itemOf(racked)))
		}
		if data, err := os.ReadFile(filepath.Join(vault, old)); err != nil || string(data) != string(before) {
			t.Errorf("%v: the old key's item was touched: %v", b, err)
		}
		r.deal(blow{})
		r.must(r.run("broker", "rotate", racked, "--resume"))
		r.oneKey()
	}
}

func first(name string, _ []byte) string { return name }

// TestF06KeyThatNeverWorks: AWS does not take the new key, five minutes of its
// time long. It is deleted, by the old one, which has served all the while.
func TestF06KeyThatNeverWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 2s", "keep_disabled = 0s")
	w.set("propagation=12h")
	rotating := w.start("broker", "rotate", racked)
	rot := w.awaitRotation("propagation")
	w.set("now=+4m")
	w.credentials(racked) // broker has learnt what time it is
	if all := w.underWay(); len(all) != 1 || all[0].New != rot.New || all[0].Back {
		t.Fatalf("after four minutes: %+v", all)
	}
	w.set("now=+6m")
	w.must(w.run("broker", "lock"))
	w.credentials(racked)
	r := rotating.wait()
	if r.status != 8 || !strings.Contains(r.stderr, rot.New) || !strings.Contains(r.stderr, "what served before goes on serving") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	if keys := w.keysOf("eve"); len(keys) != 1 || keys[old] != "Active" || w.stored(racked) != old {
		t.Errorf("IAM has %v, the index %s", keys, w.stored(racked))
	}
	writes := w.log("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
	if len(writes) != 2 || writes[1].Action != "DeleteAccessKey" || writes[1].AccessKeyID != old {
		t.Errorf("IAM was asked for %+v", writes)
	}
	w.set("propagation=none")
	w.must(w.run("broker", "rotate", racked))
	w.credentials(racked)
}

// TestF13DeniedInTheEnd: the new key serves, and IAM denies that the old one is
// made Inactive, or deleted. It stands still with both of them on record, is in
// status, and nagged about; with the permission, --resume brings it to its end.
func TestF13DeniedInTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone("verify_for = 0s", "keep_disabled = 0s", "[nag]", "channels = cli", "quiet_hours = off")
	for action, status := range map[string]string{"UpdateAccessKey": "Active", "DeleteAccessKey": "Inactive"} {
		old := w.stored(racked)
		w.set("policy=deny:iam:" + action)
		r := w.run("broker", "rotate", racked)
		if r.status != 8 || !strings.Contains(r.stderr, "iam:"+action) {
			t.Errorf("%s: status %d, stderr %q", action, r.status, r.stderr)
		}
		w.killDaemon() // the next one knows as well
		rot := w.awaitRotation("stuck")
		if rot.Old != old || rot.New != w.stored(racked) || rot.Problem == nil || !strings.Contains(rot.Problem.Message, "iam:"+action) {
			t.Errorf("%s: %+v, %+v", action, rot, rot.Problem)
		}
		if keys := w.keysOf("eve"); len(keys) != 2 || keys[old] != status || keys[rot.New] != "Active" {
			t.Errorf("%s: IAM has %v", action, keys)
		}
		if said := append(w.nagged(), w.nagged()...); len(said) != 1 || said[0].Next != "broker rotate "+racked+" --resume" {
			t.Errorf("%s: a command says below its output: %+v", action, said)
		}
		if again := w.run("broker", "rotate", racked, "--resume"); again.status != 8 {
			t.Errorf("%s: without the permission, --resume ended with %d", action, again.status)
		}
		w.set("policy=none")
		w.must(w.run("broker", "rotate", racked, "--resume"))
		if keys := w.keysOf("eve"); len(keys) != 1 || keys[w.stored(racked)] != "Active" {
			t.Errorf("%s: in the end IAM has %v", action, keys)
		}
		w.credentials(racked)
	}
}

// nagged returns what a command in a terminal says below its output.
func (w *world) nagged() []ipc.Notice {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	raw, err := (&ipc.Client{Socket: w.socket(), Name: "test"}).Converse(ctx, ipc.Request{Op: ipc.OpNag}, nil)
	var said ipc.Notices
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return said.Notices
}

// TestF34TwoRotations: two commands, each of which may start a daemon, rotate one
// key at once. One rotation is made of it, and both are told how it went.
func TestF34TwoRotations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 0s", "keep_disabled = 1h")
	w.killDaemon()
	w.set("delay.CreateAccessKey=500ms")
	var both []*background
	for range 4 {
		both = append(both, w.start("broker", "rotate", racked))
		both = append(both, w.start("brokerd"))
	}
	fresh := ""
	for i, b := range both {
		if i%2 == 1 {
			continue // of the daemons one serves
		}
		r := w.must(b.wait())
		if fresh == "" {
			fresh = w.stored(racked)
		}
		if !strings.Contains(r.stdout, fresh) || !strings.Contains(r.stdout, old) {
			t.Errorf("one was told %q", r.stdout)
		}
	}
	if n := len(w.log("CreateAccessKey")); n != 1 || fresh == old {
		t.Errorf("%d keys were made; the index has %s, and had %s", n, fresh, old)
	}
	if keys := w.keysOf("eve"); len(keys) != 2 || keys[old] != "Inactive" || keys[fresh] != "Active" {
		t.Errorf("IAM has %v", keys)
	}
}

// TestF03StoppedWhileIAMAnswers: the daemon is stopped, as by a logout, while IAM
// makes the key; so is its worker, in the second round. The secret is kept all the
// same: the next daemon goes on with the very key.
func TestF03StoppedWhileIAMAnswers(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRack(t)
	for made, everybody := range []bool{false, true} {
		r.deal(blow{Op: "create-key", Nth: 99}) // only to see when it begins
		r.set("delay.CreateAccessKey=1m")
		rotating := r.start("broker", "rotate", racked)
		r.awaitFile("calls", "create-key")
		r.awaitInRotations(".sealed.room")
		daemon := r.daemonPID()
		r.signal(daemon, syscall.SIGTERM)
		for _, pid := range running(filepath.Join(r.bin, "vault")) {
			if everybody {
				_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended
			}
		}
		r.set("delay.CreateAccessKey=0s")
		rotating.wait()
		r.eventually("the daemon has ended", func() error {
			if testprograms.Alive(daemon) {
				return errors.New("it runs")
			}
			return nil
		})
		r.works("stopped")
		r.awaitNoRotation()
		r.oneKey()
		if n := len(r.log("CreateAccessKey")); n != made+1 {
			t.Errorf("%d keys were made for %d rotations", n, made+1)
		}
	}
}

// running returns the processes of a program.
func running(path string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range all {
		var pid int
		if to, err := os.Readlink(exe); err == nil && to == path {
			if _, err := fmt.Sscanf(exe, "/proc/%d/exe", &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// awaitInRotations waits for a file of this ending among those of rotations.
func (w *world) awaitInRotations(ending string) {
	w.t.Helper()
	w.eventually("there is a "+ending, func() error {
		if found, err := filepath.Glob(filepath.Join(w.rotations(), "*"+ending)); err != nil || len(found) == 0 {
			return fmt.Errorf("not yet, %w", err)
		}
		return nil
	})
}

// TestF04KilledWhileTheKeyringStores: a real keyring hangs with the new key in
// its hands, and worker and daemon are killed. Whatever the keyring then makes of
// it, the old key's item serves, and one key and one item are left in the end.
func TestF04KilledWhileTheKeyringStores(t *testing.T) {
	t.Parallel()
	w, k := keyringWorld(t)
	overwrite(t, w.configPath(), w.config()+"[rotation]\nverify_for = 0s\nkeep_disabled = 0s\n")
	old := w.stored("dev")
	w.set("delay.CreateAccessKey=1m")
	rotating := w.start("broker", "rotate", "dev")
	w.awaitInRotations(".sealed.room")
	k.Freeze()
	w.set("delay.CreateAccessKey=0s")
	w.awaitInRotations(".sealed")
	for _, pid := range running(filepath.Join(w.bin, "broker-vault")) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have given up
	}
	w.killDaemon()
	k.Thaw()
	rotating.wait()
	w.credentials("dev")
	w.awaitNoRotation()
	fresh := w.stored("dev")
	if keys := w.keysOf("ann"); len(keys) != 1 || keys[fresh] != "Active" || fresh == old {
		t.Errorf("IAM has %v, the index %s, and had %s", keys, fresh, old)
	}
	w.credentials("dev")
	if n := len(w.log("CreateAccessKey")); n != 1 {
		t.Errorf("%d keys were made", n)
	}
	w.eventually("one item is left", func() error {
		var ours []string
		for _, label := range k.Labels() {
			if strings.Contains(label, "broker.v1.") {
				ours = append(ours, label)
			}
		}
		if len(ours) != 1 {
			return fmt.Errorf("the keyring has %v", ours)
		}
		return nil
	})
}
