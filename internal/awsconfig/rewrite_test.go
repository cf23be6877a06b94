// SPDX-License-Identifier: Apache-2.0

//go:build linux

package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// noon is when the edits of these tests take place.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const noonBackup = ".broker-20260301T120000Z"

// desk is a home with an AWS config, and what edits need.
type desk struct {
	t       *testing.T
	dir     string
	path    string
	options RewriteOptions
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{t: t, dir: dir, path: filepath.Join(dir, ".aws", "config")}
	d.options = RewriteOptions{Lock: filepath.Join(dir, "state", "edit.lock"), Now: noon, Backup: true}
	if err := os.Mkdir(filepath.Join(dir, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, d.path, "old\n")
	return d
}

// add appends a line.
func add(line string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(slices.Clone(old), line+"\n"...), nil }
}

func (d *desk) edit(line string) (Rewritten, error) {
	return Rewrite(d.t.Context(), d.path, d.options, add(line))
}

func (d *desk) mustEdit(line string) Rewritten {
	d.t.Helper()
	done, err := d.edit(line)
	if err != nil {
		d.t.Fatal(err)
	}
	return done
}

// holds fails unless the file at path has this content and mode.
func (d *desk) holds(path, text string, mode fs.FileMode) {
	d.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || string(data) != text {
		d.t.Errorf("%s holds %q (%v), want %q", path, data, err, text)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != mode {
		d.t.Errorf("%s: mode %v (%v), want %v", path, info.Mode(), err, mode)
	}
}

// files returns what lies below the desk but for its lock: path → mode, target
// or content.
func (d *desk) files() map[string]string {
	d.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.options.Lock || path == filepath.Dir(d.options.Lock) {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("mode %o, owner %d:%d", st.Mode, st.Uid, st.Gid)
		switch {
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			text += " → " + target
			if err != nil {
				return err
			}
		case e.Type().IsRegular():
			data, err := os.ReadFile(path)
			text += fmt.Sprintf(", links %d, %d bytes: %q", st.Nlink, len(data), data[:min(len(data), 4096)])
			if err != nil {
				return err
			}
		}
		found[path] = text
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

// refuses fails unless an edit is refused in these words, with a hint, and
// changes nothing.
func (d *desk) refuses(code string, want ...string) {
	d.t.Helper()
	before := d.files()
	done, err := d.edit("new")
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		d.t.Fatalf("edit: %v, want an Error of %s", err, code)
	}
	for _, part := range want {
		if !strings.Contains(e.Error()+"\n"+e.Hint, part) {
			d.t.Errorf("the error is %q with the hint %q, want %q in it", e, e.Hint, part)
		}
	}
	if done != (Rewritten{}) {
		d.t.Errorf("refused, and done: %+v", done)
	}
	if after := d.files(); !maps.Equal(before, after) {
		d.t.Errorf("an edit that was refused left\n%v\nof\n%v", after, before)
	}
}

func TestRewriteKeepsABackup(t *testing.T) {
	d := newDesk(t)
	done := d.mustEdit("new")
	if want := (Rewritten{Changed: true, Path: d.path, Backup: d.path + noonBackup}); done != want {
		t.Errorf("done: %+v, want %+v", done, want)
	}
	d.holds(d.path, "old\nnew\n", 0o600)
	d.holds(done.Backup, "old\n", 0o600)

	// Within the same second another name is found, and nothing overwritten.
	if done = d.mustEdit("third"); done.Backup != d.path+".broker-20260301T120001Z" {
		t.Errorf("second backup: %s", done.Backup)
	}
	d.holds(d.path+noonBackup, "old\n", 0o600)
	d.holds(done.Backup, "old\nnew\n", 0o600)

	d.options.Backup = false
	if done = d.mustEdit("fourth"); done.Backup != "" || !done.Changed {
		t.Errorf("without a backup: %+v", done)
	}
	if n := len(d.files()); n != 5 { // two directories, the file, two backups
		t.Errorf("%d files: %v", n, d.files())
	}
}

func TestRewriteWithoutAChange(t *testing.T) {
	d := newDesk(t)
	before := d.files()
	stat, _ := os.Stat(d.path)
	done, err := Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) { return slices.Clone(old), nil })
	if want := (Rewritten{Path: d.path}); err != nil || done != want {
		t.Errorf("the same: %+v, %v", done, err)
	}
	broken := errors.New("broken")
	if _, err := Rewrite(t.Context(), d.path, d.options, func([]byte) ([]byte, error) { return []byte("x"), broken }); !errors.Is(err, broken) {
		t.Errorf("a change that fails: %v", err)
	}
	if now, _ := os.Stat(d.path); !os.SameFile(stat, now) || !maps.Equal(before, d.files()) {
		t.Error("the file was written")
	}
	missing := filepath.Join(d.dir, "no", "config")
	done, err = Rewrite(t.Context(), missing, d.options, func(old []byte) ([]byte, error) { return old, nil })
	if err != nil || done.Changed || !maps.Equal(before, d.files()) {
		t.Errorf("nothing for a missing file: %+v, %v", done, err)
	}
}

func TestRewriteMakesWhatIsMissing(t *testing.T) {
	d := newDesk(t)
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	for _, path := range []string{filepath.Join(d.dir, ".aws", "credentials"), filepath.Join(d.dir, "none", "config")} {
		d.path = path
		if done := d.mustEdit("new"); done.Backup != "" || done.Path != path {
			t.Errorf("done: %+v", done)
		}
		d.holds(path, "new\n", 0o600)
	}
	if info, err := os.Stat(filepath.Dir(d.path)); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("the directory that was made: %v, %v", info.Mode(), err)
	}
	d.path = filepath.Join(d.dir, "many", "are", "missing")
	d.refuses(CodeConfigUnwritable, "the directory "+filepath.Join(d.dir, "many")+" is not there")
}

func TestRewriteFollowsLinks(t *testing.T) {
	d := newDesk(t)
	dots := filepath.Join(d.dir, "dots")
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dots, "deep", "er"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dots, "aws"), "old\n")
	link(filepath.Join(dots, "deep", "er"), filepath.Join(d.dir, "short"))
	link("../dots/aws", filepath.Join(d.dir, ".aws", "relative"))
	link(filepath.Join(d.dir, ".aws", "relative"), filepath.Join(d.dir, ".aws", "chain"))
	// Through a link to a directory and up from where that leads.
	link("../short/../../aws", filepath.Join(d.dir, ".aws", "up"))
	link("../dots/new", filepath.Join(d.dir, ".aws", "dangling"))
	link(dots, filepath.Join(d.dir, "folder"))
	links := d.files()
	text := "old\n"
	for _, path := range []string{".aws/relative", ".aws/chain", ".aws/up", "folder/aws"} {
		d.path = filepath.Join(d.dir, path)
		if done := d.mustEdit(path); done.Path != filepath.Join(dots, "aws") || filepath.Dir(done.Backup) != dots {
			t.Errorf("%s: %+v", path, done)
		}
		text += path + "\n"
		d.holds(filepath.Join(dots, "aws"), text, 0o600)
	}
	d.path = filepath.Join(d.dir, ".aws", "dangling")
	d.mustEdit("new")
	d.holds(filepath.Join(dots, "new"), "new\n", 0o600)
	now := d.files()
	for path, was := range links {
		if strings.Contains(was, "→") && now[path] != was {
			t.Errorf("%s was %s and is %s", path, was, now[path])
		}
	}

	d.path = filepath.Join(d.dir, ".aws", "loop")
	link("loop2", d.path)
	link("loop", filepath.Join(d.dir, ".aws", "loop2"))
	d.refuses(CodeConfigUnwritable, "lead in a circle")
	d.path = filepath.Join(d.dir, ".aws", "unmounted")
	link("/nowhere/aws/config", d.path)
	d.refuses(CodeConfigUnwritable, "leads to /nowhere/aws/config, whose directory is not there")
	d.path = filepath.Join(d.dir, "gone", "config")
	link("/nowhere/aws", filepath.Dir(d.path))
	d.refuses(CodeConfigUnwritable, "whose directory is not there")
}

func TestRewriteKeepsWhatTheFileIs(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root to give a file to another group")
	}
	d := newDesk(t)
	const acl = "system.posix_acl_access"
	list := []byte{
		2, 0, 0, 0,
		1, 0, 6, 0, 255, 255, 255, 255,
		2, 0, 4, 0, 234, 3, 0, 0, // user 1002 reads
		4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 6, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255,
	}
	for _, err := range []error{
		os.Chown(d.path, -1, 1234),
		os.Chmod(d.path, 0o640),
		unix.Setxattr(d.path, "user.note", []byte("precious"), 0),
		unix.Setxattr(d.path, "user.empty", nil, 0),
		unix.Setxattr(d.path, "user.long", []byte(strings.Repeat("x", 2000)), 0),
		unix.Setxattr(d.path, acl, list, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	done := d.mustEdit("new")
	for _, path := range []string{d.path, done.Backup} {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil || st.Gid != 1234 || st.Mode&0o7777 != 0o660 {
			t.Errorf("%s: group %d, mode %o, %v", path, st.Gid, st.Mode, err)
		}
		for name, want := range map[string]string{"user.note": "precious", "user.empty": "", "user.long": strings.Repeat("x", 2000), acl: string(list)} {
			value := make([]byte, 4096)
			n, err := unix.Getxattr(path, name, value)
			if err != nil || string(value[:n]) != want {
				t.Errorf("%s: %s is %q, %v", path, name, value[:max(n, 0)], err)
			}
		}
	}

	// What the directory gives every new file, the old one did not have.
	d.path = filepath.Join(d.dir, ".aws", "plain")
	write(t, d.path, "old\n")
	if err := unix.Setxattr(filepath.Dir(d.path), "system.posix_acl_default", list, 0); err != nil {
		t.Fatal(err)
	}
	d.mustEdit("new")
	d.holds(d.path, "old\nnew\n", 0o600)
	if _, err := unix.Getxattr(d.path, acl, make([]byte, 100)); !errors.Is(err, unix.ENODATA) {
		t.Errorf("the access list of the directory came into the file: %v", err)
	}
}

func TestRewriteWaitsForItsTurn(t *testing.T) {
	d := newDesk(t)
	inside, leave := make(chan bool), make(chan bool)
	go func() {
		_, _ = Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) {
			inside <- true
			<-leave
			return add("first")(old)
		})
		inside <- true
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Rewrite(ctx, d.path, d.options, add("cancelled")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	late, end := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer end()
	if _, err := Rewrite(late, d.path, d.options, add("late")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), d.options.Lock) {
		t.Errorf("late: %v", err)
	}
	time.AfterFunc(30*time.Millisecond, func() { leave <- true })
	d.mustEdit("second")
	<-inside
	d.holds(d.path, "old\nfirst\nsecond\n", 0o600)
}

func TestScrubBackups(t *testing.T) {
	d := newDesk(t)
	for range 3 {
		d.mustEdit("key")
	}
	d.mustEdit("after")
	write(t, d.path+".broker-mine", "key\n")
	without := func(old []byte) ([]byte, error) { return []byte(strings.ReplaceAll(string(old), "key\n", "")), nil }
	scrubbed, err := ScrubBackups(t.Context(), d.path, d.options, without)
	if err != nil || len(scrubbed) != 3 || scrubbed[0] != d.path+".broker-20260301T120001Z" {
		t.Errorf("scrubbed %v, %v", scrubbed, err)
	}
	found, err := backups(d.path)
	if err != nil || len(found) != 4 {
		t.Fatalf("backups: %v, %v", found, err)
	}
	for _, path := range found {
		d.holds(path, "old\n", 0o600)
	}
	d.holds(d.path, "old\nkey\nkey\nkey\nafter\n", 0o600)
	d.holds(d.path+".broker-mine", "key\n", 0o600)

	// One that cannot be changed does not keep it from the others.
	write(t, found[3], "key\n")
	if err := errors.Join(os.Chmod(found[0], 0o400), os.WriteFile(found[0]+"x", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	scrubbed, err = ScrubBackups(t.Context(), d.path, d.options, func([]byte) ([]byte, error) { return []byte("x\n"), nil })
	if len(scrubbed) != 3 || err == nil || !strings.Contains(err.Error(), found[0]+": cannot be edited: a read-only file") {
		t.Errorf("scrubbed %v, %v", scrubbed, err)
	}
	if scrubbed, err := ScrubBackups(t.Context(), filepath.Join(d.dir, "no", "config"), d.options, without); len(scrubbed) != 0 || err != nil {
		t.Errorf("no directory: %v, %v", scrubbed, err)
	}
}

func TestRewriteKeepsFewBackups(t *testing.T) {
	d := newDesk(t)
	var made []string
	for i := range 9 {
		d.options.Now = noon.Add(time.Duration(i) * time.Hour)
		made = append(made, d.mustEdit("new").Backup)
	}
	want := slices.Concat(made[:1], made[5:])
	if found, err := backups(d.path); err != nil || !slices.Equal(found, want) {
		t.Errorf("backups: %v, %v, want %v", found, err, want)
	}
	d.holds(made[0], "old\n", 0o600)
}
