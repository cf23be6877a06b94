// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asEve runs the aws command line with one of eve's keys, as another machine
// of hers would.
func (w *world) asEve(secret map[string]string, id string, args ...string) result {
	w.t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := w.command(path, append(args, "--endpoint-url", w.account.Endpoint, "--region", "us-east-1")...)
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret[id], "AWS_EC2_METADATA_DISABLED=true")
	return w.finish(cmd)
}

// alone initialises, and stores eve's key, which needs no code.
func (w *world) alone(settings ...string) (key string, secret map[string]string) {
	w.t.Helper()
	w.initialise(append([]string{"[rotation]"}, settings...)...)
	w.add(racked, "eve", "--no-mfa")
	w.awsConfig("[profile " + racked + "]\nregion = eu-west-1\n")
	k := w.user("eve").AccessKeys[0]
	return k.AccessKeyID, map[string]string{k.AccessKeyID: k.SecretAccessKey}
}

// TestOldKeyUsedElsewhere: another machine signs with the old key after the
// switch. The rotation stops before the old key is touched, and says when and
// for which service; the user's word lets it go on.
func TestOldKeyUsedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, secret := w.alone("verify_for = 0s", "keep_disabled = 0s")
	w.must(w.run("broker", "rotate", racked, "--hold"))
	w.set("now=+5m")
	w.must(w.asEve(secret, old, "sts", "get-caller-identity"))
	stopped := w.run("broker", "rotate", racked, "--resume")
	if stopped.status != 7 || !strings.Contains(stopped.stderr, "last used ") || !strings.Contains(stopped.stderr, " for sts in us-east-1") ||
		!strings.Contains(stopped.stderr, "broker rotate "+racked+" --undo") {
		t.Errorf("status %d, stderr %q", stopped.status, stopped.stderr)
	}
	if keys := w.keysOf("eve"); len(keys) != 2 || keys[old] != "Active" {
		t.Errorf("IAM has %v", keys)
	}
	w.must(w.run("broker", "rotate", racked, "--resume"))
	if keys := w.keysOf("eve"); len(keys) != 1 || keys[old] != "" {
		t.Errorf("in the end IAM has %v", keys)
	}
	w.credentials(racked)
}

// TestF11SecondKeyOfAnotherMachine: it stops the rotation before any write, and
// is shown with its age and use.
func TestF11SecondKeyOfAnotherMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, secret := w.alone()
	w.must(w.asEve(secret, old, "iam", "create-access-key"))
	r := w.run("broker", "rotate", racked)
	if r.status != 8 || !strings.Contains(r.stderr, "made 20") || !strings.Contains(r.stderr, "never used") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	if writes := w.log("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"); len(writes) != 1 {
		t.Errorf("IAM was asked for %+v", writes)
	}
	w.credentials(racked)
}

// TestF14RotatedElsewhere: somebody deletes the old key in the middle. The new
// one works, so the rotation comes to its end.
func TestF14RotatedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 0s", "keep_disabled = 0s")
	w.must(w.run("broker", "rotate", racked, "--hold"))
	w.set("key." + old + "=deleted")
	w.must(w.run("broker", "rotate", racked, "--resume"))
	if keys := w.keysOf("eve"); len(keys) != 1 || keys[w.stored(racked)] != "Active" {
		t.Errorf("IAM has %v", keys)
	}
	w.credentials(racked)
}

// TestPropagationFlaps: each endpoint knows the new key now and then. The old
// one is not touched before the new one has worked steadily.
func TestPropagationFlaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, _ := w.alone("verify_for = 2s", "keep_disabled = 0s")
	w.set("propagation=4s:flap")
	w.must(w.run("broker", "rotate", racked))
	refused, touched := 0, false
	for _, e := range w.log("GetCallerIdentity", "GetUser", "UpdateAccessKey", "DeleteAccessKey") {
		switch {
		case e.Action == "UpdateAccessKey" || e.Action == "DeleteAccessKey":
			touched = true
		case e.AccessKeyID != old && e.Result == "InvalidClientTokenId":
			refused++
			if touched {
				t.Error("the new key was refused after the old one was touched")
			}
		}
	}
	if refused == 0 || !touched {
		t.Errorf("the new key was refused %d times; the old one touched: %v", refused, touched)
	}
	w.credentials(racked)
}

// leaksOf returns the lines of a trace that have one of the secrets in them.
func leaksOf(t *testing.T, path string, needles []needle) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var leaks []string
	for line := range strings.Lines(string(data)) {
		for _, n := range needles {
			if strings.Contains(line, "</") && len(n.in([]byte(line))) > 0 { // to a file: pipes and sockets have no path
				leaks = append(leaks, strings.SplitN(line, ",", 2)[0])
			}
		}
	}
	return leaks
}

// TestP22RotationWritesNoSecret: every write of daemon and workers in a whole
// rotation, with a kill in the middle, and every file that is left. An on_rotate
// that does write the secret is found, so that we know that we would see it.
func TestP22RotationWritesNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secrets := w.alone("verify_for = 0s", "keep_disabled = 0s")
	leak := filepath.Join(w.dir, "leak")
	script := filepath.Join(w.dir, "tell")
	overwrite(t, script, "#!/bin/sh\nhead -c 100 >"+leak+"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	w.killDaemon()
	var traces []string
	traced := func() {
		path := filepath.Join(w.dir, "trace."+itoa(len(traces)))
		traces = append(traces, path)
		w.startCommand(w.command("strace", "-f", "-qq", "-y", "-s", "65536", "-e", "trace=write,pwrite64,writev,pwritev,sendfile", "-o", path,
			filepath.Join(w.bin, "brokerd")))
		w.eventually("the daemon serves", func() error {
			if w.daemonPID() == 0 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	learn := func() {
		r := w.must(w.run("broker-sandbox", "account", "--endpoint", w.account.Endpoint))
		for id, secret := range secretsIn(t, r.stdout) {
			secrets[id] = secret
		}
	}
	traced()
	w.must(w.run("broker", "rotate", racked, "--hold"))
	learn()
	w.signal(w.daemonPID(), syscall.SIGKILL)
	w.eventually("the daemon is dead", func() error {
		if w.daemonPID() != 0 {
			return errors.New("it serves")
		}
		return nil
	})
	traced()
	w.must(w.run("broker", "rotate", racked, "--resume"))
	var needles []needle
	for _, secret := range secrets {
		needles = append(needles, newNeedle(secret))
	}
	for _, path := range traces {
		if leaks := leaksOf(t, path, needles); len(leaks) > 0 {
			t.Errorf("%s: a secret was written to %v", filepath.Base(path), leaks)
		}
	}
	for path, text := range w.contents(w.home) {
		for _, n := range needles {
			if found := n.in([]byte(text)); len(found) > 0 {
				t.Errorf("%s has a secret in it: %v", path, found)
			}
		}
	}
	data, err := os.ReadFile(w.configPath())
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, w.configPath(), string(data)+"on_rotate = "+script+"\n")
	w.must(w.run("broker", "rotate", racked))
	learn()
	fresh := []needle{newNeedle(secrets[w.stored(racked)])}
	if leaks := leaksOf(t, traces[len(traces)-1], fresh); len(leaks) == 0 {
		t.Error("a program that writes the secret was not seen: the trace shows nothing")
	}
}

func (w *world) configPath() string { return filepath.Join(w.home, ".config", "broker", "config") }
