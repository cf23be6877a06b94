// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// TestF34ClientsRaceToStart: twenty commands find no daemon, and start one each;
// one serves them all.
func TestF34ClientsRaceToStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	for range 3 {
		w.killDaemon()
		var all []*background
		for range 20 {
			all = append(all, w.start("broker", "status", "--json"))
		}
		pids := map[int]bool{}
		for _, b := range all {
			var s status
			if err := json.Unmarshal([]byte(w.must(b.wait()).stdout), &s); err != nil {
				t.Fatal(err)
			}
			pids[s.PID] = true
		}
		if len(pids) != 1 {
			t.Errorf("they were served by %v", pids)
		}
	}
}

// TestF35PowerLoss: socket, lock files and their notes are those of before, and
// nobody holds them.
func TestF35PowerLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	want := w.credentials("dev").AccountID
	w.killDaemon()
	state := filepath.Join(w.home, ".local", "state", "broker", "state.lock")
	for _, path := range []string{w.socket(), filepath.Join(filepath.Dir(w.socket()), "brokerd.lock"), state} {
		if _, err := os.Lstat(path); err != nil {
			t.Fatalf("kill -9 removed it: %v", err)
		}
	}
	// The process that the note names is somebody else's now.
	overwrite(t, state, "process 1 on "+w.socket()+"\n")
	if got := w.credentials("dev").AccountID; got != want {
		t.Errorf("account %s, want %s", got, want)
	}
}

// TestF36DaemonKilledInARequest: a helper asks once more, and whoever answers is
// asked for again; an MFA code is not sent again. Nobody waits for a daemon that
// is not there, and nothing half gets out.
func TestF36DaemonKilledInARequest(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.quickCodes()
	helper := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	w.killDaemon()
	w.awaitPending(1)
	if !helper.running() {
		t.Fatalf("the helper gave up: %+v", helper.wait())
	}
	w.must(w.run("broker", "mfa", w.code()))
	w.document(helper.wait())

	w.killDaemon() // and with it the session
	helper = w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	w.killDaemon()
	w.awaitPending(1)
	w.endsWithTheDaemon(helper, 1)

	other := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	w.set("delay.GetSessionToken=1m")
	mfa := w.start("broker", "mfa", w.code())
	w.eventually("the code is on its way", func() error {
		if !w.workerRuns() {
			return errors.New("no worker runs")
		}
		return nil
	})
	w.endsWithTheDaemon(mfa, 2)
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// workerRuns reports whether the daemon has a child.
func (w *world) workerRuns() bool {
	tasks, _ := filepath.Glob("/proc/" + itoa(w.daemonPID()) + "/task/*/children") // the pattern is well formed
	for _, task := range tasks {
		if children, err := os.ReadFile(task); err == nil && len(children) > 0 {
			return true
		}
	}
	return false
}

// endsWithTheDaemon kills the daemon: the client then says so at once.
func (w *world) endsWithTheDaemon(client *background, lines int) {
	w.t.Helper()
	w.killDaemon()
	begin := time.Now()
	r := client.wait()
	if took := time.Since(begin); took > 20*time.Second { // waiting for another daemon would take a minute
		w.t.Errorf("%s went on for %v", r.line, took)
	}
	if r.status != 3 || r.stdout != "" || strings.Count(r.stderr, "\n") != lines || !strings.Contains(r.stderr, "went away") {
		w.t.Errorf("%s: status %d, stdout %q, stderr %q; want 3, nothing, %d lines", r.line, r.status, r.stdout, r.stderr, lines)
	}
}

// install puts the programs of another release in the place of this world's, as
// a package manager does: each by renaming a new file.
func (w *world) install(from string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		path := filepath.Join(w.bin, name)
		copyFile(w.t, filepath.Join(from, name), path+".new")
		if err := os.Rename(path+".new", path); err != nil {
			w.t.Fatal(err)
		}
	}
}

// problems returns the problems that status tells of, by their code.
func (w *world) problems() (version string, byCode map[ipc.Code]ipc.Error) {
	w.t.Helper()
	var s ipc.Status
	if err := json.Unmarshal([]byte(w.must(w.run("broker", "status", "--json")).stdout), &s); err != nil {
		w.t.Fatal(err)
	}
	byCode = map[ipc.Code]ipc.Error{}
	for _, p := range s.Problems {
		byCode[p.Code] = p
	}
	return s.Version, byCode
}

// TestF37UpgradeWhileClientsRun: a new release is installed while the daemon of
// the old one serves: helpers, or a rotation.
func TestF37UpgradeWhileClientsRun(t *testing.T) {
	t.Parallel()
	next, err := testprograms.Build("-ldflags", "-X main.version=99.0.0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(next) })
	for name, upgrade := range map[string]func(*testing.T, string){
		"helpers": upgradeUnderHelpers, "rotation": upgradeInARotation, "rotation without a session": upgradeOfAnIdleDaemon,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upgrade(t, next)
		})
	}
}

// upgradeUnderHelpers: the old daemon serves on, because its session would cost a
// code, and status says what to type. Then it finishes what it is at, while the
// new one takes its place: no caller fails.
func upgradeUnderHelpers(t *testing.T, next string) {
	w := newWorld(t)
	w.ready()
	w.add("ci", "bob", "--no-mfa")
	w.prime("dev")
	old := w.daemonPID()
	w.install(next, "broker", "broker-cli", "brokerd", "broker-vault")

	w.credentials("dev")
	version, problems := w.problems()
	p, ok := problems[ipc.CodeOutdated]
	if version != "0.0.0-dev" || !ok || !strings.HasSuffix(p.Hint, fmt.Sprintf(": kill %d", old)) {
		t.Errorf("status of brokerd %s tells of %+v", version, problems)
	}
	if w.daemonPID() != old {
		t.Error("the old daemon was replaced although it has a session")
	}

	w.set("delay.GetSessionToken=1m")
	late := w.start("broker", "credential-process", "ci") // the old daemon's
	w.eventually("the old daemon is at work", func() error {
		if !w.workerRuns() {
			return errors.New("no worker runs")
		}
		return nil
	})
	w.signal(old, syscall.SIGTERM)
	early := w.start("broker", "credential-process", "ci") // the new daemon's
	w.set("delay.GetSessionToken=0s")
	w.document(late.wait())
	w.document(early.wait())
	if version, problems := w.problems(); version != "99.0.0" || len(problems) != 0 {
		t.Errorf("brokerd %s serves, with %+v", version, problems)
	}
	w.eventually("the old daemon has ended", func() error {
		if pid := w.daemonPID(); pid == old || testprograms.Alive(old) {
			return fmt.Errorf("daemon %d serves, and the old one was %d", pid, old)
		}
		return nil
	})
}

// TestF38WorkerReplacedUnderTheDaemon: the daemon goes on with the worker that
// it came with, whatever stands in its place.
func TestF38WorkerReplacedUnderTheDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.set("session_life=15m") // so that each helper gets a new one
	w.add("dev", "ann", "--no-mfa")
	broken := filepath.Join(w.dir, "broken")
	if err := os.Mkdir(broken, 0o700); err != nil {
		t.Fatal(err)
	}
	copyFile(t, "/bin/false", filepath.Join(broken, "broker-vault"))
	w.install(broken, "broker-vault")
	w.credentials("dev")
	if err := os.Remove(filepath.Join(w.bin, "broker-vault")); err != nil {
		t.Fatal(err)
	}
	first, second := w.credentials("dev"), w.credentials("dev")
	if first == second {
		t.Error("the second one was served from memory: nothing was tested")
	}
	w.killDaemon()
	if r := w.run("broker", "credential-process", "dev"); r.status == 0 {
		t.Error("a new daemon has a worker, and there is none")
	}
}
