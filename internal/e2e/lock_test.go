// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

// typed makes a vault that opens with a passphrase, with ann's and eve's keys.
// The second needs no code. What is made is unlocked.
func (w *world) typed() {
	w.t.Helper()
	w.passphrase = "correct horse battery staple " + rand.Text() // which is nowhere else
	cmd := w.command("broker", "init", "--backend", "file", "--passphrase-stdin")
	cmd.Stdin = strings.NewReader(w.passphrase + "\n")
	w.must(w.finish(cmd))
	w.t.Cleanup(func() { testprograms.End(w.bin) }) // before the world is removed
	path := filepath.Join(w.home, ".config", "broker", "config")
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, "\n[aws]\nendpoint_url = "+w.account.Endpoint+"\n"...), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.unlock()
	w.add("dev", "ann")
	w.add("ops", "eve", "--no-mfa")
	var text strings.Builder
	text.WriteString("[profile dev]\nregion = eu-west-1\n[profile ops]\nregion = eu-west-1\n")
	for i := range 10 {
		fmt.Fprintf(&text, "[profile region%d]\nsource_profile = ops\nregion = eu-central-1\n", i)
	}
	w.awsConfig(text.String())
}

func (w *world) unlock() result {
	w.t.Helper()
	cmd := w.command("broker", "unlock", "--stdin")
	cmd.Stdin = strings.NewReader(w.passphrase + "\n")
	return w.must(w.finish(cmd))
}

// holder returns the pid of who holds the vault's key, or 0.
func (w *world) holder() int {
	for pid, line := range testprograms.Running(w.bin) {
		if strings.HasSuffix(line, "broker-vault hold") {
			return pid
		}
	}
	return 0
}

// locked fails unless a request that needs a key is refused, at once.
func (w *world) locked(why string) {
	w.t.Helper()
	for _, profile := range []string{"dev", "ops", "region1"} {
		r := w.run("broker", "credential-process", profile)
		if r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, "the vault is locked: open it: broker unlock") {
			w.t.Errorf("%s: %s: status %d, stdout %q, stderr %q", why, r.line, r.status, r.stdout, r.stderr)
		}
	}
}

// TestP13LockedMeansNothingIsServed: helpers of many profiles that come, and
// that are there already, after lock. None waits its 50 seconds.
func TestP13LockedMeansNothingIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.typed()
	w.prime("dev")
	w.credentials("ops")
	w.credentials("region1")
	w.must(w.run("broker", "lock", "dev"))
	waiting := w.start("broker", "credential-process", "dev")
	w.awaitPending(1)
	w.must(w.run("broker", "lock"))
	if r := waiting.wait(); r.status != 5 || r.stdout != "" {
		t.Errorf("a helper that waited for a code: status %d, %q", r.status, r.stderr)
	}
	if pid := w.holder(); pid != 0 {
		t.Errorf("process %d holds the key after lock", pid)
	}
	if s := w.status().Sessions; len(s) != 0 {
		t.Errorf("sessions after lock: %+v", s)
	}
	before := len(w.caused())
	began := time.Now()
	var helpers []*background
	for i := range 10 {
		helpers = append(helpers, w.start("broker", "credential-process", fmt.Sprintf("region%d", i)))
	}
	for _, h := range helpers {
		if r := h.wait(); r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, "broker unlock") {
			t.Errorf("%s: status %d, stdout %q, stderr %q", r.line, r.status, r.stdout, r.stderr)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("helpers took %v to say that the vault is locked", took)
	}
	w.locked("after lock")
	if n := len(w.caused()); n != before {
		t.Errorf("%d calls to AWS for a locked vault", n-before)
	}
	w.unlock()
	w.credentials("region3")
}

// TestHolderAndDaemonDie: however one of them ends, the vault is locked and
// nothing is left; the next unlock is as good as the first.
func TestHolderAndDaemonDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.typed()
	kept := w.credentials("ops")
	w.signal(w.holder(), syscall.SIGKILL)
	w.eventually("the daemon notices", func() error {
		if r := w.run("broker", "status"); !strings.Contains(r.stdout, "store: file, locked for") {
			return errors.New(r.stdout)
		}
		return nil
	})
	if again := w.credentials("ops"); again.AccessKeyID != kept.AccessKeyID {
		t.Error("what is in memory is not served after the holder was killed")
	}
	if r := w.run("broker", "credential-process", "dev"); r.status != 5 {
		t.Errorf("without a holder: status %d, %s", r.status, r.stderr)
	}
	w.unlock()

	holder := w.holder()
	w.killDaemon()
	w.eventually("the holder ends with the daemon", func() error {
		if testprograms.Alive(holder) {
			return errors.New("it is there")
		}
		return nil
	})
	w.locked("after kill -9 of the daemon")
	w.unlock()
	w.credentials("ops")
}

// TestLockFlips: callers, lock and unlock at once; nobody hangs, and every
// answer is credentials or says what to do.
func TestLockFlips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.typed()
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			for range 10 {
				r := w.run("broker", "credential-process", fmt.Sprintf("region%d", i))
				served := r.status == 0 && strings.HasPrefix(r.stdout, `{"Version":1,`)
				refused := (r.status == 5 || r.status == 4) && r.stdout == "" && strings.Count(r.stderr, "\n") == 1
				if !served && !refused {
					t.Errorf("%s: status %d, stdout %q, stderr %q", r.line, r.status, r.stdout, r.stderr)
				}
			}
		})
	}
	for range 4 {
		w.must(w.run("broker", "lock"))
		w.unlock()
	}
	group.Wait()
	w.must(w.run("broker", "lock"))
	w.locked("after the last lock")
	w.unlock()
	w.credentials("region1")
}

// TestP29VaultKeyNeverEntersTheDaemon: neither the passphrase nor the key that
// comes from it is in the daemon, on a command line, in an environment, in a log
// or in a file. That the key is in its holder shows that the scan sees it.
func TestP29VaultKeyNeverEntersTheDaemon(t *testing.T) {
	t.Parallel()
	needRoot(t)
	begin := time.Now().Add(-time.Second)
	w := newWorld(t)
	w.typed()
	key := w.vaultKey()
	canary := newNeedle(w.passphrase)
	canary.add("key", newNeedle(key))
	v := w.watchFor(canary)
	for i := 0; i < 5 || v.looks() < 3; i++ {
		w.must(w.run("broker", "lock"))
		cmd := w.command("broker", "unlock", "--stdin")
		cmd.Stdin = strings.NewReader("wrong " + w.passphrase + "\n")
		if r := w.finish(cmd); r.status != 5 {
			t.Errorf("a wrong passphrase: status %d, %s", r.status, r.stderr)
		}
		w.unlock()
		w.credentials("ops")
		w.add("again", "bob", "--no-mfa")
		w.must(w.run("broker", "remove", "again", "--yes"))
	}
	v.sawNothing(3)
	if files := canary.scanFiles(t, begin, w.dir, os.TempDir()); len(files) > 0 {
		t.Errorf("in files:\n%s", strings.Join(files, "\n"))
	}
	if in, err := newNeedle(key).scanMemory(w.holder()); err != nil || len(in) == 0 {
		t.Errorf("the scanner does not find the key in its holder: %v", err)
	}
	if in, err := newNeedle(w.passphrase).scanMemory(w.holder()); err != nil || len(in) != 0 {
		t.Errorf("the passphrase is in the holder: %v, %v", in, err)
	}
}

// vaultKey asks the holder for the key, as a worker does.
func (w *world) vaultKey() string {
	w.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(w.dir, "run", "vault.sock"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(`{"v":1,"op":"key"}` + "\n")); err != nil {
		w.t.Fatal(err)
	}
	out, err := io.ReadAll(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	var answer struct {
		Result struct {
			Key string `json:"key"`
		} `json:"result"`
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Result.Key) != 64 {
		w.t.Fatalf("the holder answers %q, %v", out, err)
	}
	return answer.Result.Key
}
