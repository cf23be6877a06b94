// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// creations is what keeps IAM from making a key, or broker from keeping it: none
// is left at IAM, or in the vault, and the same command works when the cause is
// gone.
func (s *scene) creations() {
	eve, secret := s.alone("verify_for = 0s")
	create := func() result { return s.run("broker", "add", "new", "--create", "--using", racked, "--json") }
	// again is the same command, whose key makes room for the next cause.
	again := func() result {
		r := create()
		if r.status != 0 {
			return r
		}
		if id := s.stored("new"); id != "" {
			s.set("key." + id + "=deleted")
		}
		return s.run("broker", "remove", "new", "--yes")
	}
	policy := func(action string) cause {
		return cause{
			name: "a key made without iam:" + action, code: "aws_explicit_deny", keep: true, call: create, again: again,
			do: s.turned("policy=deny:iam:" + action), undo: s.turned("policy=none"),
		}
	}
	knob := func(name, code, do, undo string) cause {
		return cause{name: name, code: code, keep: true, call: create, again: again, do: s.turned(do), undo: s.turned(undo)}
	}
	var second string
	away, back := s.configured("endpoint_url", "endpoint_url = http://127.0.0.1:1")
	s.play(
		policy("ListAccessKeys"),
		policy("CreateAccessKey"),
		knob("a key made in quarantine", "aws_quarantined", "policy=quarantine", "policy=none"),
		knob("a key made while AWS throttles", "aws_throttled", "throttle=0/s", "throttle=none"),
		cause{name: "a key made while AWS is out of reach", code: "aws_unreachable", keep: true, call: create, again: again, do: away, undo: back},
		cause{
			name: "a third key", code: "key_quota", keep: true, call: create, again: again,
			do: func() {
				s.must(s.asEve(secret, eve, "iam", "create-access-key"))
				for id := range s.keysOf("eve") {
					if id != eve {
						second = id
					}
				}
			},
			undo: func() { s.set("key." + second + "=deleted") },
		},
		cause{name: "a key made for a profile that has one", code: "key_exists", keep: true, again: again, call: func() result {
			return s.run("broker", "add", racked, "--create")
		}},
		cause{name: "a key made by a profile without one", code: "no_profile", keep: true, again: again, call: func() result {
			return s.run("broker", "add", "new", "--create", "--using", "nobody")
		}},
		cause{name: "a key made of two sources", code: "usage", keep: true, again: again, call: func() result {
			return s.run("broker", "add", "new", "--create", "--stdin")
		}},
	)
	if keys := s.keysOf("eve"); len(keys) != 1 || keys[eve] != "Active" || len(s.left()) != 0 {
		s.t.Errorf("in the end IAM has %v, and of journals there is %q", keys, s.left())
	}
}

// left are the files of rotations.
func (s *scene) left() []string {
	s.t.Helper()
	left, err := filepath.Glob(filepath.Join(s.home, ".local", "state", "broker", "rotations", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return left
}

// orphans is what doctor says of keys that somebody has lost sight of: at IAM, in
// the vault, and in a sealed file.
func (s *scene) orphans() {
	first := s.user("eve").AccessKeys[0] // the second one is there before broker looks
	s.must(s.asEve(map[string]string{first.AccessKeyID: first.SecretAccessKey}, first.AccessKeyID, "iam", "create-access-key"))
	s.alone()
	state := filepath.Join(s.home, ".local", "state", "broker", "state.json")
	index, err := os.ReadFile(state)
	if err != nil {
		s.t.Fatal(err)
	}
	s.credentials(racked)
	s.learnt("neither stores nor has made")
	s.finding("a second key at IAM, of today", "key_unexplained", 0, "neither stores nor has made")
	config, err := os.ReadFile(s.configFile())
	if err != nil {
		s.t.Fatal(err)
	}
	overwrite(s.t, s.configFile(), strings.Replace(string(config), "[rotation]", "[rotation]\nmax_age = 30d", 1))
	s.set("now=+744h")
	s.killDaemon() // whose sessions are of last month
	s.credentials(racked)
	s.learnt("older than max_age")
	s.finding("a second key at IAM, older than max_age", "key_unexplained", 1, "older than max_age")
	s.killDaemon()
	sealed := filepath.Join(filepath.Dir(state), "rotations", strings.Repeat("a", 32)+".sealed")
	if err := os.MkdirAll(filepath.Dir(sealed), 0o700); err != nil {
		s.t.Fatal(err)
	}
	overwrite(s.t, sealed, "{}")
	s.status()
	s.finding("a sealed key without a journal", "storage", 1, "no journal")
	s.add("new", "bob", "--no-mfa")
	s.killDaemon()
	if err := os.Remove(state + ".1"); err != nil {
		s.t.Fatal(err)
	}
	overwrite(s.t, state, string(index)) // from a backup
	s.finding("a stored key without an index", "key_unexplained", 1, "neither index nor journal")
}

// learnt waits until the daemon has heard of what status is to say.
func (s *scene) learnt(words string) {
	s.t.Helper()
	s.eventually(words, func() error {
		if r := s.run("broker", "status"); !strings.Contains(r.stdout, words) {
			return fmt.Errorf("status says %q", r.stdout)
		}
		return nil
	})
}

// finding adds what doctor says of one thing as a row.
func (s *scene) finding(name, code string, status int, words string) {
	s.t.Helper()
	r := s.run("broker", "doctor")
	if r.status != status {
		s.t.Errorf("%s: doctor ended with %d, want %d: %s", name, r.status, status, r.stdout)
	}
	lines := strings.Split(r.stdout, "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, words) })
	if i < 0 {
		s.t.Fatalf("%s: doctor does not say %q: %s", name, words, r.stdout)
	}
	s.rows.add(s.t, "doctor finds "+name, fmt.Sprintf("%s (exit status %d)\n  $ broker doctor\n%s", code, status, indent(s.plain(lines[i]+"\n"+lines[i+1]))))
}
