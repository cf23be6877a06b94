// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// upgradeInARotation: a rotation waits for AWS, and its user watches. The old
// daemon carries on with it. When it is ended, the one who watched is told to run
// the command again; the new daemon goes on with the very key, and asks for one
// code, because the session of the old one went with it.
func upgradeInARotation(t *testing.T, next string) {
	w := newWorld(t)
	w.ready("[rotation]", "verify_for = 0s", "keep_disabled = 0s")
	w.quickCodes()
	w.set("policy=force-mfa", "propagation=12h")
	w.prime("dev")
	daemon, key := w.daemonPID(), w.stored("dev")
	watching := w.start("broker", "rotate", "dev")
	rot := w.awaitRotation("propagation")
	w.install(next, "broker", "broker-cli", "brokerd", "broker-vault")
	if p := w.status(); p.Prompts != 1 {
		t.Errorf("%d prompts before the upgrade", p.Prompts)
	}
	if _, problems := w.problems(); !strings.HasSuffix(problems[ipc.CodeOutdated].Hint, fmt.Sprintf(": kill %d", daemon)) || !watching.running() {
		t.Errorf("status tells of %+v; the user watches: %v", problems, watching.running())
	}
	w.signal(daemon, syscall.SIGTERM)
	if r := watching.wait(); r.status != 3 || r.stdout != "" || !strings.Contains(r.stderr, "the daemon is shutting down\nbroker: hint: run the command again") {
		t.Errorf("who watched: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}

	watching = w.start("broker", "rotate", "dev")
	if now := w.awaitRotation("propagation"); now.New != rot.New || now.Old != key {
		t.Errorf("the new daemon goes on with %+v; it was %+v", now, rot)
	}
	if version, problems := w.problems(); version != "99.0.0" || len(problems) != 0 || testprograms.Alive(daemon) {
		t.Errorf("brokerd %s serves, with %+v", version, problems)
	}
	w.set("propagation=none")
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code()))
	r := w.must(watching.wait())
	if want := "rotated: " + rot.New + " took the place of " + key + ", which is deleted\n"; !strings.HasPrefix(r.stdout, want) {
		t.Errorf("the user was told %q", r.stdout)
	}
	w.credentials("dev")
	w.oneRotation("ann", "dev", rot)
	if n := len(w.log("GetSessionToken")); n != 2 || w.status().Prompts != 1 {
		t.Errorf("%d codes were used, and the new daemon asked %d times", n, w.status().Prompts)
	}
	w.codesLoggedOnce()
}

// oneRotation fails the test unless one key was made, which is what is left.
func (w *world) oneRotation(userName, profile string, rot ipc.Rotation) {
	w.t.Helper()
	w.awaitNoRotation()
	if keys := w.keysOf(userName); len(keys) != 1 || keys[rot.New] != "Active" || w.stored(profile) != rot.New {
		w.t.Errorf("IAM has %v, the index %s; it was %+v", keys, w.stored(profile), rot)
	}
	if n := len(w.log("CreateAccessKey")); n != 1 {
		w.t.Errorf("%d keys were made", n)
	}
}

// upgradeOfAnIdleDaemon: a daemon without a session makes room for the new one by
// itself, but not as long as a rotation is on its way that somebody watches.
func upgradeOfAnIdleDaemon(t *testing.T, next string) {
	w := newWorld(t)
	w.alone("verify_for = 0s", "keep_disabled = 0s")
	w.set("propagation=12h")
	daemon := w.daemonPID()
	watching := w.start("broker", "rotate", racked)
	rot := w.awaitRotation("propagation")
	w.install(next, "broker", "broker-cli", "brokerd", "broker-vault")
	w.looksAround(daemon)
	w.set("propagation=none")
	w.must(watching.wait())
	w.oneRotation("eve", racked, rot)

	if w.daemonPID() != daemon {
		t.Fatal("another daemon serves already")
	}
	w.eventually("the old daemon has ended", func() error {
		if !testprograms.Alive(daemon) {
			return nil
		}
		_ = os.Remove(w.socket()) // it may not be there again yet, or not any more
		return errors.New("it runs")
	})
	if version, problems := w.problems(); version != "99.0.0" || len(problems) != 0 {
		t.Errorf("brokerd %s serves, with %+v", version, problems)
	}
	w.credentials(racked)
}

// looksAround has a daemon look at what stands in its place, as it does each
// minute, and returns when it has: it has made its socket again, or ended.
func (w *world) looksAround(daemon int) {
	w.t.Helper()
	remove(w.t, w.socket())
	w.eventually("the daemon looks around", func() error {
		if _, err := os.Lstat(w.socket()); err != nil && testprograms.Alive(daemon) {
			return err
		}
		return nil
	})
}
