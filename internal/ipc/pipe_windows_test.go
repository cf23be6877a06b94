// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// The test binary also is the daemon and the worker of its own tests.
func TestMain(m *testing.M) {
	switch os.Getenv("IPC_TEST_ROLE") {
	case "daemon":
		if err := playDaemon(os.Getenv("IPC_TEST_DIR")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "worker": // one that is stuck, and has started another
		child := role("sleeper", "")
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		if err := os.WriteFile(os.Getenv("IPC_TEST_DIR"), []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Hour)
	case "sleeper":
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func role(name, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IPC_TEST_ROLE="+name, "IPC_TEST_DIR="+dir)
	return cmd
}

func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "broker-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // Wine cannot, and throws its disk away
	return dir
}

func pipeOf(dir string) string { return pipes + filepath.Base(dir) }

func options(dir string) ListenOptions {
	return ListenOptions{
		Socket: pipeOf(dir), LockFile: filepath.Join(dir, "run", "brokerd.lock"),
		Name: "brokerd 1.2.0", Log: slog.New(slog.DiscardHandler),
	}
}

func playDaemon(dir string) error {
	l, err := Listen(options(dir))
	if err != nil {
		return err
	}
	fmt.Println("listening")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is ours
		cancel()
	}()
	err = l.Serve(ctx, func(_ context.Context, c *Conversation) (json.RawMessage, error) {
		switch c.Request.Op {
		case "peer":
			return json.Marshal(map[string]any{"pid": c.Peer.PID, "alive": c.Peer.Alive(), "start": c.Peer.StartTime})
		case "echo":
			return c.Request.Params, nil
		}
		return nil, c.UnknownOp()
	})
	return errors.Join(err, l.Close())
}

// startDaemon starts a daemon in a process of its own and waits until it listens.
func startDaemon(t *testing.T, dir string) (cmd *exec.Cmd, stop func() error) {
	t.Helper()
	cmd = role("daemon", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "listening" {
		t.Fatalf("the daemon says %q (%v)", line, err)
	}
	// Wine connects the first client to the handle by which winio holds the
	// name, where nobody serves it. To a Windows daemon this is a silent client.
	first, err := winio.DialPipe(pipeOf(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	stop = func() error {
		_ = first.Close()
		_ = in.Close()
		return cmd.Wait()
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, stop
}

func TestConversationThroughAPipe(t *testing.T) {
	dir := testDir(t)
	daemon, stop := startDaemon(t, dir)
	client := &Client{Socket: pipeOf(dir), Name: "broker 1.2.0"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var peer struct {
		PID   int
		Alive bool
		Start uint64
	}
	if err := client.Call(ctx, "peer", nil, &peer); err != nil {
		t.Fatal(err)
	}
	if peer.PID != os.Getpid() || !peer.Alive || peer.Start == 0 {
		t.Errorf("the daemon sees %+v, want %d", peer, os.Getpid())
	}
	long := strings.Repeat("x", MaxLine-200)
	for range 20 {
		var back string
		if err := client.Call(ctx, "echo", long, &back); err != nil || back != long {
			t.Fatalf("%d bytes came back, %v", len(back), err)
		}
	}
	conn, err := dialSocket(ctx, pipeOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	server, err := identifyServer(conn)
	if err != nil || server.PID != daemon.Process.Pid {
		t.Errorf("the client sees %+v, %v, want %d", server, err, daemon.Process.Pid)
	}
	server.close()
	_ = conn.Close()
	// A second daemon, on the same lock and on one of its own.
	if _, err := Listen(options(dir)); !errors.Is(err, ErrServed) {
		t.Errorf("beside a daemon: %v, want %v", err, ErrServed)
	}
	if !onWine() { // which lets anybody make more of a pipe
		o := options(dir)
		o.LockFile = filepath.Join(dir, "other", "brokerd.lock")
		if _, err := Listen(o); !errors.Is(err, ErrServed) {
			t.Errorf("on a pipe that is there: %v, want %v", err, ErrServed)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("the daemon ends with %v", err)
	}
	err = client.Call(ctx, "peer", nil, nil)
	if !errors.Is(err, &Error{Code: CodeNoDaemon}) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a daemon: %v", err)
	}
}

func onWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

func TestKilledDaemonLeavesThePlace(t *testing.T) {
	dir := testDir(t)
	first, _ := startDaemon(t, dir)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	_, stop := startDaemon(t, dir)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestGroupEndsWhole(t *testing.T) {
	file := filepath.Join(testDir(t), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = role("worker", file).Env
	wait, err := StartGroup(cmd)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	var child int
	for child == 0 {
		text, _ := os.ReadFile(file)
		child, _ = strconv.Atoi(string(text))
		if time.Now().After(deadline) {
			t.Fatal("the worker has started nobody")
		}
	}
	process, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(child))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = windows.CloseHandle(process) }()
	cancel()
	if err := wait(); err == nil {
		t.Error("a worker that was ended counts as well")
	}
	if event, err := windows.WaitForSingleObject(process, 60_000); event != windows.WAIT_OBJECT_0 {
		t.Errorf("the worker's child lives on: %d, %v", event, err)
	}
}

func TestPlaceOfAListener(t *testing.T) {
	dir := testDir(t)
	o := options(dir)
	o.Socket = filepath.Join(dir, "broker.sock")
	if l, err := Listen(o); err == nil {
		t.Errorf("it listens on %s", o.Socket)
		_ = l.Close()
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o = options(dir)
	o.LockFile = filepath.Join(file, "brokerd.lock")
	if _, err := Listen(o); err == nil {
		t.Error("a file counts as a directory")
	}
}
