// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"credbroker/internal/testtracer"
)

// surgery is one edit of the AWS files of a world, done over and over: old files
// in, new files out.
type surgery struct {
	*world
	command []string // that does it
	undo    []string // that takes it back; nil if nothing does
	first   string   // the file that changes first
	old     map[string]string
	new     map[string]string
	earlier string          // the file that has a backup already, which the edit changes, too; "" is none
	steps   []step          // by which the edit changes anything
	healed  map[string]bool // the states from which the rest was tried
}

// step is one system call of an edit.
type step struct {
	name    string
	files   string
	changes bool
}

func (s step) String() string { return s.name + " " + s.files }

// differ says where a run left the steps that it should have begun with.
func differ(got, want []step) string {
	for i := range want {
		switch {
		case i >= len(got):
			return fmt.Sprintf("it ended before call %d, %v", i+1, want[i])
		case got[i] != want[i]:
			return fmt.Sprintf("call %d is %v, want %v", i+1, got[i], want[i])
		}
	}
	return ""
}

// The files of an edit, below home: the config is a symbolic link.
const (
	realConfig  = "dots/aws config"
	linkConfig  = ".aws/config"
	credentials = ".aws/credentials"
)

// backedUp is what the name of a backup ends in that was there before.
const backedUp = ".broker-20200102T030405Z"

// edits are the surgeries by name.
func edits() map[string]func(*testing.T) *surgery {
	return map[string]func(*testing.T) *surgery{
		"wire":   func(t *testing.T) *surgery { wire, _ := wiring(t); return wire },
		"unwire": func(t *testing.T) *surgery { _, unwire := wiring(t); return unwire },
		"import": deleting,
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
	plain := map[string]string{
		realConfig: "# mine\r\n[default]\nregion = eu-west-1\n\n[profile dev]\nregion = eu-west-1\n[profile ops]\n" +
			"role_arn = arn:aws:iam::" + w.account.AccountID + ":role/ops\nsource_profile = dev ; no new line follows",
		credentials: "[crew]\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/crew\nsource_profile = dev\n",
	}
	wires, unwires := []string{"wire", "dev", "ops", "crew"}, []string{"unwire", "--all"}
	wire = &surgery{world: w, command: wires, undo: unwires, first: realConfig, old: plain}
	wire.learn()
	unwire = &surgery{world: w, command: unwires, undo: wires, first: credentials, old: wire.new}
	unwire.learn()
	if !maps.Equal(unwire.new, plain) {
		t.Fatalf("unwire leaves %q, want %q", unwire.new, plain)
	}
	return wire, unwire
}

// deleting returns the surgery that takes a key, which is in the vault already, out
// of both files, and out of the backup of one.
func deleting(t *testing.T) *surgery {
	t.Helper()
	w := newWorld(t)
	w.initialise()
	key := w.user("eve").AccessKeys[0]
	pair := "aws_access_key_id = " + key.AccessKeyID + "\naws_secret_access_key = " + key.SecretAccessKey + "\n"
	s := &surgery{
		world: w, command: []string{"import", "--delete-source"}, first: credentials, earlier: credentials,
		old: map[string]string{
			realConfig:  "# mine\r\n[default]\nregion = eu-west-1\n\n[profile one]\n" + pair + "region = eu-west-1 ; no new line follows",
			credentials: "; kept\n[one]\n" + pair + "output = json\n",
		},
	}
	s.reset()
	w.must(w.run("broker", "import", "one", "--no-mfa"))
	s.learn()
	return s
}

// learn finds out what the edit makes of the files, and by which steps: each is a
// system call, by its name and files.
func (s *surgery) learn() {
	s.t.Helper()
	s.reset()
	s.healed = map[string]bool{}
	s.steps = s.seen(false)
	s.new = s.texts()
	for name, text := range s.old {
		if s.new[name] == text {
			s.t.Fatalf("%v does not change %s", s.command, name)
		}
	}
}

// struck runs the edit while strike says what becomes of its system calls on the
// AWS files, and on the lock of edits.
func (s *surgery) struck(reads bool, strike func(testtracer.Call) testtracer.Strike) (result, []testtracer.Call) {
	s.t.Helper()
	return s.startTraced(s.world.command("broker", s.command...), testtracer.Options{
		Below: []string{filepath.Join(s.home, ".aws"), filepath.Join(s.home, "dots"), filepath.Join(s.home, ".local/state/broker/edit.lock")},
		Reads: reads, Strike: strike,
	}).wait()
}

// passing matches what is another at each run: the ends of temporary names, and
// the times of backups.
var passing = regexp.MustCompile(`\.tmp-[0-9a-z]+|\.broker-\d{8}T\d{6}Z`)

// seen returns the steps of an edit that nothing strikes.
func (s *surgery) seen(reads bool) []step {
	s.t.Helper()
	s.reset()
	r, calls := s.struck(reads, nil)
	s.must(r)
	return s.stepsOf(calls)
}

// stepsOf returns calls by what is the same at each run.
func (s *surgery) stepsOf(calls []testtracer.Call) (steps []step) {
	for _, c := range calls {
		files := strings.ReplaceAll(strings.Join(c.Files, " → "), s.home+"/", "")
		steps = append(steps, step{c.Name, passing.ReplaceAllString(files, ".…"), c.Changes})
	}
	return steps
}

// reset puts the old files in their place, and nothing else.
func (s *surgery) reset() {
	s.t.Helper()
	err := errors.Join(os.RemoveAll(filepath.Join(s.home, ".aws")), os.RemoveAll(filepath.Join(s.home, "dots")),
		os.Mkdir(filepath.Join(s.home, ".aws"), 0o700), os.Mkdir(filepath.Join(s.home, "dots"), 0o755),
		os.Symlink("../"+realConfig, filepath.Join(s.home, linkConfig)))
	for name, text := range s.old {
		path := filepath.Join(s.home, name)
		err = errors.Join(err, s.place(path, text))
		if name == s.earlier {
			err = errors.Join(err, s.place(path+backedUp, text))
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// place writes a file with all that an edit is to keep.
func (s *surgery) place(path, text string) error {
	err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o640))
	if os.Getuid() == 0 {
		err = errors.Join(err, os.Chown(path, -1, 1234), unix.Setxattr(path, "user.note", []byte("mine"), 0))
	}
	return err
}

func (s *surgery) texts() map[string]string {
	s.t.Helper()
	texts := map[string]string{}
	for name := range s.old {
		texts[name] = s.readFile(filepath.Join(s.home, name))
	}
	return texts
}

// check fails unless each file is whole, the old one or the new one, and is what
// it was in every other way, and so is each backup. The one that changes first is
// the new one if another is. It reports whether only that one is.
func (s *surgery) check(when string) (half bool) {
	s.t.Helper()
	texts := s.texts()
	for name, text := range texts {
		path := filepath.Join(s.home, name)
		if text != s.old[name] && text != s.new[name] {
			s.t.Errorf("%s: %s is torn: %q", when, name, text)
		}
		if text != s.old[name] && texts[s.first] != s.new[s.first] {
			s.t.Errorf("%s: %s is the new one before %s is", when, name, s.first)
		}
		s.meta(when, path)
		for _, backup := range s.backups(name) {
			if text := s.readFile(backup); text != s.old[name] && text != s.new[name] {
				s.t.Errorf("%s: the backup %s is torn: %q", when, backup, text)
			}
			s.meta(when, backup)
		}
		half = half || text == s.old[name]
	}
	if target, err := os.Readlink(filepath.Join(s.home, linkConfig)); err != nil || target != "../"+realConfig {
		s.t.Errorf("%s: the link leads to %q, %v", when, target, err)
	}
	return half && texts[s.first] == s.new[s.first]
}

func (s *surgery) backups(name string) []string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.home, name) + ".broker-*Z")
	if err != nil {
		s.t.Fatal(err)
	}
	return found
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

// heals fails unless the same command, run again, finishes the edit and leaves
// nothing behind, and what takes the edit back gives the old files again: from
// there, and from a half state at once. Of states that are the same, which many
// steps leave, it tries the first.
func (s *surgery) heals(when string, half bool) {
	s.t.Helper()
	state := s.state()
	if s.healed[state] {
		return
	}
	s.healed[state] = true
	if half && s.undo != nil {
		restore := s.saved()
		s.ends(s.undo, s.old, "at once after "+when)
		restore()
	}
	s.ends(s.command, s.new, "after "+when)
	if s.earlier != "" {
		for _, backup := range s.backups(s.earlier) {
			if s.readFile(backup) != s.new[s.earlier] {
				s.t.Errorf("after %s: %s is as it was", when, backup)
			}
		}
	}
	if s.undo != nil {
		s.ends(s.undo, s.old, "after "+when+" and its end")
	}
}

// state describes all that lies in the directories of the AWS files.
func (s *surgery) state() string {
	s.t.Helper()
	var state strings.Builder
	for _, dir := range []string{".aws", "dots"} {
		err := filepath.WalkDir(filepath.Join(s.home, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return err
			}
			note := make([]byte, 10)
			n, _ := unix.Lgetxattr(path, "user.note", note) // none is a note too
			fmt.Fprintf(&state, "%s %o %d:%d %q", passing.ReplaceAllString(path, ".…"), st.Mode, st.Uid, st.Gid, note[:max(n, 0)])
			if e.Type().IsRegular() {
				fmt.Fprintf(&state, " %q", s.readFile(path))
			}
			state.WriteByte('\n')
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return state.String()
}

// ends fails unless a command succeeds and leaves just these files.
func (s *surgery) ends(command []string, want map[string]string, when string) {
	s.t.Helper()
	if r := s.run("broker", command...); r.status != 0 {
		s.t.Errorf("%s: %v: exit status %d, %s", when, command, r.status, r.stderr)
	}
	for name, text := range s.texts() {
		s.meta(when, filepath.Join(s.home, name))
		if text != want[name] {
			s.t.Errorf("%s: %v leaves %s as %q, want %q", when, command, name, text, want[name])
		}
	}
	if left := s.temporaries(); len(left) > 0 {
		s.t.Errorf("%s: %v leaves %v", when, command, left)
	}
}

// told fails unless the exit status is true: 0 for new files, and words for
// anything else.
func (s *surgery) told(when string, r result) {
	s.t.Helper()
	done := maps.Equal(s.texts(), s.new)
	switch {
	case r.status == 0 && !done:
		s.t.Errorf("%s: exit status 0, and the files are not the new ones", when)
	case r.status != 0 && (r.status != 1 || r.stdout != "" && s.earlier == "" || !strings.Contains(r.stderr, "broker: hint: ")):
		s.t.Errorf("%s: exit status %d, stdout %q, stderr %q", when, r.status, r.stdout, r.stderr)
	case r.status != 0 && done && !strings.Contains(r.stderr, "does not confirm"):
		s.t.Errorf("%s: the files are the new ones, but it says %q", when, r.stderr)
	}
}

// saved moves a copy of the AWS files out of the way, with all that lies beside
// them, and returns what puts it in their place.
func (s *surgery) saved() (restore func()) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "saved")
	aws, dots := filepath.Join(s.home, ".aws"), filepath.Join(s.home, "dots")
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	s.must(s.run("cp", "-a", aws, dots, dir))
	return func() {
		err := errors.Join(os.RemoveAll(aws), os.RemoveAll(dots),
			os.Rename(filepath.Join(dir, ".aws"), aws), os.Rename(filepath.Join(dir, "dots"), dots), os.Remove(dir))
		if err != nil {
			s.t.Fatal(err)
		}
	}
}
