// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/awsconfig"
)

// fileCalls are the system calls of an edit.
const fileCalls = "openat,mkdirat,newfstatat,fstat,readlinkat,getdents64,read,write,fsync,fchmod,fchown,fchownat,flock," +
	"flistxattr,fgetxattr,fsetxattr,fremovexattr,renameat,renameat2,linkat,unlinkat,close"

// changing matches those that change something: a crash at any other finds what
// the one before it left.
var changing = regexp.MustCompile(`^(mkdirat|write|fsync|fchmod|fchown|fchownat|flock|fsetxattr|fremovexattr|renameat|renameat2|linkat|unlinkat)$`)

// anything matches the calls that open, read and close, too.
var anything = regexp.MustCompile(changing.String() + `|^(openat|getdents64|read|fgetxattr|close)$`)

// asEditor makes the test program edit one file once: the file and the lock.
const asEditor = "BROKER_TEST_EDIT"

// runAsEditor edits a file as broker does, on one thread from the beginning: there
// strace counts every call of the edit, and no other.
func runAsEditor() bool {
	path, lock, ok := strings.Cut(os.Getenv(asEditor), ":")
	if !ok {
		return false
	}
	runtime.LockOSThread()
	_, err := awsconfig.Rewrite(context.Background(), path, awsconfig.RewriteOptions{Lock: lock, Now: time.Now(), Backup: true},
		func([]byte) ([]byte, error) { return []byte(edited), nil })
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\nbroker: hint: none\n", err)
		os.Exit(1)
	}
	return true
}

// edited is what the editor writes.
const edited = "[default]\nregion = eu-west-1\n# edited\n"

// surgery is one edit of the AWS files of a world, done over and over: old files
// in, new files out.
type surgery struct {
	*world
	program []string
	stop    *regexp.Regexp // the calls to stop at
	old     map[string]string
	new     map[string]string
}

// The files of an edit, below home: the config is a symbolic link.
const (
	realConfig  = "dots/aws config"
	linkConfig  = ".aws/config"
	credentials = ".aws/credentials"
)

// edits are the surgeries by name.
func edits() map[string]func(*testing.T) *surgery {
	return map[string]func(*testing.T) *surgery{
		"wire":   func(t *testing.T) *surgery { wire, _ := wiring(t); return wire },
		"unwire": func(t *testing.T) *surgery { _, unwire := wiring(t); return unwire },
		"editor": editing,
	}
}

// editing returns the surgery of runAsEditor on the config.
func editing(t *testing.T) *surgery {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := emptyWorld(t)
	w.env = append(w.env, asEditor+"="+filepath.Join(w.home, linkConfig)+":"+filepath.Join(w.home, "state", "edit.lock"))
	return &surgery{
		world: w, program: []string{self}, stop: anything,
		old: map[string]string{realConfig: "[default]\nregion = eu-west-1\n"},
		new: map[string]string{realConfig: edited},
	}
}

// wiring returns the surgeries that wire, and unwire, a chain of profiles in both
// files.
func wiring(t *testing.T) (wire, unwire *surgery) {
	t.Helper()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann")
	w.killDaemon()
	old := map[string]string{
		realConfig: "# mine\r\n[default]\nregion = eu-west-1\n\n[profile dev]\nregion = eu-west-1\n[profile ops]\n" +
			"role_arn = arn:aws:iam::" + w.account.AccountID + ":role/ops\nsource_profile = dev ; no new line follows",
		credentials: "[crew]\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/crew\nsource_profile = dev\n",
	}
	broker := filepath.Join(w.bin, "broker")
	wire = &surgery{world: w, program: []string{broker, "wire", "dev", "ops", "crew"}, stop: changing, old: old}
	wire.reset()
	w.must(wire.edit())
	wire.new = wire.texts()
	unwire = &surgery{world: w, program: []string{broker, "unwire", "--all"}, stop: changing, old: wire.new, new: old}
	for name := range old {
		if wire.new[name] == old[name] {
			t.Fatalf("wire did not change %s", name)
		}
	}
	return wire, unwire
}

// edit runs the program.
func (s *surgery) edit() result {
	s.t.Helper()
	return s.run(s.program[0], s.program[1:]...)
}

// reset puts the old files in their place, and nothing else.
func (s *surgery) reset() {
	s.t.Helper()
	err := errors.Join(os.RemoveAll(filepath.Join(s.home, ".aws")), os.RemoveAll(filepath.Join(s.home, "dots")),
		os.Mkdir(filepath.Join(s.home, ".aws"), 0o700), os.Mkdir(filepath.Join(s.home, "dots"), 0o755),
		os.Symlink("../"+realConfig, filepath.Join(s.home, linkConfig)))
	for name, text := range s.old {
		path := filepath.Join(s.home, name)
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o640))
		if os.Getuid() == 0 {
			err = errors.Join(err, os.Chown(path, -1, 1234), unix.Setxattr(path, "user.note", []byte("mine"), 0))
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *surgery) texts() map[string]string {
	s.t.Helper()
	texts := map[string]string{}
	for name := range s.old {
		data, err := os.ReadFile(filepath.Join(s.home, name))
		if err != nil {
			s.t.Fatal(err)
		}
		texts[name] = string(data)
	}
	return texts
}

// check fails unless each file is whole, the old one or the new one, and is what it
// was in every other way; and so is each backup.
func (s *surgery) check(when string) {
	s.t.Helper()
	for name, text := range s.texts() {
		if text != s.old[name] && text != s.new[name] {
			s.t.Errorf("%s: %s is torn: %q", when, name, text)
		}
		s.meta(when, filepath.Join(s.home, name))
	}
	if target, err := os.Readlink(filepath.Join(s.home, linkConfig)); err != nil || target != "../"+realConfig {
		s.t.Errorf("%s: the link leads to %q, %v", when, target, err)
	}
	for name := range s.old {
		copies, err := filepath.Glob(filepath.Join(s.home, name) + ".broker-*Z")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, path := range copies {
			data, err := os.ReadFile(path)
			if text := string(data); err != nil || text != s.old[name] && text != s.new[name] {
				s.t.Errorf("%s: the backup %s is torn: %q, %v", when, path, text, err)
			}
			s.meta(when, path)
		}
	}
}

func (s *surgery) meta(when, path string) {
	s.t.Helper()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o640 {
		s.t.Errorf("%s: %s: mode %v, %v", when, path, info.Mode(), err)
		return
	}
	if os.Getuid() != 0 {
		return
	}
	value := make([]byte, 10)
	n, err := unix.Getxattr(path, "user.note", value)
	if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 1234 || err != nil || string(value[:n]) != "mine" {
		s.t.Errorf("%s: %s: group %d, attribute %q, %v", when, path, gid, value[:max(n, 0)], err)
	}
}

// temporaries returns what an edit should not leave behind.
func (s *surgery) temporaries() []string {
	s.t.Helper()
	var found []string
	for _, dir := range []string{".aws", "dots"} {
		err := filepath.WalkDir(filepath.Join(s.home, dir), func(path string, e fs.DirEntry, err error) error {
			if name := e.Name(); e.Type().IsRegular() && strings.HasPrefix(name, ".") {
				found = append(found, name)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return found
}

// step is the nth call of a name by one thread: so strace counts.
type step struct {
	thread string
	call   string
	nth    int
	text   string // the arguments of the call that was seen there
}

// traced runs the edit under strace and returns how it ended, and its calls.
func (s *surgery) traced(inject string) (result, []step) {
	s.t.Helper()
	out := filepath.Join(s.dir, "strace.out")
	args := []string{"-f", "-qq", "-y", "-o", out, "-e", "trace=" + fileCalls}
	if !strings.Contains(inject, "signal=") { // strace 6.1 forgets the signal where it is that quick
		args = append(args, "--seccomp-bpf")
	}
	if inject != "" {
		args = append(args, "-e", "inject="+inject)
	}
	r := s.run("strace", append(args, s.program...)...)
	f, err := os.Open(out)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	line := regexp.MustCompile(`^(\d+) +([a-z0-9_]+)\((.*)$`)
	count := map[string]int{}
	var steps []step
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			thread := m[1] + " " + m[2]
			count[thread]++
			steps = append(steps, step{m[1], m[2], count[thread], m[3]})
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Fatal(err)
	}
	return r, steps
}

// ours reports whether a call is about the AWS files, or the lock of edits.
func (s *surgery) ours(c step) bool {
	return strings.Contains(c.text, s.home+"/.aws") || strings.Contains(c.text, s.home+"/dots") || strings.Contains(c.text, "edit.lock")
}

// steps returns the calls of a run at which to stop.
func (s *surgery) steps(all []step) []step {
	return slices.DeleteFunc(slices.Clone(all), func(c step) bool { return !s.ours(c) || !s.stop.MatchString(c.call) })
}

// calibrate returns the calls at which to stop.
func (s *surgery) calibrate() []step {
	s.t.Helper()
	s.reset()
	r, all := s.traced("")
	s.must(r)
	return s.steps(all)
}

// at has the edit meet rule at step i, and returns how it ended, or "" if the rule
// never hit, or hit twice. Now and then the Go runtime makes a call more, or goes on
// with another thread, than it did the last time: what the run in vain shows is
// where the next one tries.
func (s *surgery) at(steps []step, i int, rule string) (result, string) {
	s.t.Helper()
	c := steps[i]
	for range 6 {
		s.reset()
		r, seen := s.traced(fmt.Sprintf("%s:%s:when=%d", c.call, rule, c.nth))
		hits := slices.DeleteFunc(slices.Clone(seen), func(c step) bool {
			return !strings.HasSuffix(c.text, "(INJECTED)") && !strings.HasSuffix(c.text, "= ?")
		})
		if len(hits) == 1 && hits[0].call == c.call && s.ours(hits[0]) {
			return r, fmt.Sprintf("%s at %s number %d, (%s", rule, c.call, c.nth, hits[0].text)
		}
		if now := s.steps(seen); len(now) == len(steps) {
			c = now[i]
		}
	}
	s.t.Logf("%s was not met at %s number %d, (%s", rule, c.call, c.nth, c.text)
	return result{}, ""
}

// heals fails unless the same command, run again, finishes the edit and leaves
// nothing behind.
func (s *surgery) heals(when string) {
	s.t.Helper()
	r := s.edit()
	if r.status != 0 {
		s.t.Errorf("%s: the next edit: exit status %d, %s", when, r.status, r.stderr)
	}
	s.check("after the edit that followed " + when)
	for name, text := range s.texts() {
		if text != s.new[name] {
			s.t.Errorf("%s: the next edit leaves %s as %q, want %q", when, name, text, s.new[name])
		}
	}
	if left := s.temporaries(); len(left) > 0 {
		s.t.Errorf("%s: left: %v", when, left)
	}
}

// TestWireKilledAtEachStep: kill -9 at any system call of an edit leaves each file
// whole, and the same command finishes the work.
func TestWireKilledAtEachStep(t *testing.T) {
	for name, edit := range edits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := edit(t)
			stops := s.calibrate()
			left, met := 0, 0
			for i := range stops {
				r, when := s.at(stops, i, "signal=SIGKILL")
				if when == "" {
					continue
				}
				met++
				if r.status == 0 {
					t.Errorf("%s: the edit went on", when)
				}
				s.check(when)
				left += len(s.temporaries())
				s.heals(when)
			}
			if left == 0 {
				t.Error("no crash left anything behind: they all came too late, or too early, to show anything")
			}
			s.most(met, len(stops))
			t.Logf("%d of %d steps, %d temporary files", met, len(stops), left)
		})
	}
}

// TestWireDiskFullAtEachStep: a disk that is full, or fails, at any one system call
// of an edit leaves each file whole and nothing else, and what the command says is
// true.
func TestWireDiskFullAtEachStep(t *testing.T) {
	for name, edit := range edits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := edit(t)
			stops := s.calibrate()
			failed, met := 0, 0
			for i := range stops {
				rule := "error=ENOSPC"
				if i%2 == 1 {
					rule = "error=EIO"
				}
				r, when := s.at(stops, i, rule)
				if when == "" {
					continue
				}
				met++
				s.check(when)
				if r.status != 0 {
					failed++
				}
				s.told(when, r)
				s.heals(when)
			}
			if failed == 0 {
				t.Error("no failure reached the edit")
			}
			s.most(met, len(stops))
			t.Logf("%d of %d steps, %d failures", met, len(stops), failed)
		})
	}
}

// most fails unless most steps were met: a program that changes threads in the
// middle, as broker may, is missed by some.
func (s *surgery) most(met, steps int) {
	s.t.Helper()
	if met < 10 || met*2 < steps {
		s.t.Errorf("%d of %d steps were met", met, steps)
	}
}

// told fails unless the exit status is true: 0 for new files, and words for
// anything else.
func (s *surgery) told(when string, r result) {
	s.t.Helper()
	done := true
	for name, text := range s.texts() {
		done = done && text == s.new[name]
	}
	switch {
	case r.status == 0 && !done:
		s.t.Errorf("%s: exit status 0, and the files are not the new ones", when)
	case r.status != 0 && (r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "broker: hint: ")):
		s.t.Errorf("%s: exit status %d, stdout %q, stderr %q", when, r.status, r.stdout, r.stderr)
	case r.status != 0 && done && !strings.Contains(r.stderr, "does not confirm"):
		s.t.Errorf("%s: the files are the new ones, but it says %q", when, r.stderr)
	}
}
