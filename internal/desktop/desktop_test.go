// SPDX-License-Identifier: Apache-2.0

//go:build linux

package desktop

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// start starts a program with a process group of its own, as ipc.StartGroup,
// which this package does not import, does.
func start(cmd *exec.Cmd) (wait func() error, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Wait, cmd.Start()
}

// script is a pinentry in a few lines of shell; get is what it does when it is
// asked for the code. Its pid and what it was told are beside it.
func script(t *testing.T, get string) *Dialog {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pinentry")
	text := "#!/bin/sh\necho $$ >$0.pid\necho OK ready\nwhile read -r l; do\n echo \"$l\" >>$0.log\n case $l in\n GETPIN) " + get + ";;\n *) echo OK;;\n esac\ndone\n"
	return program(t, path, text)
}

func program(t *testing.T, path, text string) *Dialog {
	t.Helper()
	if err := testprograms.Write(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Dialog{
		Programs: []string{path}, Start: start, Trust: func(string) error { return nil },
		Environ: func() []string { return []string{"DISPLAY=:99", "PATH=" + os.Getenv("PATH")} },
	}
}

func (d *Dialog) told(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(d.Programs[0] + ".log")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ask(t *testing.T, d *Dialog, q Question) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return d.Ask(ctx, q)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ get, want string }{
		"a code":                {`printf 'D 123456\nOK\n'`, "123456"},
		"in parts":              {`printf '# hi\nS PASSWORD_FROM_CACHE\nD 12%%33\nD 456\nOK done\n'`, "123456"},
		"nothing":               {`printf 'OK\n'`, ""},
		"cancelled":             {`printf 'ERR 83886179 Operation cancelled <Pinentry>\n'`, ""},
		"closed by the desktop": {`printf 'ERR 83886278 fully cancelled\n'`, ""},
		"no code":               {`printf 'D what%%20is this\nOK\n'`, "what is this"}, // the asker says so
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t, script(t, tc.get), Question{Title: "t"})
			if err != nil || got != tc.want {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// TestF50BrokenPinentry: a program that is not there, dies, hangs or prints
// anything else is no answer, and what it prints is not repeated.
func TestF50BrokenPinentry(t *testing.T) {
	t.Parallel()
	const junk = "987654"
	for name, d := range map[string]*Dialog{
		"absent":             {Programs: []string{"/nowhere/pinentry"}, Start: start, Environ: func() []string { return []string{"DISPLAY=:1"} }},
		"no desktop":         func() *Dialog { d := script(t, "echo OK"); d.Environ = func() []string { return nil }; return d }(),
		"dies at once":       program(t, filepath.Join(t.TempDir(), "p"), "#!/bin/sh\nexit 3\n"),
		"cannot run":         program(t, filepath.Join(t.TempDir(), "p"), "#!/nowhere/sh\n"),
		"no greeting":        program(t, filepath.Join(t.TempDir(), "p"), "#!/bin/sh\necho "+junk+"\n"),
		"refuses the title":  program(t, filepath.Join(t.TempDir(), "p"), "#!/bin/sh\necho OK\nread x\necho 'ERR 1 "+junk+"'\nread x\n"),
		"dies when asked":    script(t, "kill -9 $$"),
		"junk":               script(t, "echo "+junk),
		"junk for an error":  script(t, "echo ERR "+junk+"x"),
		"its own timeout":    script(t, "echo ERR 83886142 Timeout"),
		"no tty":             script(t, "echo ERR 83918950 Inappropriate ioctl"),
		"bad percent sign":   script(t, "printf 'D "+junk+"%%zz\\nOK\\n'"),
		"a line too long":    script(t, "head -c 5000 /dev/zero | tr '\\0' 'D'; echo"),
		"a line that is big": script(t, "printf 'D '; head -c 990 /dev/zero | tr '\\0' '7'; printf '\\nD 7777777777777777777777777\\nOK\\n'"),
		"lines without end":  script(t, "while echo S hello; do :; done"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t, d, Question{Title: "t"})
			if !errors.Is(err, ErrUnavailable) || got != "" || strings.Contains(err.Error(), junk) {
				t.Errorf("%q, %v; want %v", got, err, ErrUnavailable)
			}
		})
	}
}

// TestF50HangingPinentry: one that does not get ready is ended, and one that
// waits for its user ends when the question is withdrawn.
func TestF50HangingPinentry(t *testing.T) {
	t.Parallel()
	hangs := program(t, filepath.Join(t.TempDir(), "p"), "#!/bin/sh\nsleep 1000 &\nwait\n")
	hangs.setup = 100 * time.Millisecond
	if _, err := ask(t, hangs, Question{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("hanging at the start: %v", err)
	}
	waits := script(t, "touch $0.asked; sleep 1000 & wait")
	ctx, withdraw := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := waits.Ask(ctx, Question{Title: "t"})
		ended <- err
	}()
	eventually(t, func() bool { _, err := os.Stat(waits.Programs[0] + ".asked"); return err == nil })
	withdraw(nil)
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("withdrawn: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a question that was withdrawn stays")
	}
	data, err := os.ReadFile(waits.Programs[0] + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestP19QuestionIsShownAsItIs: whatever a name holds, it is one argument of
// one command, without control characters, and the program's own markup and
// mnemonics do not arise from it.
func TestP19QuestionIsShownAsItIs(t *testing.T) {
	t.Parallel()
	d := script(t, `printf 'D 123456\nOK\n'`)
	q := Question{
		Title: "bro\nker", Label: "Co\x1b[31mde:", Error: "no\r\nGETPIN",
		Text: "profile \u202egro.live\x00 \"%n\" $(reboot) <b>x</b>\nBYE\nnext",
	}
	if got, err := ask(t, d, q); err != nil || got != "123456" {
		t.Fatalf("%q, %v", got, err)
	}
	want := "SETTITLE bro ker\n" +
		"SETDESC profile \ufffdgro.live\ufffd \"%25n\" $(reboot) <b>x</b>%0ABYE%0Anext\n" +
		"SETPROMPT Co\ufffd[31mde:\nSETERROR no\ufffd GETPIN\nGETPIN\n"
	if got := d.told(t); got != want {
		t.Errorf("told %q,\nwant %q", got, want)
	}
	if _, err := ask(t, d, Question{Text: strings.Repeat("x", 1000)}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a text that no line holds: %v", err)
	}
}

// TestReady: without a display, or a program to trust, there is nothing to ask
// with.
func TestReady(t *testing.T) {
	t.Parallel()
	d := script(t, "echo OK")
	for _, tc := range []struct {
		environ []string
		want    bool
	}{
		{nil, false},
		{[]string{"DISPLAY="}, false},
		{[]string{"TERM=x"}, false},
		{[]string{"DISPLAY=:0"}, true},
		{[]string{"WAYLAND_DISPLAY=wayland-0"}, true},
	} {
		d.Environ = func() []string { return tc.environ }
		if got := d.Ready(); got != tc.want {
			t.Errorf("%q: %v", tc.environ, got)
		}
	}
	d.Environ = func() []string { return []string{"DISPLAY=:0"} }
	d.Trust = nil // a program below /tmp is no program of root's alone
	if d.Ready() {
		t.Error("a program that anybody could have put there is ready")
	}
}

// TestTrusted: who may run is of root, through every directory.
func TestTrusted(t *testing.T) {
	t.Parallel()
	if err := Trusted("/bin/sh"); err != nil {
		t.Errorf("/bin/sh: %v", err)
	}
	dir := t.TempDir()
	loose := filepath.Join(dir, "pinentry")
	if err := os.WriteFile(loose, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(loose, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{loose, link, "/nowhere", "/etc", "/etc/passwd"} {
		if Trusted(path) == nil {
			t.Errorf("%s is trusted", path)
		}
	}
}
