// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/internal/testprograms"
)

const horse = "correct horse battery"

// typed is a file vault with a passphrase, and a daemon as far as a holder
// knows one.
type typed struct {
	*worker
	daemon   string
	listener *ipc.Listener
	stop     context.CancelFunc
	stopped  chan struct{}
	lock     chan struct{} // tells each holder to end
	held     atomic.Int32  // conversations with holders
	probes   atomic.Int32  // items that were tried
}

func newTyped(t *testing.T) *typed {
	t.Helper()
	run, err := os.MkdirTemp("/tmp", "b-") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(run) }) // a temporary directory
	v := &typed{
		worker: newWorker(t, ipc.Store{
			Backend: "file", Dir: filepath.Join(t.TempDir(), "vault"), Holder: filepath.Join(run, "vault.sock"),
		}, ""),
		daemon: filepath.Join(run, "broker.sock"), lock: make(chan struct{}),
	}
	// A worker under a name of its own: a holder shows its command line to a user
	// who is not root, and nothing else.
	data, err := os.ReadFile(program)
	must(t, err)
	v.command.Path = filepath.Join(run, "broker-vault")
	must(t, testprograms.Write(v.command.Path, data, 0o700))
	must(t, v.unlock(t, ipc.UnlockParams{Create: true, Passphrase: secret.New(horse)}))
	v.serve(t)
	t.Cleanup(func() { v.end(t) })
	return v
}

// serve begins to be the daemon.
func (v *typed) serve(t *testing.T) {
	t.Helper()
	var err error
	v.listener, err = ipc.Listen(ipc.ListenOptions{
		Socket: v.daemon, LockFile: filepath.Join(filepath.Dir(v.daemon), "brokerd.lock"), Name: "test", Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	v.stop, v.stopped = stop, make(chan struct{})
	go func() {
		defer close(v.stopped)
		_ = v.listener.Serve(ctx, v.holding) // ends with ctx
		_ = v.listener.Close()               // as above
	}()
}

func (v *typed) holding(ctx context.Context, c *ipc.Conversation) (json.RawMessage, error) {
	if strings.Contains(string(c.Request.Params), horse) || c.Request.Op != ipc.OpHolding {
		return nil, errors.New("that is no holder")
	}
	if v.held.Add(1) > 1 {
		v.held.Add(-1)
		return json.Marshal(ipc.Holding{Already: true})
	}
	defer v.held.Add(-1)
	if err := c.Event(ipc.HoldingEvent{Accepted: true}); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
	case <-v.lock:
		_ = c.Event(ipc.HoldingEvent{Lock: true}) // it ends in any case
		<-ctx.Done()
	}
	return nil, ctx.Err()
}

// end ends the daemon, and with it the holder.
func (v *typed) end(t *testing.T) {
	t.Helper()
	v.stop()
	<-v.stopped
	v.awaitHolders(t, 0)
}

func (v *typed) unlock(t *testing.T, p ipc.UnlockParams) error {
	t.Helper()
	p.Store = v.store
	return v.run(t, ipc.OpUnlock, p, nil)
}

func (v *typed) open(t *testing.T, passphrase string) error {
	t.Helper()
	return v.unlock(t, ipc.UnlockParams{Passphrase: secret.New(passphrase), Daemon: v.daemon})
}

// holders returns the pids of the holders of this vault.
func (v *typed) holders(t *testing.T) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	must(t, err)
	var pids []int
	for _, e := range entries {
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || string(line) != v.command.Path+"\x00hold\x00" {
			continue
		}
		pid, err := strconv.Atoi(e.Name())
		must(t, err)
		pids = append(pids, pid)
	}
	return pids
}

func (v *typed) awaitHolders(t *testing.T, n int) []int {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var pids []int
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-tick.C {
		if pids = v.holders(t); len(pids) == n {
			return pids
		}
	}
	t.Fatalf("holders %v, want %d", pids, n)
	return nil
}

// probe writes, reads and deletes an item, which needs the key.
func (v *typed) probe(t *testing.T) error {
	t.Helper()
	name := item(int(v.probes.Add(1))) // many are made at once
	return v.run(t, ipc.OpProbe, ipc.ProbeParams{Store: v.store, Item: name}, nil)
}

func TestTypedLife(t *testing.T) {
	t.Parallel()
	v := newTyped(t)
	wantCode(t, v.probe(t), ipc.CodeKeychainLocked)
	err := v.open(t, "not "+horse)
	wantCode(t, err, ipc.CodeWrongPassphrase)
	v.awaitHolders(t, 0)
	must(t, v.open(t, horse))
	must(t, v.probe(t))
	must(t, v.open(t, horse)) // twice is once
	first := v.awaitHolders(t, 1)
	must(t, v.probe(t))

	a := newAccount(t, false)
	put, stored := v.key(a)
	must(t, v.run(t, ipc.OpPut, put, nil))
	var id ipc.Identity
	must(t, v.run(t, ipc.OpCallerIdentity, stored, &id))

	v.lock <- struct{}{}
	v.awaitHolders(t, 0)
	err = v.run(t, ipc.OpCallerIdentity, stored, nil)
	var e *ipc.Error
	if !errors.As(err, &e) || e.Code != ipc.CodeKeychainLocked || e.Hint != "open it: broker unlock" {
		t.Errorf("after lock: %+v", err)
	}
	must(t, v.open(t, horse))
	must(t, v.run(t, ipc.OpCallerIdentity, stored, &id))
	if again := v.awaitHolders(t, 1); again[0] == first[0] {
		t.Error("the first holder is still there")
	}
}

// However a holder ends, the vault is locked, and the next unlock is as good.
func TestHolderEnds(t *testing.T) {
	t.Parallel()
	v := newTyped(t)
	for name, end := range map[string]func(pid int){
		"kill -9":            func(pid int) { must(t, syscall.Kill(pid, syscall.SIGKILL)) },
		"terminated":         func(pid int) { must(t, syscall.Kill(pid, syscall.SIGTERM)) },
		"the daemon is gone": func(int) { v.end(t); v.serve(t) },
		"told by the daemon": func(int) { v.lock <- struct{}{} },
		"stopped, and killed": func(pid int) {
			must(t, syscall.Kill(pid, syscall.SIGSTOP))
			must(t, syscall.Kill(pid, syscall.SIGKILL))
		},
	} {
		must(t, v.open(t, horse))
		must(t, v.probe(t))
		end(v.awaitHolders(t, 1)[0])
		v.awaitHolders(t, 0)
		if err := v.probe(t); !errors.Is(err, &ipc.Error{Code: ipc.CodeKeychainLocked}) {
			t.Errorf("%s: %v, want %s", name, err, ipc.CodeKeychainLocked)
		}
	}
	v.end(t)
	wantCode(t, v.open(t, horse), ipc.CodeNoDaemon)
	v.awaitHolders(t, 0)
	v.serve(t)
}

// A holder that is stopped is no worker's end.
func TestHolderThatHangs(t *testing.T) {
	t.Parallel()
	v := newTyped(t)
	must(t, v.open(t, horse))
	pid := v.awaitHolders(t, 1)[0]
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	for range 10000 {
		if testprograms.Stopped(pid) {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	wantCode(t, v.probe(t), ipc.CodeKeychainTimeout)
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	must(t, v.probe(t))
}

// P29, P35: what a holder shows of itself: not the key, which it has, and
// of the passphrase nothing at all.
func TestP29HolderHasTheKeyOnly(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("looking into a process that has closed itself needs root")
	}
	v := newTyped(t)
	must(t, v.open(t, horse))
	pid := v.awaitHolders(t, 1)[0]
	key, err := askHolder(v.store.Holder)(t.Context())
	must(t, err)
	memory := memoryOf(t, pid)
	if !bytes.Contains(memory, []byte(key.Reveal())) {
		t.Error("the key is not found in its holder: this scan proves nothing")
	}
	if bytes.Contains(memory, []byte(horse)) {
		t.Error("the passphrase is in the holder")
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	for _, name := range []string{"cmdline", "environ"} {
		data, err := os.ReadFile(filepath.Join(proc, name))
		if must(t, err); bytes.Contains(data, []byte(horse)) || bytes.Contains(data, []byte(key.Reveal())) {
			t.Errorf("a secret is in %s", name)
		}
	}
	limits, err := os.ReadFile(filepath.Join(proc, "limits"))
	must(t, err)
	for line := range strings.Lines(string(limits)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
			t.Errorf("core dumps are allowed: %s", line)
		}
	}
	for _, fd := range []string{"0", "1", "2"} {
		if target, err := os.Readlink(filepath.Join(proc, "fd", fd)); err == nil && strings.Contains(target, "/dev/pts") {
			t.Errorf("the holder has the terminal %s", target)
		}
	}
	socket, err := os.Stat(v.store.Holder)
	if must(t, err); socket.Mode().Perm() != 0o600 {
		t.Errorf("the holder's socket has mode %v", socket.Mode().Perm())
	}
}

// memoryOf reads what a process can write to.
func memoryOf(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	must(t, err)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	must(t, err)
	defer mem.Close()
	var all []byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || !strings.HasPrefix(mode, "rw") {
			continue
		}
		data := make([]byte, to-from)
		n, _ := mem.ReadAt(data, from) // what is not there reads as an error
		all = append(all, data[:n]...)
	}
	return all
}

// somebody returns this test's program, as another user in another role.
func somebody(t *testing.T, uid, role, socket string) *exec.Cmd {
	t.Helper()
	id, err := strconv.ParseUint(uid, 10, 32)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), stranger)
	cmd.Env = []string{strangerRole + "=" + role + " " + socket, "DBUS_SESSION_BUS_ADDRESS=" + ipc.NoBus}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}}
	return cmd
}

// strangerRole makes the test binary somebody who asks for a key, or who answers
// for it, and prints how many bytes it got.
const strangerRole = "HOLD_TEST_STRANGER"

func beStranger(role string) error {
	what, socket, _ := strings.Cut(role, " ")
	var conn net.Conn
	var err error
	if what == "ask" {
		if conn, err = net.Dial("unix", socket); err == nil {
			_, _ = conn.Write([]byte(`{"v":1,"op":"key"}` + "\n")) // it may be closed already
		}
	} else {
		var l net.Listener
		if l, err = net.Listen("unix", socket); err == nil {
			fmt.Println("ready")
			conn, err = l.Accept()
		}
	}
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	n, _ := conn.Read(make([]byte, 64<<10)) // 0 at a closed door
	fmt.Println(n)
	return nil
}

// P1, P2: a holder answers nobody but its own user, where the file modes would
// let others in.
func TestP01HolderRefusesOthers(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("being somebody else needs root")
	}
	v := newTyped(t)
	must(t, v.open(t, horse))
	must(t, os.Chmod(filepath.Dir(v.store.Holder), 0o755))
	must(t, os.Chmod(v.store.Holder, 0o666))
	defer func() { must(t, os.Chmod(filepath.Dir(v.store.Holder), 0o700)) }()
	for uid, want := range map[string]string{"1002": "0\n", "0": ""} {
		out, err := somebody(t, uid, "ask", v.store.Holder).CombinedOutput()
		if must(t, err); want != "" && string(out) != want {
			t.Errorf("uid %s got %q bytes, want 0", uid, out)
		}
		if want == "" && string(out) == "0\n" {
			t.Error("its own user got nothing: this test proves nothing")
		}
	}
}

// P7: a worker asks nobody but its own user for the key.
func TestP07WorkerRefusesForeignHolder(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("being somebody else needs root")
	}
	v := newTyped(t)
	dir := filepath.Dir(v.store.Holder)
	must(t, os.Chmod(dir, 0o777))
	defer func() { must(t, os.Chmod(dir, 0o700)) }()
	cmd := somebody(t, "1002", "serve", v.store.Holder)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }() // it has said what it got
	var word string
	if _, err := fmt.Fscan(out, &word); err != nil || word != "ready" {
		t.Fatalf("the foreign holder says %q, %v", word, err)
	}
	wantCode(t, v.probe(t), ipc.CodeKeychainFailed)
	if _, err := fmt.Fscan(out, &word); err != nil || word != "0" {
		t.Errorf("the foreign holder got %s bytes, %v; want 0", word, err)
	}
	// Nor does a holder take that place, or touch what is there.
	wantCode(t, v.open(t, horse), ipc.CodeInternal)
	v.awaitHolders(t, 0)
	if info, err := os.Lstat(v.store.Holder); err != nil || info.Sys().(*syscall.Stat_t).Uid != 1002 {
		t.Errorf("what stood at the path is gone: %v", err)
	}
}

// 8 unlocks at once leave one holder; unlock and lock at once leave none stuck.
func TestUnlockRaces(t *testing.T) {
	t.Parallel()
	v := newTyped(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := v.open(t, horse); err != nil {
				t.Errorf("unlock: %v", err)
			}
		})
	}
	group.Wait()
	v.awaitHolders(t, 1)
	must(t, v.probe(t))
	done := make(chan struct{})
	flips := make(chan struct{})
	go func() {
		defer close(flips)
		for {
			select {
			case v.lock <- struct{}{}:
			case <-done:
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	}()
	known := []ipc.Code{ipc.CodeKeychainLocked, ipc.CodeInternal, ipc.CodeNoDaemon}
	for range 4 {
		group.Go(func() {
			for range 5 {
				for _, err := range []error{v.open(t, horse), v.probe(t)} {
					ok := err == nil
					for _, code := range known {
						ok = ok || errors.Is(err, &ipc.Error{Code: code})
					}
					if !ok {
						t.Errorf("%+v", err)
					}
				}
			}
		})
	}
	group.Wait()
	close(done)
	<-flips
}

// The idle limit, by a clock that is moved.
func TestIdle(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	i := newIdle(8*time.Hour, func() time.Duration { return time.Duration(now.Load()) })
	for range 3 {
		now.Add(int64(8*time.Hour - 1))
		if !i.use() || i.over() {
			t.Fatal("a use within the limit was refused")
		}
	}
	now.Add(int64(8 * time.Hour)) // asleep: no timer of Go's has run
	if i.use() || !i.over() {
		t.Error("a use after the limit was allowed")
	}
	if i.use() {
		t.Error("a use that was refused counted as one")
	}
	i.wait(t.Context()) // returns at once
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	newIdle(time.Hour, boot).wait(ctx)
}

// A holder ends at its idle limit: here one of a second.
func TestHolderGoesIdle(t *testing.T) {
	t.Parallel()
	v := newTyped(t)
	command := v.command
	must(t, command.Start(t.Context(), ipc.OpHold, ipc.HoldParams{
		Socket: v.store.Holder, Daemon: v.daemon, Key: secret.New(strings.Repeat("0", 64)), IdleLimit: 1,
	}, "hold"))
	v.awaitHolders(t, 0)
	if _, err := net.Dial("unix", v.store.Holder); err == nil {
		t.Error("somebody listens")
	}
	for name, p := range map[string]ipc.HoldParams{
		"no key":      {Socket: v.store.Holder, Daemon: v.daemon, IdleLimit: 1},
		"no limit":    {Socket: v.store.Holder, Daemon: v.daemon, Key: secret.New("0")},
		"no daemon":   {Socket: v.store.Holder, Key: secret.New("0"), IdleLimit: 1},
		"relative":    {Socket: "vault.sock", Daemon: v.daemon, Key: secret.New("0"), IdleLimit: 1},
		"dead daemon": {Socket: v.store.Holder, Daemon: v.daemon + "x", Key: secret.New("0"), IdleLimit: 1},
	} {
		if err := command.Start(t.Context(), ipc.OpHold, p, "hold"); err == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	wantCode(t, command.Start(t.Context(), ipc.OpProbe, nil, "hold"), ipc.CodeProtocol)
	v.awaitHolders(t, 0)
}
