// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package testtracer

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/testprograms"
)

// asProgram makes the test program the one that is traced, in a directory.
const asProgram = "TESTTRACER_PROGRAM"

// traced are the programs, by name.
var traced = map[string]func(dir string) error{
	"wander": wander, "parent": parent, "locker": locker, "hidden": hidden, "writer": writer,
}

func TestMain(m *testing.M) {
	name, dir, ok := strings.Cut(os.Getenv(asProgram), ":")
	if !ok {
		os.Exit(m.Run())
	}
	if err := traced[name](dir); err != nil {
		fmt.Println(err)
		testprograms.Exit(3)
	}
	testprograms.Exit(0)
}

// files is how many files wander makes.
const files = 4

// wander makes files, each in a thread of its own, and renames it in another.
func wander(dir string) error {
	var err error
	elsewhere := func(f func() error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and never again another's: the thread ends
			if e := f(); err == nil {
				err = e
			}
		}()
		<-done
	}
	for i := range files {
		path := filepath.Join(dir, fmt.Sprint(i))
		elsewhere(func() error { return unix.Mkdir(path, 0o700) })
		elsewhere(func() error { return os.Rename(path, path+".done") })
	}
	return err
}

// parent makes a directory, has another process do the same, and makes a third.
func parent(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "one"), 0o700); err != nil {
		return err
	}
	if err := exec.Command("mkdir", filepath.Join(dir, "two")).Run(); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(dir, "three"), 0o700)
}

// locker waits for a lock and makes a directory when it has it.
func locker(dir string) error {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(dir, "locked"), 0o700)
}

// hidden does its work where other programs of its user cannot look into it.
func hidden(dir string) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "f"), []byte("text"), 0o600)
}

// writer writes in several ways.
func writer(dir string) error {
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return err
	}
	if _, err := f.WriteString("one"); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("two"), 3); err != nil {
		return err
	}
	_, err = unix.Writev(int(f.Fd()), [][]byte{[]byte("three"), []byte(" and "), []byte("four")})
	return err
}

// program returns a traced program in a new directory.
func program(t *testing.T, name string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err = filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self)
	cmd.Env = append(os.Environ(), asProgram+"="+name+":"+dir)
	return cmd, dir
}

// run traces a program to its end.
func run(t *testing.T, cmd *exec.Cmd, o Options) Result {
	t.Helper()
	r, err := Start(cmd, o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := r.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// names returns what a directory holds.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// described returns calls without what differs from run to run.
func described(calls []Call, dir string) (lines []string) {
	for _, c := range calls {
		lines = append(lines, strings.ReplaceAll(c.String(), dir+"/", ""))
	}
	return lines
}

// TestKillAtEachCall: whatever thread makes a call, each is seen once and in
// order, and a kill before it or after it has just the calls done up to there.
func TestKillAtEachCall(t *testing.T) {
	cmd, dir := program(t, "wander")
	all := run(t, cmd, Options{Below: []string{dir}})
	want := []string{}
	for i := range files {
		want = append(want, fmt.Sprintf("mkdirat %d", i), fmt.Sprintf("renameat %d %[1]d.done", i))
	}
	if got := described(all.Calls, dir); all.Status != 0 || !slices.Equal(got, want) {
		t.Fatalf("status %#x, calls %q, want %q", all.Status, got, want)
	}
	for n := 1; n <= len(want); n++ {
		for _, when := range []When{Before, After} {
			t.Run(fmt.Sprintf("%d %v", n, when), func(t *testing.T) {
				t.Parallel()
				cmd, dir := program(t, "wander")
				r := run(t, cmd, Options{Below: []string{dir}, Strike: func(c Call) Strike {
					if c.N == n {
						return Strike{Kill: when}
					}
					return Strike{}
				}})
				if !r.Status.Signaled() || r.Status.Signal() != syscall.SIGKILL || !slices.Equal(described(r.Calls, dir), want[:n]) {
					t.Errorf("status %#x, calls %q", r.Status, described(r.Calls, dir))
				}
				done := n
				if when == Before {
					done--
				}
				var left []string
				for i := range (done + 1) / 2 {
					left = append(left, fmt.Sprintf("%d.done", i))
				}
				if done%2 == 1 {
					left[done/2] = fmt.Sprint(done / 2)
				}
				if got := names(t, dir); !slices.Equal(got, left) {
					t.Errorf("left %q, want %q", got, left)
				}
			})
		}
	}
}

// TestFail: a call that is to fail is not executed, and the program goes on.
func TestFail(t *testing.T) {
	cmd, dir := program(t, "wander")
	var out bytes.Buffer
	cmd.Stdout = &out
	r := run(t, cmd, Options{Below: []string{dir}, Strike: func(c Call) Strike {
		if c.Name == "renameat" && c.Files[0] == filepath.Join(dir, "3") {
			return Strike{Fail: unix.ENOSPC}
		}
		return Strike{}
	}})
	if !r.Status.Exited() || r.Status.ExitStatus() != 3 || !strings.Contains(out.String(), "3.done: no space left on device") {
		t.Errorf("status %#x, output %q", r.Status, out.String())
	}
	if got := names(t, dir); len(r.Calls) != 2*files || !slices.Contains(got, "3") || slices.Contains(got, "3.done") || len(got) != files {
		t.Errorf("%d calls, left %q", len(r.Calls), got)
	}
}

// TestReads: with Reads, a read counts and can fail.
func TestReads(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	var text, complaint bytes.Buffer
	cmd := exec.Command("cat", "f")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &text, &complaint
	r := run(t, cmd, Options{Below: []string{path}, Reads: true, Strike: func(c Call) Strike {
		if c.Name == "read" {
			return Strike{Fail: unix.EIO}
		}
		return Strike{}
	}})
	if text.Len() > 0 || r.Status.ExitStatus() != 1 || !strings.Contains(complaint.String(), "nput/output error") {
		t.Errorf("status %#x, %q, %q", r.Status, text.String(), complaint.String())
	}
	if calls := described(r.Calls, dir); !slices.Contains(calls, "openat f") || !slices.Contains(calls, "read f") {
		t.Errorf("calls %q", calls)
	}
}

// TestChildren: what the program starts is seen where that is asked for, and is
// the one to be killed.
func TestChildren(t *testing.T) {
	for children, want := range map[bool][]string{false: {"one", "three", "two"}, true: {"one"}} {
		cmd, dir := program(t, "parent")
		process := 0
		r := run(t, cmd, Options{Below: []string{dir}, Children: children, Strike: func(c Call) Strike {
			if process == 0 {
				process = c.Process
			}
			if filepath.Base(c.Files[0]) == "two" {
				if c.Process == process {
					t.Errorf("%v is made by the parent", c)
				}
				return Strike{Kill: Before}
			}
			return Strike{}
		}})
		if got := names(t, dir); !slices.Equal(got, want) || !r.Status.Exited() || (r.Status.ExitStatus() == 0) == children {
			t.Errorf("children %v: status %#x, left %q", children, r.Status, got)
		}
	}
}

// TestRestartedCallCountsOnce: a call that waits, and that a signal interrupts,
// is begun anew by the kernel, and is one call all the same.
func TestRestartedCallCountsOnce(t *testing.T) {
	cmd, dir := program(t, "locker")
	path := filepath.Join(dir, "lock")
	lock, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	waits := make(chan int, 1)
	r, err := Start(cmd, Options{Below: []string{dir}, Strike: func(c Call) Strike {
		if c.N == 1 {
			waits <- c.Process
		}
		return Strike{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	process := <-waits
	for range 20 {
		if err := unix.Kill(process, unix.SIGURG); err != nil { // which a Go program takes for its own
			t.Fatal(err)
		}
		<-time.After(time.Millisecond) // signals that come together are one
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	result, err := r.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := described(result.Calls, dir), []string{"flock lock", "mkdirat locked"}; result.Status != 0 || !slices.Equal(got, want) {
		t.Errorf("status %#x, calls %q, want %q", result.Status, got, want)
	}
}

// TestData: a call says what it writes, from one buffer or from several.
func TestData(t *testing.T) {
	cmd, dir := program(t, "writer")
	r := run(t, cmd, Options{Below: []string{"/"}, Data: true})
	var got []string
	for _, c := range r.Calls {
		if c.Files[0] == filepath.Join(dir, "f") && c.Data != nil {
			got = append(got, c.Name+" "+string(c.Data))
		}
	}
	if want := []string{"write one", "pwrite64 two", "writev three and four"}; r.Status != 0 || !slices.Equal(got, want) {
		t.Errorf("status %#x, calls %q, want %q", r.Status, got, want)
	}
}

// TestHidden: also a program that hides is seen.
func TestHidden(t *testing.T) {
	cmd, dir := program(t, "hidden")
	r := run(t, cmd, Options{Below: []string{dir}})
	if got, want := described(r.Calls, dir), []string{"openat f", "write f"}; r.Status != 0 || !slices.Equal(got, want) {
		t.Errorf("status %#x, calls %q, want %q", r.Status, got, want)
	}
}

// TestHiddenFromUser: an ordinary user's tracer, too, sees a program that hides.
func TestHiddenFromUser(t *testing.T) {
	if os.Getuid() != 0 {
		return // TestHidden is this test
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "b-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	for _, err := range []error{testprograms.Write(program, data, 0o755), os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "tmp"), 0o700), os.Chown(filepath.Join(dir, "tmp"), 1002, 1002)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-test.run=^TestHidden$", "-test.v")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1002, Gid: 1002}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestHidden") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestStartErrors: a program that cannot be started is an error, not a run.
func TestStartErrors(t *testing.T) {
	if _, err := Start(exec.Command("/nonexistent"), Options{}); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("Start: %v", err)
	}
}
