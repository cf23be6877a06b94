// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"credbroker/internal/testtracer"
)

// telling is an on_rotate that says the secret in every way that one would think
// of, and fails. It also writes it to a file, so that we know that we would see it.
const telling = `#!/bin/sh
read -r secret
printf '%s' "$secret" >LEAK
spell() {
	printf '%s\n' "$secret"
	printf '%s\n' "$secret" | sed 's,/,%2F,g; s,+,%2B,g'
	printf '%s\n' "$secret" | sed 's,/,\\/,g'
	printf '%s' "$secret" | base64
	printf '%s\n' "$secret" | fold -w 9
}
spell
spell >&2
exit 1
`

// spelt is a secret in every form that newNeedle knows, escaped for a URL, and in
// pieces, as it is when it stands on several lines.
func spelt(secret string) needle {
	n := newNeedle(secret)
	pieces := needle{"URL": []byte(url.QueryEscape(secret))}
	for form, size := range map[string]int{"raw": 8, "hex": 16, "base64+0": 12, "base64+1": 12, "base64+2": 12} {
		for at := 0; at+size <= len(n[form]); at++ {
			pieces[fmt.Sprintf("%s from %d", form, at)] = n[form][at : at+size]
		}
	}
	n.add("in pieces", pieces)
	return n
}

// chain plans blows each of which, as it falls, plans the next one.
func (w *world) chain(blows ...blow) {
	w.t.Helper()
	for i, b := range append(blows, blow{}) {
		name := filepath.Join(w.bin, "blow")
		if next := name + "." + itoa(i+1); i < len(blows) {
			b.Daemon, b.Worker, b.Run = true, true, []string{"/bin/mv", next, name}
		}
		plan, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		if i > 0 {
			name += "." + itoa(i)
		}
		overwrite(w.t, name, string(plan))
	}
}

// awaitChain waits until all blows have fallen and status, which starts no daemon
// here, shows what a rotation waits for; "" is none.
func (w *world) awaitChain(why string) {
	w.t.Helper()
	w.eventually("all blows have fallen, and the rotation waits for "+strconv.Quote(why), func() error {
		if left, err := filepath.Glob(filepath.Join(w.bin, "blow.*")); err != nil || len(left) > 0 {
			return fmt.Errorf("left: %v, %w", left, err)
		}
		all, served := (&rack{world: w}).seen()
		if !served || len(all) > 1 || len(all) == 1 != (why != "") || why != "" && all[0].Waiting != why {
			return fmt.Errorf("served: %v; %+v", served, all)
		}
		return nil
	})
}

// secretsNow are the secrets of all keys that the account has.
func (w *world) secretsNow() needle {
	w.t.Helper()
	all := needle{}
	for id, secret := range secretsIn(w.t, w.must(w.run("broker-sandbox", "account", "--endpoint", w.account.Endpoint)).stdout) {
		all.add(id, spelt(secret))
	}
	return all
}

// leaksOf returns the calls that wrote one of the secrets, of those on files: pipes
// and sockets have no path.
func leaksOf(calls []testtracer.Call, secrets needle) (leaks []string) {
	for _, c := range calls {
		if len(secrets.in(c.Data)) > 0 {
			leaks = append(leaks, c.String())
		}
	}
	return leaks
}

// TestP22RotationWritesNoSecret: every write of daemons and workers in a whole
// rotation that is cut short in and between all of its steps, with an on_rotate
// that prints the secret and fails; every file that is left; and every word that
// users are told.
func TestP22RotationWritesNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bin = w.wrapVault(tortured)
	leak, script := filepath.Join(w.dir, "leak"), filepath.Join(w.dir, "tell")
	overwrite(t, script, strings.Replace(telling, "LEAK", leak, 1))
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	w.alone("verify_for = 0s", "keep_disabled = 0s", "on_rotate = "+script)
	w.killDaemon()
	// Whenever the daemon is killed the next one is traced, too. A client that
	// found none would start one that is not.
	daemons := w.startTraced(w.command("/bin/sh", "-c", `until "$0"; do :; done`, filepath.Join(w.bin, "brokerd")),
		testtracer.Options{Below: []string{"/"}, Children: true, Data: true})
	w.eventually("a daemon serves", func() error {
		if w.daemonPID() == 0 {
			return errors.New("not yet")
		}
		return nil
	})

	var told []result
	w.chain(blow{Op: "seal", Nth: 1, After: true}, blow{Op: "create-key", Nth: 1, After: true}, blow{Op: "store-key", Nth: 1, After: true},
		blow{Op: "verify-key", Nth: 2}, blow{Op: "on-rotate", Nth: 1}, blow{Op: "on-rotate", Nth: 2, After: true})
	told = append(told, w.run("broker", "rotate", racked))
	w.awaitChain("stuck")
	secrets := w.secretsNow()
	told = append(told, w.run("broker", "status"), w.run("broker", "status", "--json"), w.run("broker", "rotate", racked, "--resume"), w.run("broker", "doctor"))
	if r := told[3]; r.status == 0 || !strings.Contains(r.stderr, "run on_rotate "+script) {
		t.Errorf("on_rotate fails: status %d, stderr %q", r.status, r.stderr)
	}
	journals := w.contents(w.rotations())
	overwrite(t, script, "#!/bin/sh\nhead -c 100 >"+leak+"\n")
	w.chain(blow{Op: "set-key-status", Nth: 1, After: true}, blow{Op: "delete-key", Nth: 1})
	told = append(told, w.run("broker", "rotate", racked, "--resume"))
	w.awaitChain("")
	w.signal(w.daemonPID(), syscall.SIGTERM)
	_, calls := daemons.wait()

	if len(journals) == 0 {
		t.Error("there was no journal to look into")
	}
	for _, files := range []map[string]string{journals, w.contents(w.home), {"brokerd.log": w.daemonLog()}} {
		for path, text := range files {
			if found := secrets.in([]byte(text)); len(found) > 0 {
				t.Errorf("%s has a secret in it: %s, and %d forms more", path, found[0], len(found)-1)
			}
		}
	}
	for _, r := range told {
		if found := secrets.in([]byte(r.stdout + r.stderr)); len(found) > 0 {
			t.Errorf("%s tells a secret: %s, and %d forms more", r.line, found[0], len(found)-1)
		}
	}
	w.tracedAll(calls)
	leaks := leaksOf(calls, secrets)
	for _, known := range []string{"write " + leak, "write /dev/null"} {
		if !slices.Contains(leaks, known) {
			t.Errorf("a program that writes the secret was not seen: there is no %s", known)
		}
		leaks = slices.DeleteFunc(leaks, func(line string) bool { return line == known })
	}
	for _, line := range leaks {
		t.Errorf("a secret was written: %s", line)
	}
}

// tracedAll fails the test if a daemon has served whose calls were not seen, since
// the first of those that were.
func (w *world) tracedAll(calls []testtracer.Call) {
	w.t.Helper()
	seen := map[int]bool{}
	for _, c := range calls {
		seen[c.Process] = true
	}
	traced := 0
	for _, match := range regexp.MustCompile(`msg=serving .*process=(\d+)`).FindAllStringSubmatch(w.daemonLog(), -1) {
		pid, err := strconv.Atoi(match[1])
		if err != nil {
			w.t.Fatal(err)
		}
		if seen[pid] {
			traced++
		} else if traced > 0 {
			w.t.Errorf("daemon %d was not traced", pid)
		}
	}
	if traced < 9 { // one for each blow, and the first one
		w.t.Errorf("%d daemons were traced", traced)
	}
}
