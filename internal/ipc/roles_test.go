// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testprograms"

	"golang.org/x/sys/unix"
)

// playRole is the test binary as another process. IPC_TEST_DIR is the
// directory of the socket.
func playRole(role string) error {
	dir := os.Getenv("IPC_TEST_DIR")
	switch role {
	case "daemon":
		return daemonRole(dir)
	case "hello":
		var h Hello
		err := (&Client{Socket: filepath.Join(dir, "broker.sock"), Name: "broker 1.2.0"}).Call(context.Background(), OpHello, nil, &h)
		var e *Error
		if errors.As(err, &e) {
			fmt.Println(e.Code, e.Message)
			return nil
		}
		fmt.Println("pid", h.PID)
		return err
	case "raw":
		return rawRole(dir)
	case "fake":
		return fakeRole(dir)
	default:
		return workerRole(role)
	}
}

// daemonRole serves testHandler until its standard input ends. A line "hog"
// there makes it use up all its file descriptors, and "free" gives them back.
func daemonRole(dir string) error {
	if mask, err := strconv.ParseInt(os.Getenv("IPC_TEST_UMASK"), 8, 32); err == nil {
		unix.Umask(int(mask))
	}
	if n, err := strconv.ParseUint(os.Getenv("IPC_TEST_NOFILE"), 10, 32); err == nil {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	l, err := Listen(options(dir, os.Stderr))
	switch {
	case errors.Is(err, ErrServed):
		os.Exit(75)
	case errors.Is(err, ErrUnsafe):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(78)
	case err != nil:
		return err
	}
	fmt.Println("ready")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		var hogged []*os.File
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			switch in.Text() {
			case "hog":
				for {
					f, err := os.Open("/dev/null")
					if err != nil {
						break
					}
					hogged = append(hogged, f)
				}
			case "free":
				for _, f := range hogged {
					_ = f.Close()
				}
			}
			fmt.Println(in.Text())
		}
	}()
	return errors.Join(l.Serve(ctx, testHandler), l.Close())
}

// rawRole sends a request whoever listens, and prints what comes back.
func rawRole(dir string) error {
	conn, err := net.Dial("unix", filepath.Join(dir, "broker.sock"))
	if err != nil {
		return err
	}
	_, werr := io.WriteString(conn, `{"v":1,"op":"hello"}`+"\n")
	got, rerr := io.ReadAll(conn)
	fmt.Printf("%d bytes (%v, %v)\n", len(got), werr, rerr)
	return nil
}

// fakeRole listens where the daemon should, open to everybody, and prints what
// one client sends.
func fakeRole(dir string) error {
	unix.Umask(0)
	l, err := net.Listen("unix", filepath.Join(dir, "broker.sock"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	got, err := io.ReadAll(conn)
	fmt.Printf("%d bytes %v\n", len(got), err)
	return nil
}

// testExe returns a copy of the test binary that every user can run: the one
// that go test made is in a private directory.
func testExe(t testing.TB) string {
	t.Helper()
	dir := testDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "ipc.test")
	if err := os.Link(self, exe); err == nil {
		return exe
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := testprograms.Write(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return exe
}

// process is the test binary in a role.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *logBuffer
}

// start starts the binary exe in a role as user uid; 0 is the user of the test.
func start(t testing.TB, exe string, uid int, role, dir string, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(exe), stderr: &logBuffer{}}
	p.cmd.Env = append([]string{"IPC_TEST_ROLE=" + role, "IPC_TEST_DIR=" + dir}, env...)
	p.cmd.Dir = "/"
	p.cmd.Stderr = p.stderr
	if uid != 0 {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	return p
}

// line returns the next line that the process prints, or "" at the end.
func (p *process) line() string {
	line, _ := p.stdout.ReadString('\n')
	return strings.TrimSpace(line)
}

func (p *process) tell(t testing.TB, word string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.stdin, word); err != nil {
		t.Fatal(err)
	}
	if got := p.line(); got != word {
		t.Fatalf("daemon says %q to %q", got, word)
	}
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// status waits for the end of the process and returns its exit status.
func (p *process) status(t testing.TB) int {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func workerRole(role string) error {
	if !strings.HasPrefix(role, "worker-") {
		return fmt.Errorf("no role %q", role)
	}
	switch role {
	case "worker-echo":
		return ServeOne(context.Background(), os.Stdin, os.Stdout, func(_ context.Context, c *Conversation) (json.RawMessage, error) {
			if _, err := c.Prompt(context.Background(), testPrompt(1, "")); !errors.Is(err, ErrCannotAsk) {
				return nil, fmt.Errorf("prompt in a worker: %w", err)
			}
			return json.Marshal(map[string]any{
				"op": c.Request.Op, "params": c.Request.Params, "argv": os.Args[1:], "env": os.Environ(),
				"leader": unix.Getpgrp() == os.Getpid(), "client": c.Request.Client,
			})
		})
	case "worker-stays": // answers, and goes on
		note()
		fmt.Printf(`{"result":{"leader":%v,"args":%q}}`+"\n", unix.Getpgrp() == os.Getpid(), strings.Join(os.Args[1:], " "))
		select {}
	case "worker-silent": // goes on without an answer
		note()
		select {}
	case "worker-calls": // holds a conversation that it does not end
		note()
		client := &Client{Socket: os.Getenv("IPC_TEST_SOCKET"), Name: "test"}
		return client.Call(context.Background(), OpHolding, nil, nil)
	case "worker-fails":
		return ServeOne(context.Background(), os.Stdin, os.Stdout, func(context.Context, *Conversation) (json.RawMessage, error) {
			return nil, &Error{Code: CodeAWSDenied, Message: "denied", Spent: true}
		})
	case "worker-hangs": // without reading its request, and with a child
		child := exec.Command("/bin/sleep", "1000")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return err
		}
		note(child.Process.Pid)
		select {}
	case "worker-leaves-child": // which holds its standard output
		child := exec.Command("/bin/sleep", "1000")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
		note(child.Process.Pid)
		fmt.Println(`{"result":{"ok":true}}`)
		return nil
	case "worker-leaves-session": // the same, out of our process group's reach
		child := exec.Command("/bin/sleep", "60")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			return err
		}
		note(child.Process.Pid)
		fmt.Println(`{"result":{"ok":true}}`)
		return nil
	case "worker-dies":
		fmt.Fprintln(os.Stderr, "code 123456 and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY for AKIAIOSFODNN7EXAMPLE")
		os.Exit(2)
	case "worker-half":
		fmt.Print(`{"result":{"ok":true}`)
	case "worker-babbles":
		fmt.Println("hello")
	case "worker-floods":
		for range 300 {
			fmt.Print(strings.Repeat("x", 1<<10))
			fmt.Fprint(os.Stderr, strings.Repeat("y", 1<<10))
		}
	case "worker-status":
		fmt.Println(`{"result":{"ok":true}}`)
		os.Exit(3)
	}
	return nil
}

// note writes the pids of a role where its test finds them.
func note(pids ...int) {
	path := os.Getenv("IPC_TEST_PIDS")
	for _, pid := range append(pids, os.Getpid()) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, _ = fmt.Fprintln(f, pid)
			_ = f.Close()
		}
	}
}
