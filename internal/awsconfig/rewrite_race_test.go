// SPDX-License-Identifier: Apache-2.0

//go:build linux

package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines returns the lines of the file, sorted.
func (d *desk) lines() []string {
	d.t.Helper()
	data, err := os.ReadFile(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// holdsLines fails unless the file has exactly these lines, in any order.
func (d *desk) holdsLines(want []string) {
	d.t.Helper()
	slices.Sort(want)
	if got := d.lines(); !slices.Equal(got, want) {
		d.t.Errorf("the file has %d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

// TestRewriteLosesNothing: edits at the same time, while a program that knows no
// lock writes the same file: by rename, in place, or its mode alone. It does so
// when an edit has read the file and computes. Every line of everybody is there in
// the end, once.
func TestRewriteLosesNothing(t *testing.T) {
	d := newDesk(t)
	d.options.Backup = false
	const editors, edits = 6, 8
	want := []string{"old"}
	var group sync.WaitGroup
	for i := range editors {
		for j := range edits {
			want = append(want, fmt.Sprintf("ours %d.%d", i, j))
			if j%4 < 2 {
				want = append(want, fmt.Sprintf("foreign %d.%d", i, j))
			}
		}
		group.Go(func() {
			for j := range edits {
				again := false
				_, err := Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) {
					line := fmt.Sprintf("foreign %d.%d", i, j)
					switch {
					case again:
					case j%4 == 0:
						d.foreign(line)
					case j%4 == 1:
						d.inPlace(line)
					case j%4 == 2:
						if err := os.Chmod(d.path, fs.FileMode(0o600+i)); err != nil {
							t.Error(err)
						}
					}
					again = true
					return add(fmt.Sprintf("ours %d.%d", i, j))(old)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	d.holdsLines(want)
	if n := len(d.files()); n != 3 {
		t.Errorf("left: %v", d.files())
	}
}

// inPlace appends a line without a rename.
func (d *desk) inPlace(line string) {
	f, err := os.OpenFile(d.path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		d.t.Error(err)
	}
}

// TestRewriteSeesWhatIsPutInItsWay: what comes to stand at the path while an edit
// computes is edited, or refused, never replaced unseen.
func TestRewriteSeesWhatIsPutInItsWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		put  func(d *desk) error
		want string // what the file behind the path holds in the end; "" is a refusal
	}{
		{"a file where none was", func(d *desk) error { return os.WriteFile(d.path, []byte("theirs\n"), 0o600) }, "theirs\nours\n"},
		{"an empty file", func(d *desk) error { return os.WriteFile(d.path, nil, 0o600) }, "ours\n"},
		{"a link", func(d *desk) error {
			return errors.Join(os.WriteFile(d.path+"-real", []byte("theirs\n"), 0o600), os.Symlink("config-real", d.path))
		}, "theirs\nours\n"},
		{"a directory", func(d *desk) error { return os.Mkdir(d.path, 0o700) }, ""},
		{"another directory", func(d *desk) error {
			dir := filepath.Dir(d.path)
			return errors.Join(os.Rename(dir, dir+"2"), os.Mkdir(dir, 0o700), os.WriteFile(d.path, []byte("theirs\n"), 0o600))
		}, "theirs\nours\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			if err := os.Remove(d.path); err != nil {
				t.Fatal(err)
			}
			calls := 0
			_, err := Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) {
				if calls++; calls == 1 {
					if err := tt.put(d); err != nil {
						t.Error(err)
					}
				}
				return add("ours")(old)
			})
			if (err == nil) != (tt.want != "") {
				t.Fatalf("edit: %v", err)
			}
			if tt.want == "" {
				checkError(t, err, CodeConfigUnwritable, "not a regular file")
				return
			}
			if data, err := os.ReadFile(d.path); err != nil || string(data) != tt.want {
				t.Errorf("the file holds %q (%v), want %q", data, err, tt.want)
			}
		})
	}
}

// TestRewriteOfAMovedLink: a link that leads elsewhere by the time of the rename is
// followed again.
func TestRewriteOfAMovedLink(t *testing.T) {
	d := newDesk(t)
	second := filepath.Join(d.dir, "second")
	write(t, second, "second\n")
	link := filepath.Join(d.dir, "link")
	if err := os.Symlink(d.path, link); err != nil {
		t.Fatal(err)
	}
	calls := 0
	done, err := Rewrite(t.Context(), link, d.options, func(old []byte) ([]byte, error) {
		if calls++; calls == 1 {
			if err := errors.Join(os.Remove(link), os.Symlink(second, link)); err != nil {
				t.Error(err)
			}
		}
		return add("ours")(old)
	})
	if err != nil || done.Path != second {
		t.Errorf("done: %+v, %v", done, err)
	}
	d.holds(second, "second\nours\n", 0o600)
	d.holds(d.path, "old\n", 0o600)
}

// TestRewriteByManyProcesses: the lock is between processes.
func TestRewriteByManyProcesses(t *testing.T) {
	const processes, edits = 4, 15
	if place := os.Getenv("EDIT_AT"); place != "" {
		name, dir, _ := strings.Cut(place, ":")
		options := RewriteOptions{Lock: filepath.Join(dir, "edit.lock"), Now: noon, Backup: true}
		for i := range edits {
			if _, err := Rewrite(t.Context(), filepath.Join(dir, "config"), options, add(fmt.Sprintf("%s.%d", name, i))); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.path = filepath.Join(d.dir, "config")
	var want []string
	var group sync.WaitGroup
	for i := range processes {
		for j := range edits {
			want = append(want, fmt.Sprintf("%d.%d", i, j))
		}
		group.Go(func() {
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("EDIT_AT=%d:%s", i, d.dir), "GOCOVERDIR=")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	group.Wait()
	d.holdsLines(want)
	if found, err := backups(d.path); err != nil || len(found) != 1+keptBackups {
		t.Errorf("backups: %v, %v", found, err)
	}
}

// TestRewriteSweepsWhatWasLeft: what an edit that was killed has left goes with
// the next, even if that changes nothing, or there is none at all; what is not ours
// stays.
func TestRewriteSweepsWhatWasLeft(t *testing.T) {
	for name, sweep := range map[string]func(d *desk) error{
		"edit": func(d *desk) error {
			_, err := Rewrite(d.t.Context(), d.path, d.options, func(old []byte) ([]byte, error) { return old, nil })
			return err
		},
		"none": func(d *desk) error {
			SweepEdits(d.t.Context(), d.path, d.options)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			folder := filepath.Dir(d.path)
			for _, name := range []string{".config.tmp-1a2b", ".config" + noonBackup + ".tmp-3c4d"} {
				write(t, filepath.Join(folder, name), "half")
			}
			others := []string{".config.tmp-", ".config.broker-x.tmp-1", ".credentials.tmp-1a2b", ".config.swp", "config.tmp-1a2b"}
			for _, name := range others {
				write(t, filepath.Join(folder, name), "theirs")
			}
			if err := sweep(d); err != nil {
				t.Fatal(err)
			}
			want := append(others, "config")
			slices.Sort(want)
			if names := d.names(folder); !slices.Equal(names, want) {
				t.Errorf("left: %v, want %v", names, want)
			}
		})
	}
}

// TestSweepEditsWaits: what lies there may be an edit that is under way. Where
// nothing does, there is nothing to wait for, and no lock is made.
func TestSweepEditsWaits(t *testing.T) {
	d := newDesk(t)
	SweepEdits(t.Context(), d.path, d.options)
	if _, err := os.Stat(d.options.Lock); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock: %v", err)
	}
	folder := filepath.Dir(d.path)
	_, err := Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) {
		write(t, filepath.Join(folder, ".config.tmp-1a2b"), "under way")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		SweepEdits(ctx, d.path, d.options)
		if names := d.names(folder); !slices.Contains(names, ".config.tmp-1a2b") {
			t.Errorf("left: %v", names)
		}
		return old, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	SweepEdits(t.Context(), d.path, d.options)
	if names := d.names(folder); !slices.Equal(names, []string{"config"}) {
		t.Errorf("left: %v", names)
	}
}

// names returns what lies in a directory.
func (d *desk) names(dir string) (names []string) {
	d.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestRewriteWipes: neither what was read nor what was written stays in memory,
// also where change returns the same bytes at each try.
func TestRewriteWipes(t *testing.T) {
	d := newDesk(t)
	mine := []byte(canary + "\n")
	var seen []byte
	_, err := Rewrite(t.Context(), d.path, d.options, func(old []byte) ([]byte, error) {
		if seen == nil {
			d.foreign(canary)
		}
		seen = old
		return mine, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.holds(d.path, canary+"\n", 0o600)
	for _, data := range [][]byte{mine, seen} {
		if len(data) == 0 || strings.Trim(string(data), "\x00") != "" {
			t.Errorf("not wiped: %q", data)
		}
	}
}
