// SPDX-License-Identifier: Apache-2.0

//go:build unix

package tty

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// The test binary also is the program that asks: only a process of its own can
// have a controlling terminal of its own.
func TestMain(m *testing.M) {
	if os.Getenv("TTY_TEST_ROLE") != "" {
		askRole()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// askRole does what the lines of its standard input say and prints what came
// of it on standard output.
func askRole() {
	if os.Getenv("TTY_TEST_ROLE") == "ignore-hup" {
		signal.Ignore(unix.SIGHUP)
	}
	t, err := Open()
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var asking sync.WaitGroup
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		word, prompt, _ := strings.Cut(in.Text(), " ")
		switch word {
		case "usable":
			fmt.Println(t.Usable())
		case "terminals":
			fmt.Println(IsTerminal(0), IsTerminal(2))
		case "cancel":
			cancel(errors.New("answered elsewhere"))
			continue
		case "write":
			_, err := io.WriteString(t, prompt)
			fmt.Println(err)
		case "line", "secret":
			ctx := ctx
			asking.Go(func() {
				if word == "line" {
					line, err := t.ReadLine(ctx, prompt)
					fmt.Printf("%q %v\n", line, err)
					return
				}
				s, err := t.ReadSecret(ctx, prompt)
				fmt.Printf("%q %v\n", s.Reveal(), err)
			})
			continue
		case "again":
			ctx, cancel = context.WithCancelCause(context.Background())
			fmt.Println("ok")
		case "background": // the same program, in a process group of its own
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = []string{"TTY_TEST_ROLE=ask"}
			cmd.Stdin, cmd.Stdout = strings.NewReader("usable\nline x\n"), os.Stdout
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			fmt.Println(cmd.Run())
		}
	}
	asking.Wait()
	cancel(nil)
}

// session is a terminal with an asking program on it.
type session struct {
	t       *testing.T
	cmd     *exec.Cmd
	master  *os.File
	slave   *os.File
	in      io.WriteCloser
	out     *bufio.Reader
	mu      sync.Mutex
	screen  strings.Builder
	drawing chan struct{}
}

func newSession(t *testing.T, role string) *session {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	// Opened by hand, so that closing it ends a read of it.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err := errors.Join(err, unix.SetNonblock(fd, true), master.Close()); err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	s := &session{t: t, master: master, slave: slave, drawing: make(chan struct{})}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(self)
	s.cmd.Env = []string{"TTY_TEST_ROLE=" + role}
	s.cmd.Stderr = slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.draw()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = s.slave.Close()
		_ = s.master.Close()
		<-s.drawing
	})
	return s
}

// draw keeps what the terminal shows.
func (s *session) draw() {
	defer close(s.drawing)
	buf := make([]byte, 1024)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		s.screen.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *session) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String()
}

// wait polls until cond holds.
func (s *session) wait(what string, cond func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			s.t.Fatalf("timed out waiting for %s; the screen shows %q", what, s.shown())
		}
		<-tick.C
	}
}

func (s *session) waitShown(text string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("%q on the screen", text), func() bool { return strings.Contains(s.shown(), text) })
}

func (s *session) echo() bool {
	mode, err := getMode(int(s.slave.Fd()))
	if err != nil {
		s.t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

func (s *session) setMode(edit func(*unix.Termios)) {
	s.t.Helper()
	mode, err := getMode(int(s.slave.Fd()))
	if err != nil {
		s.t.Fatal(err)
	}
	edit(mode)
	if err := setMode(int(s.slave.Fd()), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) do(command string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) typing(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.master, keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) want(result string) {
	s.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	if got, err := s.out.ReadString('\n'); strings.TrimSuffix(got, "\n") != result {
		s.t.Errorf("result %s (%v), want %s; the screen shows %q", strings.TrimSpace(got), err, result, s.shown())
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ask")
	s.do("line code for dev: ")
	s.waitShown("code for dev: ")
	s.typing("12345\x7f56\n")
	s.want(`"123456" <nil>`)
	s.waitShown("12345")
	s.do("line again: ")
	s.waitShown("again: ")
	s.typing("\n")
	s.want(`"" <nil>`)
	s.do("line end: ")
	s.waitShown("end: ")
	s.typing("\x04")
	s.want(`"" EOF`)
	s.do("write done")
	s.want("<nil>")
	s.waitShown("done")
}

func TestPromptCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ask")
	s.do("line évil \x1b[2Jdev\u202exed\u2028\a: ")
	s.waitShown("évil ?[2Jdev?xed??: ")
	s.typing("\n")
	s.want(`"" <nil>`)
}

func TestWithdrawnLineStaysWithTheTerminal(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ask")
	s.do("line first: ")
	s.waitShown("first: ")
	s.typing("abc")
	s.waitShown("abc")
	s.do("cancel")
	s.want(`"" answered elsewhere`)
	s.do("line ended: ")
	s.want(`"" answered elsewhere`)
	s.do("again")
	s.want("ok")
	s.do("line second: ")
	s.waitShown("second: ")
	s.typing("d\n")
	s.want(`"abcd" <nil>`)
}

func TestReadSecret(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ask")
	s.do("secret key: ")
	s.waitShown("key: ")
	if s.echo() {
		t.Error("the echo is on")
	}
	s.typing("canary\n")
	s.want(`"canary" <nil>`)
	s.do("write done")
	s.want("<nil>")
	s.waitShown("done")
	if strings.Contains(s.shown(), "canary") {
		t.Errorf("the screen shows %q", s.shown())
	}
	if !s.echo() {
		t.Error("the echo stays off")
	}
}

func TestEchoComesBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(s *session)
		want string
	}{
		{"withdrawn", func(s *session) { s.do("cancel") }, `"" answered elsewhere`},
		{"Ctrl-C", func(s *session) { s.typing("\x03") }, `"" terminal: interrupted`},
		{"SIGTERM", func(s *session) { _ = s.cmd.Process.Signal(unix.SIGTERM) }, `"" terminal: interrupted`},
		{"Ctrl-D", func(s *session) { s.typing("\x04") }, `"" EOF`},
	} {
		s := newSession(t, "ask")
		s.do("secret key: ")
		s.waitShown("key: ")
		tt.end(s)
		s.want(tt.want)
		if !s.echo() {
			t.Errorf("%s: the echo stays off", tt.name)
		}
	}
}

func TestSecretIsAskedAgainAfterSuspension(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ask")
	s.do("secret key: ")
	s.waitShown("key: ")
	s.setMode(func(m *unix.Termios) { m.Lflag |= unix.ECHO }) // as a shell does
	if err := s.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.waitShown("key: key: ")
	if s.echo() {
		t.Error("the echo is on")
	}
	s.typing("canary\n")
	s.want(`"canary" <nil>`)
}

func TestUsable(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ask")
	s.do("terminals")
	s.want("false true")
	s.do("usable")
	s.want("true")
	s.setMode(func(m *unix.Termios) { m.Lflag &^= unix.ICANON }) // as an editor does
	s.do("usable")
	s.want("false")
	s.setMode(func(m *unix.Termios) { m.Lflag |= unix.ICANON })
	s.do("background")
	s.want("false")
	s.want(`"" terminal: not in the foreground`)
	s.want("<nil>")
	s.do("usable")
	s.want("true")
}

func TestTerminalThatGoesAway(t *testing.T) {
	t.Parallel()
	s := newSession(t, "ignore-hup")
	s.do("line code: ")
	s.waitShown("code: ")
	if err := errors.Join(s.slave.Close(), s.master.Close()); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	if got, err := s.out.ReadString('\n'); err != nil || !strings.HasPrefix(got, `"" `) || strings.Contains(got, "nil") {
		t.Errorf("result %q, %v, want an error", got, err)
	}
}

func TestNoTerminal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"TTY_TEST_ROLE=ask"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "open: open the terminal: ") {
		t.Errorf("without a terminal: %q, %v", out, err)
	}
}
