// SPDX-License-Identifier: Apache-2.0

//go:build unix

package vault_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// tells runs a shell script as on_rotate for the stored key, with its directory
// as its only argument.
func (s *sealing) tells(t *testing.T, text string) (dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	script := filepath.Join(dir, "tell")
	if err := testprograms.Write(script, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, failure := s.run(t, ipc.OpOnRotate, ipc.OnRotateParams{
		ItemParams: itemParams(item(1)), Command: []string{script, dir, "$(touch " + dir + "/shell)"}, Environ: []string{"PATH=/usr/bin:/bin"},
	})
	if failure != nil {
		err = failure
	}
	return dir, err
}

// TestOnRotate: the environment names the key, standard input has the secret,
// and nothing else does; no shell looks at the arguments.
func TestOnRotate(t *testing.T) {
	s := newSealing(t)
	secret := putParams(item(1)).SecretAccessKey.Reveal()
	dir, err := s.tells(t, `cat >"$1/in"; env >"$1/env"; tr '\0' ' ' </proc/self/cmdline >"$1/args" 2>/dev/null || true; pwd >"$1/pwd"`)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got := read("in"); got != secret+"\n" {
		t.Errorf("standard input had %d bytes, want the secret and a newline", len(got))
	}
	env := read("env")
	for _, want := range []string{"BROKER_PROFILE=dev\n", "BROKER_ACCESS_KEY_ID=" + key1 + "\n", "BROKER_ACCOUNT_ID="} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment has no %q: %s", want, env)
		}
	}
	if strings.Contains(env+read("args"), secret) || read("pwd") != "/\n" {
		t.Errorf("the secret is in the environment or the arguments, or it ran in %s", read("pwd"))
	}
	if _, err := os.Stat(filepath.Join(dir, "shell")); err == nil {
		t.Error("a shell has read the arguments")
	}
}

// TestP22OnRotateFails: the error names the program and its exit status, and is
// the same whatever the program has printed of the secret, and in which form.
func TestP22OnRotateFails(t *testing.T) {
	s := newSealing(t)
	secret := putParams(item(1)).SecretAccessKey.Reveal()
	fails := func(print string) *ipc.Error {
		dir, err := s.tells(t, "IFS= read -r secret; exec >&2; "+print+"; exit 3")
		var e *ipc.Error
		if !errors.As(err, &e) || e.Code != ipc.CodeOnRotate || !strings.Contains(e.Message, "exit status 3") || !strings.Contains(e.Hint, "--resume") {
			t.Fatalf("%s: %+v", print, err)
		}
		e.Message = strings.ReplaceAll(e.Message, dir, "")
		return e
	}
	silent := fails("true")
	for _, print := range []string{
		`echo "no token: $secret"`,
		`echo "$secret" | sed 's,/,\\/,g'`, // as JSON writes it
		`echo "$secret" | sed 's,/,%2F,g'`,
		`printf %s "$secret" | od -An -tx1`,
		`printf %s "$secret" | base64`,
		`printf %s "$secret" | rev`,
		`printf %s "$secret" | fold -w1 | tr '\n' ' '`,
		`printf '%40s\n%285s%s' '' x "$secret"`,
		`printf '\033\033\033\033%295s%s' x "$secret"`,
	} {
		if e := fails(print); *e != *silent || strings.Contains(e.Message, secret[:4]) {
			t.Errorf("%s: it says %q, want %q", print, e.Message, silent.Message)
		}
	}
	if _, err := s.run(t, ipc.OpOnRotate, ipc.OnRotateParams{ItemParams: itemParams(item(1)), Command: []string{"tell"}}); err == nil {
		t.Error("a program without an absolute path was started")
	}
}
