// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// script writes a program and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "command")
	if err := testprograms.Write(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandCode(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a code", "echo 123456", "123456"},
		{"no newline", "printf 123456", "123456"},
		{"CRLF", `printf '123456\r\n'`, "123456"},
		{"the serial", `[ "$BROKER_MFA_SERIAL" = ` + annMFA + ` ] && echo 654321`, "654321"},
		{"its own environment", `[ "$KEEP" = kept ] && [ -z "$CANARY$USER" ] && echo 654321`, "654321"},
		{"in the root directory", `[ "$(pwd)" = / ] && echo 654321`, "654321"},
		{"stdin is closed", "read line || echo 111111", "111111"},
		{"stderr is ignored", "echo oh >&2; echo 111111", "111111"},
		{"five digits", "echo 12345", ""},
		{"a word around it", "echo code 123456", ""},
		{"two lines", "echo 123456; echo 123456", ""},
		{"blank before it", "echo ' 123456'", ""},
		{"nothing", "true", ""},
		{"a failure", "echo 123456; exit 1", ""},
		{"far too much", "yes 123456 | head -c 1000000", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("CANARY", "x")
			path := script(t, tc.text)
			got, err := commandCode(t.Context(), []string{path}, []string{"KEEP=kept", "PATH=/usr/bin:/bin"}, annMFA)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "123456") {
				t.Errorf("the error shows what was printed: %v", err)
			}
		})
	}
	for _, command := range [][]string{nil, {"oathtool"}, {"./oathtool"}, {"/does/not/exist"}} {
		if _, err := commandCode(t.Context(), command, nil, annMFA); err == nil {
			t.Errorf("%q ran", command)
		}
	}
}

// TestCommandIsNoShell: arguments arrive as they are.
func TestCommandIsNoShell(t *testing.T) {
	path := script(t, `[ "$1" = '$(echo 1); a' ] && echo 123456`)
	if got, err := commandCode(t.Context(), []string{path, "$(echo 1); a"}, []string{"PATH=/bin"}, annMFA); got != "123456" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCommandIsKilledWithItsChildren when its time is over.
func TestCommandIsKilledWithItsChildren(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	path := script(t, "sleep 300 &\necho $! >"+pidFile+".new; mv "+pidFile+".new "+pidFile+"\nwait")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for range 10000 {
			if _, err := os.Stat(pidFile); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // polling, with a bound
		}
	}()
	if _, err := commandCode(ctx, []string{path}, []string{"PATH=/usr/bin:/bin"}, annMFA); err == nil {
		t.Fatal("it gave a code")
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "its child has ended", func() bool { return !testprograms.Alive(pid) })
}

// TestCommandIsTheFirstSurface: nobody is asked, and it counts as no prompt.
// Real processes and fake time do not mix, so this runs in real time.
func TestCommandIsTheFirstSurface(t *testing.T) {
	if _, err := exec.LookPath("cat"); err != nil {
		t.Fatal(err)
	}
	r := ready(t)
	defer func() { r.tasks.close() }()
	codes := filepath.Join(t.TempDir(), "codes")
	if err := os.WriteFile(codes, []byte(r.aws.code(annMFA, 0)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := script(t, `cat "`+codes+`"`)
	r.opts.CommandEnviron = func() ([]string, error) { return []string{"PATH=/usr/bin:/bin"}, nil }
	r.restart()
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[profile dev]\nmfa_command = "+command+"\n")
	fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
	fg.document(t)
	if s := r.status(); s.Prompts != 0 || len(fg.prompts) != 0 {
		t.Errorf("somebody was asked: %+v", s)
	}
}

// TestCommandEnvironIsAskedForEachTime: what broker init records counts from
// the next run on, and what is wrong with it shows, while the program runs with
// what there is.
func TestCommandEnvironIsAskedForEachTime(t *testing.T) {
	r := ready(t)
	defer func() { r.tasks.close() }()
	var home string
	var wrong error
	r.opts.CommandEnviron = func() ([]string, error) {
		return []string{"PATH=/usr/bin:/bin", "GNUPGHOME=" + home, "BROKER_MFA_SERIAL=canary"}, wrong
	}
	r.restart()
	saw := filepath.Join(t.TempDir(), "saw")
	command := script(t, `echo "$GNUPGHOME $BROKER_MFA_SERIAL" >'`+saw+`'`)
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[profile dev]\nmfa_command = "+command+"\n")
	for _, tc := range []struct {
		home string
		err  error
	}{{"/one", nil}, {"/two", errors.New("read /environment: not a private file")}} {
		home, wrong = tc.home, tc.err
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts // the program gave no code
		fg.answers <- ""
		if code := fg.code(); code != ipc.CodeMFACancelled {
			t.Fatalf("code %q", code)
		}
		if got, err := os.ReadFile(saw); err != nil || string(got) != tc.home+" "+annMFA+"\n" {
			t.Errorf("the program saw %q, %v", got, err)
		}
		problems := r.status().Problems
		if tc.err == nil {
			if len(problems) != 0 {
				t.Errorf("problems: %+v", problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Code != ipc.CodeConfigBroken ||
			!strings.Contains(problems[0].Message, tc.err.Error()) || !strings.Contains(problems[0].Hint, "broker init") {
			t.Errorf("problems: %+v", problems)
		}
		if !strings.Contains(r.log.String(), "mfa_command runs with the daemon's environment") {
			t.Errorf("the log does not tell:\n%s", r.log.String())
		}
	}
}

// TestF50BrokenCommandHandsOver: a command that gives no code is followed by the
// next surface.
func TestF50BrokenCommandHandsOver(t *testing.T) {
	r := ready(t)
	defer func() { r.tasks.close() }()
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[profile dev]\nmfa_command = /bin/false\n")
	fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
	<-fg.prompts
	fg.answers <- r.aws.code(annMFA, 0)
	fg.document(t)
	if s := r.status(); s.Prompts != 1 {
		t.Errorf("%d prompts", s.Prompts)
	}
}

// TestSurfacesInOrder: [mfa] surfaces says who is asked, and who is not.
func TestSurfacesInOrder(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[mfa]\nsurfaces = tty\n[profile dev]\nmfa_command = /bin/false\n")
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		tty := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY)
		<-tty.prompts
		tty.answers <- r.aws.code(annMFA, 0)
		fg.document(t)
		if len(fg.prompts) != 0 {
			t.Error("a terminal was asked")
		}
	})
}

func TestUntilStepAfter(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 500, time.UTC)
	for _, test := range []struct{ later, want time.Duration }{
		{0, 25*time.Second - 500},
		{20 * time.Second, 5*time.Second - 500},
		{25*time.Second - 500, 0}, // the step is over: what it showed is, too
		{40 * time.Second, 0},
	} {
		if got := untilStepAfter(at, at.Add(test.later)); got != test.want {
			t.Errorf("%v later: %v, want %v", test.later, got, test.want)
		}
	}
}
