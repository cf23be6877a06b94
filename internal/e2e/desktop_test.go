// SPDX-License-Identifier: Apache-2.0

//go:build stores

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"credbroker/vault/vaulttest"

	"credbroker/internal/testprograms"
)

// TestDesktopStores: init, add, a session with a code, recover and remove, with
// the Secret Service of each desktop.
func TestDesktopStores(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*vaulttest.Desktop){
		"KeePassXC": func(d *vaulttest.Desktop) { d.StartKeePassXC() },
		"KWallet":   func(d *vaulttest.Desktop) { d.StartKWallet() },
	} {
		t.Run(name, func(t *testing.T) {
			w, bus := desktopWorld(t)
			start(bus.NewDesktop(t))
			r := w.must(w.run("broker", "init", "--yes"))
			if !strings.Contains(r.stdout, "is now secret-service") {
				t.Errorf("init chose %q, want secret-service", r.stdout)
			}
			w.pointToSandbox()
			w.add("dev", "ann")
			w.add("ops", "bob", "--no-mfa")
			w.awsConfig("[profile dev]\nregion = eu-west-1\n")
			w.prime("dev")
			w.forget()
			w.prime("dev")
			w.credentials("ops")
			w.must(w.run("broker", "recover"))
			w.must(w.run("broker", "remove", "ops", "--yes"))
			w.credentials("dev")
		})
	}
}

// gcrWorld is keyringWorld on a desktop where gnome-keyring shows its dialogs,
// with the keyring locked and no session.
func gcrWorld(t *testing.T) (*world, *vaulttest.Keyring, *vaulttest.Desktop) {
	t.Helper()
	w, bus := desktopWorld(t)
	d := bus.NewDesktop(t)
	d.OfferPrompter()
	k := bus.StartKeyring(t)
	w.keysIn("secret-service")
	w.forget()
	k.Lock()
	return w, k, d
}

// F17: the real dialog, answered: all who wait are served, and asked once.
func TestF17RealDialogAnswered(t *testing.T) {
	t.Parallel()
	w, _, d := gcrWorld(t)
	helpers := w.crowd(6, "dev")
	d.Answer("password", "Return")
	for _, helper := range helpers {
		w.document(helper.wait())
	}
	w.noDialog(d)
}

// noDialog waits until no dialog is up.
func (w *world) noDialog(d *vaulttest.Desktop) {
	w.t.Helper()
	w.eventually("no dialog is up", func() error {
		if ids := d.Dialogs(); len(ids) != 0 {
			return fmt.Errorf("windows %v", ids)
		}
		return nil
	})
}

// F18: the real dialog, escaped.
func TestF18RealDialogEscaped(t *testing.T) {
	t.Parallel()
	w, k, d := gcrWorld(t)
	helper := w.start("broker", "credential-process", "dev")
	d.Answer("Escape")
	w.refused("escaped", helper.wait(), "cancelled")
	k.Unlock()
	w.credentials("dev")
}

// F19: the real dialog, unanswered: the worker ends, the helper before it with
// a line that says what to do, and the daemons live on, broker's and the
// keyring's. The dialog stays; answered late, it serves whoever waits then.
func TestF19RealDialogUnanswered(t *testing.T) {
	t.Parallel()
	w, _, d := gcrWorld(t)
	helper := w.start("broker", "credential-process", "dev")
	d.AwaitDialog()
	workers := w.workerPIDs()
	if len(workers) != 1 {
		t.Fatalf("workers %v, want one", workers)
	}
	r := helper.wait()
	if r.status == 0 || r.stdout != "" || r.stderr == "" {
		t.Errorf("unanswered: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	t.Logf("the helper said: %s", r.stderr)
	w.eventually("the worker has ended", func() error {
		if testprograms.Alive(workers[0]) {
			return errors.New("it runs")
		}
		return nil
	})
	again := w.crowd(1, "dev")
	d.Answer("password", "Return")
	w.document(again[0].wait())
	w.noDialog(d)
}

// F20: the keyring is killed while its real dialog is up.
func TestF20RealKeyringKilledDuringDialog(t *testing.T) {
	t.Parallel()
	w, k, d := gcrWorld(t)
	helper := w.start("broker", "credential-process", "dev")
	d.AwaitDialog()
	k.Kill()
	w.refused("killed", helper.wait(), "went away")
	k.Start()
	w.credentials("dev")
}

// F52: the program that shows the dialog is stopped. It is as if nobody answered.
func TestF52PrompterStopped(t *testing.T) {
	t.Parallel()
	w, k, d := gcrWorld(t)
	daemon := w.daemonPID()
	helper := w.start("broker", "credential-process", "dev")
	d.AwaitDialog()
	prompter := d.Prompter()
	w.signal(prompter, syscall.SIGSTOP)
	if r := helper.wait(); r.status == 0 || r.stdout != "" {
		t.Errorf("status %d, stdout %q, stderr %q; want a failure", r.status, r.stdout, r.stderr)
	}
	w.eventually("no worker is left", func() error {
		if pids := w.workerPIDs(); len(pids) != 0 {
			return fmt.Errorf("%v run", pids)
		}
		return nil
	})
	w.signal(prompter, syscall.SIGKILL)
	k.Kill() // which hangs on to its prompter
	k.Start()
	w.credentials("dev")
	if now := w.daemonPID(); now != daemon {
		t.Errorf("pid %d serves, pid %d did", now, daemon)
	}
}
