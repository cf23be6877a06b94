// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rotations is what keeps a rotation from beginning, or from going on: a key
// that works is stored all the time, and the same command, or --resume, brings
// it to its end when the cause is gone.
func (s *scene) rotations() {
	_, secret := s.alone("verify_for = 0s", "keep_disabled = 0s", "on_rotate = "+filepath.Join(s.dir, "tell"))
	s.torn = true // a rotation changes the key that is stored, which is what it is for
	tell := func(text string) func() {
		return func() {
			path := filepath.Join(s.dir, "tell")
			overwrite(s.t, path, "#!/bin/sh\n"+text+"\n")
			if err := os.Chmod(path, 0o700); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	tell("exit 0")()
	rotate := func() result { return s.run("broker", "rotate", racked, "--json") }
	resume := func() result { return s.run("broker", "rotate", racked, "--resume", "--json") }
	policy := func(action, code string, again func() result) cause {
		return cause{
			name: "a rotation without iam:" + action, code: code, keep: true, call: rotate, again: again,
			do: s.turned("policy=deny:iam:" + action), undo: s.turned("policy=none"),
		}
	}
	var second string
	s.play(
		policy("ListAccessKeys", "aws_explicit_deny", rotate),
		policy("GetAccessKeyLastUsed", "aws_explicit_deny", rotate),
		policy("CreateAccessKey", "aws_explicit_deny", rotate),
		policy("UpdateAccessKey", "aws_explicit_deny", resume),
		policy("DeleteAccessKey", "aws_explicit_deny", resume),
		cause{
			name: "a rotation in quarantine", code: "aws_quarantined", keep: true, call: rotate, again: rotate,
			do: s.turned("policy=quarantine"), undo: s.turned("policy=none"),
		},
		cause{
			name: "a rotation while AWS throttles", code: "aws_throttled", keep: true, call: rotate, again: rotate,
			do: s.turned("throttle=0/s"), undo: s.turned("throttle=none"),
		},
		cause{
			name: "a rotation with two keys", code: "key_quota", keep: true, call: rotate, again: rotate,
			do: func() {
				now := s.stored(racked)
				r := s.must(s.run("broker-sandbox", "account", "--endpoint", s.account.Endpoint))
				s.must(s.asEve(secretsIn(s.t, r.stdout), now, "iam", "create-access-key"))
				for id := range s.keysOf("eve") {
					if id != now {
						second = id
					}
				}
			},
			undo: func() { s.set("key." + second + "=deleted") },
		},
		cause{
			name: "a rotation whose on_rotate fails", code: "on_rotate", keep: true, call: rotate, again: resume,
			do: tell("read secret; echo \"no token: $secret\" >&2; exit 3"), undo: tell("exit 0"),
		},
		cause{name: "a rotation that is not under way", code: "no_rotation", keep: true, call: resume, again: rotate},
		cause{
			name: "a rotation of a key that was deleted", code: "aws_key_unknown", keep: true, call: rotate, again: rotate,
			do: func() { s.set("key." + s.stored(racked) + "=Inactive") }, undo: func() { s.set("key." + s.stored(racked) + "=Active") },
		},
	)
	if keys := s.keysOf("eve"); len(keys) != 1 || keys[s.stored(racked)] != "Active" || secret[s.stored(racked)] != "" {
		s.t.Errorf("in the end IAM has %v", keys)
	}
}

// TestF12DryRunNamesWhatIsMissing: each permission, before anything is changed.
func TestF12DryRunNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone()
	for _, action := range []string{"iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:GetAccessKeyLastUsed"} {
		w.set("policy=deny:" + action)
		r := w.run("broker", "rotate", racked, "--dry-run")
		if r.status != 8 || !strings.Contains(r.stdout, "not allowed by IAM: "+action+"\n") || !strings.Contains(r.stderr, action) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", action, r.status, r.stdout, r.stderr)
		}
	}
	w.set("policy=none")
	w.must(w.run("broker", "rotate", racked, "--dry-run"))
	for _, e := range w.log("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey") {
		if e.Action == "CreateAccessKey" {
			t.Errorf("a dry run asked for %+v", e)
		}
	}
	if keys := w.keysOf("eve"); len(keys) != 1 {
		t.Errorf("IAM has %v", keys)
	}
}
