// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
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
	w.set("propagation=12h:flap")
	rotating := w.start("broker", "rotate", racked)
	w.eventually("the new key works, and does not", func() error {
		results := map[string]int{}
		for _, e := range w.log("GetCallerIdentity", "GetUser") {
			if e.AccessKeyID != old {
				results[e.Result]++
			}
		}
		if results["ok"] == 0 || results["InvalidClientTokenId"] == 0 {
			return fmt.Errorf("AWS said %v", results)
		}
		return nil
	})
	w.set("propagation=none")
	w.must(rotating.wait())
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

func (w *world) configPath() string { return filepath.Join(w.home, ".config", "broker", "config") }
