// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credbroker/vault/vaulttest"
)

// initialiseWith is initialise with another store than file.
func (w *world) initialiseWith(backend string) {
	w.t.Helper()
	w.must(w.run("broker", "init", "--backend", backend, "--yes"))
	w.pointToSandbox()
}

// TestPass: the main job with a real password store, whose environment is that
// of init alone; locked, it asks; found again by recover.
func TestPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := vaulttest.NewPasswordStore(t)
	bare := w.env
	w.env = append(w.env, s.Environ()...)
	w.initialiseWith("pass")
	w.killDaemon()
	w.env = bare // from here on the config counts
	w.add("dev", "ann")
	w.prime("dev")
	w.add("ops", "bob", "--no-mfa")
	w.credentials("ops")
	files, err := filepath.Glob(filepath.Join(s.Dir, "broker", "broker.v1.*.gpg"))
	if err != nil || len(files) != 2 {
		t.Fatalf("the password store has %v, %v; want two items", files, err)
	}
	secret := w.user("ann").AccessKeys[0].SecretAccessKey
	for _, path := range files {
		if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), secret) {
			t.Errorf("%s holds the secret in the clear, or cannot be read: %v", path, err)
		}
	}

	// A new daemon, a locked store, nobody to ask.
	w.killDaemon()
	s.Lock()
	s.Answer(vaulttest.AnswerCancel)
	r := w.run("broker", "credential-process", "ops")
	if r.status != 5 || r.stdout != "" || !strings.Contains(r.stderr, "pass show broker/broker.canary") {
		t.Errorf("locked: status %d, stdout %q, stderr %q; want 5 and how to unlock it", r.status, r.stdout, r.stderr)
	}
	s.Answer(vaulttest.AnswerRight)
	w.credentials("ops")

	// The index is lost.
	w.killDaemon()
	states, err := filepath.Glob(filepath.Join(w.home, ".local", "state", "broker", "state.json*"))
	if err != nil || len(states) == 0 {
		t.Fatalf("no index: %v", err)
	}
	for _, path := range states {
		remove(t, path)
	}
	w.must(w.run("broker", "recover"))
	w.credentials("ops")
	w.must(w.run("broker", "remove", "ops", "--yes"))
	if left, err := filepath.Glob(filepath.Join(s.Dir, "broker", "broker.v1.*.gpg")); err != nil || len(left) != 1 {
		t.Errorf("after remove the store has %v, %v; want one item", left, err)
	}
}
