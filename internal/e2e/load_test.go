// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/ipc"
)

// limitedDaemon starts brokerd with so many file descriptors and no more.
func (w *world) limitedDaemon(files int) {
	w.t.Helper()
	w.killDaemon()
	limit := fmt.Sprintf("--nofile=%d:%d", files, files)
	b := w.start("prlimit", limit, filepath.Join(w.bin, "brokerd"))
	w.eventually("the daemon with few descriptors serves", func() error {
		if pid := w.daemonPID(); pid != b.Process.Pid {
			return fmt.Errorf("%d serves, want %d", pid, b.Process.Pid)
		}
		return nil
	})
}

// descriptors counts the open files of the daemon, once it has forgotten its
// last client.
func (w *world) descriptors() int {
	w.t.Helper()
	needRoot(w.t) // the daemon does not show them to its own user
	last := -1
	w.eventually("the daemon's descriptors settle", func() error {
		entries, err := os.ReadDir("/proc/" + itoa(w.daemonPID()) + "/fd")
		n := len(entries)
		if err == nil && n != last {
			err = fmt.Errorf("%d, and %d before", n, last)
		}
		last = n
		return err
	})
	return last
}

// callers puts the same request to the daemon so many times at once, each on
// its own connection, as broker does, but with more patience. The function that it returns waits for
// the answers, all of which must be the same.
func (w *world) callers(count int, profile string) (answers func() string) {
	w.t.Helper()
	client := &ipc.Client{Socket: w.socket(), Name: "the test"}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	type answer struct {
		document string
		err      error
	}
	all := make(chan answer, count)
	for range count {
		go func() {
			raw, err := client.Converse(ctx, ipc.Request{
				Op: ipc.OpCredentials, Params: []byte(`{"profile":"` + profile + `"}`), Deadline: int(patience / time.Second),
			}, nil)
			all <- answer{string(raw), err}
		}()
	}
	return func() string {
		w.t.Helper()
		var first string
		failed := 0
		for i := range count {
			a := <-all
			switch {
			case a.err != nil:
				if failed++; failed < 5 {
					w.t.Errorf("a caller of %d: %v", count, a.err)
				}
			case first == "":
				first = a.document
			case a.document != first:
				w.t.Fatalf("callers got different answers, the last one at %d", i)
			}
		}
		if failed > 0 {
			w.t.Fatalf("%d of %d callers were not served", failed, count)
		}
		return first
	}
}

// intruders are connections that keep no rule: some say nothing, some say it a
// byte at a time, some do not read what they are told.
func (w *world) intruders(count int) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w.t.Cleanup(func() { stop(); running.Wait() })
	for i := range count {
		conn, err := net.Dial("unix", w.socket())
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { conn.Close() })
		switch i % 3 {
		case 1:
			running.Go(func() { trickle(ctx, conn) })
		case 2: // a request whose answer nobody reads
			_, _ = io.WriteString(conn, `{"v":1,"op":"status"}`+"\n") // its place may be gone
		}
	}
}

// trickle sends a request, a byte at a time.
func trickle(ctx context.Context, conn net.Conn) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, b := range []byte(`{"v":1,"op":"credentials","params":{"profile":"dev"}}` + strings.Repeat(" ", 1000)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if _, err := conn.Write([]byte{b}); err != nil {
			return // the daemon has had enough
		}
	}
}

// promptly runs a command that must not wait for anybody.
func (w *world) promptly(args ...string) {
	w.t.Helper()
	// Less than what a silent client is given for its request: waiting for one
	// would show.
	w.within(4*time.Second, "broker "+strings.Join(args, " "), func() { w.must(w.run("broker", args...)) })
}

// TestF41ThousandCallers: a thousand connections at once to a daemon that has
// 256 descriptors, beside three hundred that keep no rule. Cold, all wait for
// one code, and whoever brings it finds a way in. Warm, all are served.
func TestF41ThousandCallers(t *testing.T) {
	const callers = 1000
	w := newWorld(t)
	w.ready("[mfa]", "helper_wait = 2m") // a busy machine has a thousand callers wait
	w.limitedDaemon(256)
	w.must(w.run("broker", "list"))
	before := w.descriptors()

	cold := w.callers(callers, "dev")
	w.eventually("callers wait for a code", func() error {
		if p := w.status().Pending; len(p) != 1 || p[0].Waiters < 10 {
			return fmt.Errorf("pending: %+v", p)
		}
		return nil
	})
	w.intruders(300)
	w.promptly("status")
	w.promptly("list")
	w.promptly("mfa", w.code())
	first := cold()
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls, want 1", len(calls))
	}
	if s := w.status(); s.Prompts != 1 {
		t.Errorf("%d prompts, want 1", s.Prompts)
	}

	w.intruders(300)
	begin := time.Now()
	if warm := w.callers(callers, "dev")(); warm != first {
		t.Error("the warm answer is another one")
	}
	t.Logf("%d warm callers took %v", callers, time.Since(begin))
	w.promptly("status")
	w.eventually("what the callers used is given back", func() error {
		// The intruders keep their end open: those that the daemon had a
		// place for are sent away after some seconds.
		if n := w.descriptors(); n > before {
			return fmt.Errorf("%d descriptors, %d before", n, before)
		}
		return nil
	})
	if log := w.daemonLog(); strings.Contains(log, "too many open files") {
		t.Errorf("the daemon ran out of descriptors:\n%s", log)
	}
}

// TestF41ThousandHelpers: the same with a thousand processes, as SDKs start
// them, a hundred and fifty at a time.
func TestF41ThousandHelpers(t *testing.T) {
	const helpers, wave = 1000, 150
	w := newWorld(t)
	w.ready()
	w.limitedDaemon(256)
	var want document
	for n := 0; n < helpers; n += wave {
		var all []*background
		for range min(wave, helpers-n) {
			all = append(all, w.start("broker", "credential-process", "dev"))
		}
		if n == 0 {
			w.eventually("helpers wait for a code", func() error {
				if p := w.status().Pending; len(p) != 1 || p[0].Waiters < 10 {
					return fmt.Errorf("pending: %+v", p)
				}
				return nil
			})
			w.promptly("mfa", w.code())
			want = w.document(all[0].wait())
		}
		for _, h := range all {
			if got := w.document(h.wait()); got != want {
				t.Fatalf("two helpers got different credentials")
			}
		}
	}
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls, want 1", len(calls))
	}
}

// TestF42FewDescriptors: with 64 of them everybody is served, one after the
// other; the worker finds what it needs.
func TestF42FewDescriptors(t *testing.T) {
	w := newWorld(t)
	w.ready("[mfa]", "helper_wait = 2m")
	w.limitedDaemon(64)
	w.must(w.run("broker", "list"))
	before := w.descriptors()
	cold := w.callers(200, "dev")
	w.eventually("callers wait for a code", func() error {
		if p := w.status().Pending; len(p) != 1 || p[0].Waiters < 2 {
			return fmt.Errorf("pending: %+v", p)
		}
		return nil
	})
	w.intruders(100)
	w.promptly("mfa", w.code())
	cold()
	w.eventually("what the callers used is given back", func() error {
		if n := w.descriptors(); n > before {
			return fmt.Errorf("%d descriptors, %d before", n, before)
		}
		return nil
	})
	if log := w.daemonLog(); strings.Contains(log, "too many open files") || strings.Contains(log, "cannot accept") {
		t.Errorf("the daemon ran out of descriptors:\n%s", log)
	}
}

// TestF43RudeClients: beside a thousand connections that are silent, slow or
// deaf, and keep every place taken, nobody notices them; and the slowest loses
// its connection after all.
func TestF43RudeClients(t *testing.T) {
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.limitedDaemon(256)
	slow, err := net.Dial("unix", w.socket())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, `{"v":1,`); err != nil {
		t.Fatal(err)
	}
	w.intruders(1000)
	w.promptly("credential-process", "dev")
	w.promptly("status")
	w.promptly("exec", "dev", "--", "true")
	if err := slow.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(slow); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a client that never ends its request: %v, want the end of its connection", err)
	}
}

// TestF44MalformedRequests: bytes that are none of the protocol get a coded
// error, or nothing, and the end of the connection; descriptors that come with
// them are closed.
func TestF44MalformedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.must(w.run("broker", "list"))
	before := w.descriptors()
	for name, text := range map[string]string{
		"no JSON":      "GET / HTTP/1.1\n",
		"bad UTF-8":    "{\"v\":1,\"op\":\"\xff\xfe\"}\n",
		"a later one":  `{"v":255,"op":"hello","client":"broker 9.0.0"}` + "\n",
		"an earlier":   `{"v":0,"op":"hello"}` + "\n",
		"no op":        `{"v":1}` + "\n",
		"nested":       strings.Repeat("[", 60000) + "\n",
		"endless":      strings.Repeat("x", ipc.MaxLine+10) + "\n",
		"NUL":          "\x00\n",
		"empty":        "\n",
		"with baggage": "baggage",
	} {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: w.socket(), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if text == "baggage" {
			text = `{"v":1}` + "\n"
			sendDescriptors(t, conn, text)
		} else if _, err := io.WriteString(conn, text); err != nil {
			t.Logf("%s: %v", name, err) // refused before all of it was read
		}
		said, err := io.ReadAll(conn)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(said), `{"error":{"code":"protocol"`) || strings.Count(string(said), "\n") != 1 {
			t.Errorf("%s: the daemon says %q", name, said)
		}
		conn.Close()
	}
	w.must(w.run("broker", "list"))
	w.eventually("no descriptor is left open", func() error {
		if after := w.descriptors(); after > before {
			return fmt.Errorf("%d descriptors, %d before", after, before)
		}
		return nil
	})
}

// sendDescriptors sends text with some descriptors.
func sendDescriptors(t *testing.T, conn *net.UnixConn, text string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	if _, _, err := conn.WriteMsgUnix([]byte(text), unix.UnixRights(fd, fd, fd, fd), nil); err != nil {
		t.Fatal(err)
	}
}

// TestF45StormOfHelpers: fifty processes start two hundred helpers on one
// terminal. One question comes up; the refusal is the answer to all, and keeps
// the next ones quiet.
func TestF45StormOfHelpers(t *testing.T) {
	w := newWorld(t)
	w.ready()
	term := w.terminal()
	script := `for i in $(seq 50); do
  sh -c 'for j in 1 2 3 4; do broker credential-process dev >>"$0" 2>&1 </dev/null & done; wait' "$1" &
done; wait`
	out := filepath.Join(w.dir, "said")
	storm := term.run(w.command("/bin/sh", "-c", script, "storm", out))
	w.awaitPending(200)
	term.await(theQuestion, 1)
	term.write("\n")
	w.must(storm.wait())
	said, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(said), "was cancelled"); n != 200 || strings.Count(string(said), "\n") != 200 {
		t.Errorf("%d of 200 helpers were told that the prompt was cancelled", n)
	}
	begin := time.Now()
	r := term.run(w.command("broker", "credential-process", "dev")).wait()
	if r.status != 4 || r.stdout != "" || time.Since(begin) > 25*time.Second { // who waits for a code waits 50 s
		t.Errorf("the next helper: status %d after %v, stdout %q; want 4, at once, nothing", r.status, time.Since(begin), r.stdout)
	}
	if n := strings.Count(term.shows(), theQuestion); n != 1 {
		t.Errorf("the terminal shows %d questions, want 1", n)
	}
	if calls := w.log("GetSessionToken"); len(calls) != 0 {
		t.Errorf("%d GetSessionToken calls, want none", len(calls))
	}
}
