// SPDX-License-Identifier: Apache-2.0

//go:build linux

package awsconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"credbroker/internal/atomicfile"
	"credbroker/internal/testprograms"
)

// rootOnly skips a test that acts as another user, or mounts, on machines where
// nobody promised that it runs.
func rootOnly(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root")
	}
}

func TestRewriteRefusesWhatWouldLose(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(path string) error
		code  string
		want  string
		root  bool
	}{
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, CodeConfigUnwritable, "not a regular file", false},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o600) }, CodeConfigUnwritable, "not a regular file", false},
		{"socket", func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		}, CodeConfigUnwritable, "not a regular file", false},
		{"device", func(path string) error { return os.Symlink("/dev/null", path) }, CodeConfigUnwritable, "not a regular file", false},
		{"hard link", func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("old\n"), 0o600), os.Link(path, path+"2"))
		}, CodeConfigUnwritable, "a file with a second name (hard link)", false},
		{"read-only", func(path string) error { return os.WriteFile(path, []byte("old\n"), 0o444) }, CodeConfigUnwritable, "a read-only file: mode 0444", false},
		{"too large", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxFile+1))
		}, CodeConfigUnwritable, "over 16777216 bytes", false},
		{"too large after", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxFile))
		}, CodeConfigUnwritable, "would be larger than 16 MiB", false},
		{"another's", func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("old\n"), 0o666), os.Chown(path, 1002, 1002))
		}, CodeConfigUnwritable, "a file of another user: uid 1002", true},
		{"link to another's", func(path string) error {
			return errors.Join(os.WriteFile(path+"-made", []byte("old\n"), 0o444), os.Chown(path+"-made", 1002, 1002), os.Symlink(path+"-made", path))
		}, CodeConfigUnwritable, "is a symbolic link to it\nif another program made that link", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				rootOnly(t)
			}
			d := newDesk(t)
			d.path = filepath.Join(d.dir, ".aws", "credentials")
			if err := tt.plant(d.path); err != nil {
				t.Fatal(err)
			}
			d.refuses(tt.code, tt.want, d.path)
		})
	}
}

// mount mounts a file system for the life of the test.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mount %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestRewriteOnAReadOnlyFileSystem(t *testing.T) {
	rootOnly(t)
	d := newDesk(t)
	folder := filepath.Dir(d.path)
	mount(t, folder, folder, "", unix.MS_BIND, "")
	if err := unix.Mount("", folder, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	d.refuses(CodeReadOnly, "write in "+folder+": read-only file system")
	d.path = filepath.Join(d.dir, "link")
	if err := os.Symlink(".aws/config", d.path); err != nil {
		t.Fatal(err)
	}
	d.refuses(CodeReadOnly, d.path+" is a symbolic link to it", "a manager of dotfiles")
}

// TestRewriteOnAFullDisk: whatever number of blocks is left, the file stays whole,
// and once there is room it is edited.
func TestRewriteOnAFullDisk(t *testing.T) {
	rootOnly(t)
	d := newDesk(t)
	folder := filepath.Dir(d.path)
	mount(t, "tmpfs", folder, "tmpfs", 0, "size=64k,mode=0700")
	text := strings.Repeat("0123456789abcde\n", 512) // two pages
	write(t, d.path, text)
	page := make([]byte, 4096)
	filler, err := os.Create(filepath.Join(folder, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(page)
	}
	size := int64(64<<10 - 2*4096)
	for free := range int64(5) { // three pages for the backup and as many for the file would do
		if err := filler.Truncate(size - free*4096); err != nil {
			t.Fatal(err)
		}
		d.refuses(CodeDiskFull, "no space left on device", "write in "+folder)
		d.holds(d.path, text, 0o600)
	}
	if err := errors.Join(filler.Truncate(0), filler.Close()); err != nil {
		t.Fatal(err)
	}
	d.holds(d.mustEdit("new").Backup, text, 0o600)
	d.holds(d.path, text+"new\n", 0o600)
}

func TestRewriteOfAnImmutableFile(t *testing.T) {
	rootOnly(t)
	const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	d := newDesk(t)
	for _, path := range []string{d.path, filepath.Dir(d.path)} {
		set := func(flags int) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
		}
		if err := set(immutable); errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("this file system has no immutable files")
		} else if err != nil {
			t.Fatal(err)
		}
		d.refuses(CodeConfigUnwritable, "operation not permitted", "lsattr -d")
		if err := set(0); err != nil {
			t.Fatal(err)
		}
	}
	d.mustEdit("new")
}

// ordinary runs this very test again as a user who may not do everything, in a
// directory of that user's.
func ordinary(t *testing.T, dir string, groups ...uint32) {
	t.Helper()
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		if err := os.Chmod(path, 0o755); err != nil && path != os.TempDir() {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "test")
	data, err := os.ReadFile(exe)
	if err == nil {
		err = testprograms.Write(copied, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), copied, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ORDINARY="+dir, "GOCOVERDIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1002, Gid: 1002, Groups: groups}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as uid 1002: %v\n%s", err, out)
	}
}

// TestRewriteAsAnOrdinaryUser: what the system refuses to a user, in words.
func TestRewriteAsAnOrdinaryUser(t *testing.T) {
	dir := os.Getenv("ORDINARY")
	if dir == "" {
		rootOnly(t)
		d := newDesk(t)
		folder := filepath.Join(d.dir, "u")
		for _, name := range []string{"closed", "shared", "unreadable", "state"} {
			if err := errors.Join(os.MkdirAll(filepath.Join(folder, name), 0o755), os.Chown(filepath.Join(folder, name), 1002, 1002)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, name, "config")
			write(t, path, "old\n")
			if err := errors.Join(os.Chown(path, 1002, map[string]int{"shared": 1234}[name]), os.Chmod(path, 0o640)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Chown(folder, 1002, 1002), os.Chmod(filepath.Join(folder, "closed"), 0o555),
			os.Chmod(filepath.Join(folder, "unreadable", "config"), 0o200)); err != nil {
			t.Fatal(err)
		}
		ordinary(t, folder)
		return
	}
	d := &desk{t: t, dir: dir, options: RewriteOptions{Lock: filepath.Join(dir, "state", "edit.lock"), Now: noon, Backup: true}}
	refuses := func(name string, want ...string) {
		t.Helper()
		d.path = filepath.Join(dir, name, "config")
		before, err := os.ReadDir(filepath.Dir(d.path))
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.edit("new")
		for _, part := range want {
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeConfigUnwritable || !strings.Contains(e.Message, part) || e.Hint == "" {
				t.Errorf("%s: %v, want %q in it, and a hint", name, err, part)
			}
		}
		after, err := os.ReadDir(filepath.Dir(d.path))
		if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: %v, before %v, %v", name, after, before, err)
		}
	}
	refuses("closed", "write in "+filepath.Join(dir, "closed")+": permission denied")
	// The file's group is not ours to give.
	refuses("shared", "group 1234: operation not permitted")
	refuses("unreadable", "permission denied")
}

// TestRewriteGivesUp: a program that writes at every turn keeps us out, and what
// it wrote stays.
func TestRewriteGivesUp(t *testing.T) {
	d := newDesk(t)
	calls := 0
	synctest.Test(t, func(t *testing.T) { // whose clock needs no waiting
		_, err := Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) {
			calls++
			d.foreign(fmt.Sprintf("foreign %d", calls))
			return add("ours")(old)
		})
		checkError(t, err, CodeConfigUnwritable, "another program keeps writing it")
	})
	if calls != maxTries {
		t.Errorf("%d tries, want %d", calls, maxTries)
	}
	d.holds(d.path, "old\nforeign 1\nforeign 2\nforeign 3\nforeign 4\nforeign 5\nforeign 6\n", 0o600)
	if n := len(d.files()); n != 3 {
		t.Errorf("left: %v", d.files())
	}
}

// TestRewriteWaitsNoLonger: an edit that hangs costs another one ten seconds.
func TestRewriteWaitsNoLonger(t *testing.T) {
	d := newDesk(t)
	if err := os.Mkdir(filepath.Dir(d.options.Lock), 0o700); err != nil {
		t.Fatal(err)
	}
	release, err := atomicfile.Lock(t.Context(), d.options.Lock)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		late := *d
		late.t = t
		late.refuses(CodeConfigUnwritable, d.options.Lock+": another edit of AWS files has held this lock for 10s")
	})
	release()
	d.mustEdit("new")

	d.options.Lock = filepath.Join(d.path, "no", "edit.lock")
	if _, err := d.edit("x"); err == nil || !strings.Contains(err.Error(), "make the directory of the lock file") {
		t.Errorf("a lock that cannot be: %v", err)
	}
}

// foreign appends a line as a program does that knows no lock.
func (d *desk) foreign(line string) {
	d.t.Helper()
	old, err := os.ReadFile(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	tmp := d.path + ".foreign"
	if err := os.WriteFile(tmp, append(old, line+"\n"...), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(tmp, d.path); err != nil {
		d.t.Fatal(err)
	}
}
