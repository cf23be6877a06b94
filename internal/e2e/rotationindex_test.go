// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oneKeyLeft fails the test unless eve has one key, which the profile has and
// which works, and one item in the vault for each of the profiles.
func (w *world) oneKeyLeft(what string, profiles ...string) {
	w.t.Helper()
	w.awaitNoRotation()
	keys := w.keysOf("eve")
	for _, profile := range profiles {
		stored := w.stored(profile)
		if len(keys) != 1 || keys[stored] != "Active" {
			w.t.Errorf("%s: IAM has %v, the index %s for %s", what, keys, stored, profile)
		}
		w.credentials(profile)
	}
	w.eventually("one item for each profile is left", func() error {
		items, err := filepath.Glob(filepath.Join(w.stateDir(), "vault", "broker.v1.*"))
		if err != nil || len(items) != len(profiles) {
			return fmt.Errorf("%s: %v, %w", what, items, err)
		}
		return nil
	})
}

// backup copies what broker keeps, with nobody at work on it; put brings it back
// so.
func (w *world) backup(names ...string) (put func()) {
	w.t.Helper()
	w.killDaemon()
	copied := filepath.Join(w.dir, "backup")
	if err := os.RemoveAll(copied); err != nil {
		w.t.Fatal(err)
	}
	w.must(w.run("cp", "-a", w.stateDir(), copied))
	return func() {
		w.t.Helper()
		w.killDaemon()
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(w.stateDir(), name)); err != nil {
				w.t.Fatal(err)
			}
			w.must(w.run("cp", "-a", filepath.Join(copied, name), filepath.Join(w.stateDir(), name)))
		}
	}
}

// TestF08OlderIndexPutBack: a state.json of before a rotation is put back, in the
// middle of it and after its end, alone and with its witness. It is noticed, or
// corrected; the key that works is in use in the end.
func TestF08OlderIndexPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone("verify_for = 0s", "keep_disabled = 0s")
	lost := func(what string) {
		t.Helper()
		if r := w.run("broker", "credential-process", racked); r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, "broker recover") {
			t.Errorf("%s: status %d, stdout %q, stderr %q", what, r.status, r.stdout, r.stderr)
		}
		w.must(w.run("broker", "recover"))
	}

	put := w.backup("state.json")
	w.must(w.run("broker", "rotate", racked, "--hold"))
	w.must(w.run("broker", "snooze", racked, "1h")) // one more generation: the one before has the new key, too
	put()
	lost("in the middle, alone")
	w.must(w.run("broker", "rotate", racked, "--resume"))
	w.oneKeyLeft("in the middle, alone", racked)

	put = w.backup("state.json", "state.json.1")
	w.must(w.run("broker", "rotate", racked, "--hold"))
	put()
	w.credentials(racked) // by the old key, which works
	w.must(w.run("broker", "rotate", racked, "--resume"))
	w.oneKeyLeft("in the middle, with the witness", racked)

	put = w.backup("state.json", "state.json.1")
	w.must(w.run("broker", "rotate", racked))
	w.awaitNoRotation()
	put()
	lost("after the end")
	w.oneKeyLeft("after the end", racked)
}

// TestF08OlderStatePutBack: all that broker keeps is put back as it was in the
// middle of a rotation which has ended since: the new key waits for AWS, or is
// held beside the old one. It comes to the same end.
func TestF08OlderStatePutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone("verify_for = 0s", "keep_disabled = 0s")
	all := []string{"state.json", "state.json.1", "rotations", "vault"}

	w.set("propagation=12h")
	w.start("broker", "rotate", racked)
	w.awaitRotation("propagation")
	put := w.backup(all...)
	w.set("propagation=none")
	w.oneKeyLeft("the first time", racked)
	put()
	w.oneKeyLeft("put back while it waited for AWS", racked)

	w.must(w.run("broker", "rotate", racked, "--hold"))
	put = w.backup(all...)
	w.must(w.run("broker", "rotate", racked, "--resume"))
	w.oneKeyLeft("the second time", racked)
	put()
	w.must(w.run("broker", "rotate", racked, "--resume"))
	w.oneKeyLeft("put back while it was held", racked)
}

// TestF08RecoverInARotation: the index is rebuilt from the vault while that has
// two keys of a profile. It names one that works, and the rotation goes on, or
// back, to one key.
func TestF08RecoverInARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 0s", "keep_disabled = 0s")

	w.set("propagation=12h")
	w.start("broker", "rotate", racked)
	w.awaitRotation("propagation")
	w.must(w.run("broker", "recover"))
	if stored := w.stored(racked); stored != old {
		t.Errorf("recover took %s, which AWS does not know yet, for %s", stored, old)
	}
	w.set("propagation=none")
	w.oneKeyLeft("forward", racked)

	old = w.stored(racked)
	w.must(w.run("broker", "rotate", racked, "--hold"))
	w.must(w.run("broker", "recover"))
	w.must(w.run("broker", "rotate", racked, "--undo"))
	w.oneKeyLeft("back from the switch", racked)
	if stored := w.stored(racked); stored != old {
		t.Errorf("taken back, the index has %s, and had %s", stored, old)
	}

	w.setting("keep_disabled = 0s", "keep_disabled = 1h")
	w.must(w.run("broker", "rotate", racked))
	rot := w.awaitRotation("kept")
	w.killDaemon()
	for _, name := range []string{"state.json", "state.json.1"} {
		remove(t, filepath.Join(w.stateDir(), name))
	}
	w.must(w.run("broker", "recover"))
	if stored := w.stored(racked); stored != rot.New {
		t.Errorf("recover took %s, which is Inactive, for %s", stored, rot.New)
	}
	w.credentials(racked)
	w.must(w.run("broker", "rotate", racked, "--undo"))
	w.oneKeyLeft("back from the grace period", racked)
}

// TestF34ProfilesThatShareAKey are rotated together, whichever of them is named;
// in the middle of it none of them can be removed, and they go back together.
func TestF34ProfilesThatShareAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 0s", "keep_disabled = 1h")
	w.add("tokyo", "eve", "--no-mfa")
	w.awsConfig("[profile " + racked + "]\nregion = eu-west-1\n[profile tokyo]\nregion = ap-northeast-1\n")
	both := func(what, want string) {
		t.Helper()
		a, _ := w.itemOf(racked)
		b, _ := w.itemOf("tokyo")
		if w.stored(racked) != want || w.stored("tokyo") != want || a == b {
			t.Errorf("%s: %s in %s, and %s in %s; want %s", what, w.stored(racked), a, w.stored("tokyo"), b, want)
		}
		w.credentials(racked)
		w.credentials("tokyo")
	}
	w.must(w.run("broker", "rotate", "tokyo", "--hold"))
	rot := w.awaitRotation("held")
	if len(rot.Profiles) != 2 {
		t.Errorf("%+v", rot)
	}
	both("held", rot.New)
	w.killDaemon()
	both("after a kill", rot.New)
	if r := w.run("broker", "remove", racked, "--yes"); r.status != 7 || !strings.Contains(r.stderr, "is being rotated") {
		t.Errorf("remove: status %d, stderr %q", r.status, r.stderr)
	}
	w.must(w.run("broker", "rotate", racked, "--undo"))
	w.awaitNoRotation()
	both("taken back", old)
	w.must(w.run("broker", "rotate", racked))
	rot = w.awaitRotation("kept")
	both("rotated", rot.New)
	w.set("now=+2h")
	w.must(w.run("broker", "lock"))
	w.credentials("tokyo") // what time it is
	w.must(w.run("broker", "rotate", "tokyo"))
	w.oneKeyLeft("in the end", racked, "tokyo")
	w.must(w.run("broker", "remove", "tokyo", "--yes"))
	w.oneKeyLeft("with one of them removed", racked)
}

// TestP24SwappedItems: the items of two keys change places in the vault, and the
// old item is put in the place of the new one in the middle of a rotation. AWS is
// asked nothing in the wrong name; the rotation stores the new key elsewhere.
func TestP24SwappedItems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone("verify_for = 0s", "keep_disabled = 0s")
	w.add("dev", "bob", "--no-mfa")
	vault := filepath.Join(w.stateDir(), "vault")
	ops, mine := w.itemOf(racked)
	dev, other := w.itemOf("dev")
	overwrite(t, filepath.Join(vault, ops), string(other))
	overwrite(t, filepath.Join(vault, dev), string(mine))
	before := len(w.caused())
	for _, profile := range []string{racked, "dev"} {
		if r := w.run("broker", "credential-process", profile); r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, "is a copy of another item") {
			t.Errorf("%s: status %d, stdout %q, stderr %q", profile, r.status, r.stdout, r.stderr)
		}
	}
	for _, e := range w.caused()[before:] {
		if e.AccessKeyID != "" {
			t.Errorf("AWS was asked: %+v", e)
		}
	}
	overwrite(t, filepath.Join(vault, ops), string(mine))
	overwrite(t, filepath.Join(vault, dev), string(other))
	w.credentials("dev")

	w.set("propagation=12h")
	w.start("broker", "rotate", racked)
	rot := w.awaitRotation("propagation")
	overwrite(t, filepath.Join(vault, w.newItem()), string(mine))
	w.set("propagation=none")
	w.awaitNoRotation()
	if keys := w.keysOf("eve"); len(keys) != 1 || keys[rot.New] != "Active" || w.stored(racked) != rot.New {
		t.Errorf("IAM has %v, the index %s; %s was made", keys, w.stored(racked), rot.New)
	}
	w.credentials(racked)
}

// newItem returns the item that the new key of the one rotation is to have.
func (w *world) newItem() string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.rotations(), "*.json"))
	if err != nil || len(found) != 1 {
		w.t.Fatalf("journals: %v, %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	var journal struct{ Places []struct{ NewItem string } }
	if err == nil {
		err = json.Unmarshal(data, &journal)
	}
	if err != nil || len(journal.Places) != 1 {
		w.t.Fatalf("%s: %v", data, err)
	}
	return journal.Places[0].NewItem
}
