// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLogTurnsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "brokerd.log")
	l := &logFile{path: path}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	write := func(n int) {
		t.Helper()
		for range n {
			if _, err := l.Write(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(1024)
	if sizes(t, path) != "1024 - -" {
		t.Errorf("a full log: %s", sizes(t, path))
	}
	write(1)
	if sizes(t, path) != "1 1024 -" {
		t.Errorf("one line more: %s", sizes(t, path))
	}
	write(4 * 1024)
	if sizes(t, path) != "1 1024 1024" {
		t.Errorf("four logs more: %s", sizes(t, path))
	}
	if _, err := os.Lstat(path + ".3"); err == nil {
		t.Error("there are more than three files")
	}
	l.reopen()
	write(1)
	if sizes(t, path) != "2 1024 1024" {
		t.Errorf("after reopen: %s", sizes(t, path))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.reopen()
	write(1)
	if sizes(t, path) != "1 1024 1024" {
		t.Errorf("after it was moved away: %s", sizes(t, path))
	}
	again := &logFile{path: path}
	if _, err := again.Write(line); err != nil || sizes(t, path) != "2 1024 1024" {
		t.Errorf("another daemon's first line: %v, %s", err, sizes(t, path))
	}
}

// sizes returns the sizes of the three files in KiB.
func sizes(t *testing.T, path string) string {
	t.Helper()
	var all []string
	for _, p := range []string{path, path + ".1", path + ".2"} {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			all = append(all, "-")
		case info.Mode().Perm() != 0o600:
			t.Errorf("%s has mode %v", p, info.Mode())
		default:
			all = append(all, itoa(int(info.Size()>>10)))
		}
	}
	return strings.Join(all, " ")
}

func TestLogRefusesStrangeFiles(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	path := filepath.Join(dir, "brokerd.log")
	for name, plant := range map[string]func() error{
		"link":      func() error { return os.Symlink(victim, path) },
		"hard link": func() error { return os.Link(victim, path) },
		"directory": func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := os.WriteFile(victim, []byte("victim"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		if _, err := (&logFile{path: path}).Write([]byte("line\n")); err == nil {
			t.Errorf("%s: the log was written", name)
		}
		if data, err := os.ReadFile(victim); err != nil || string(data) != "victim" {
			t.Errorf("%s: the victim is %q (%v)", name, data, err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogLinesStayWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brokerd.log")
	l := &logFile{path: path}
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				if _, err := l.Write([]byte("one whole line\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	data, err := os.ReadFile(path)
	if err != nil || len(data) != 800*15 || bytes.Count(data, []byte("one whole line\n")) != 800 {
		t.Errorf("%d bytes (%v), want 800 whole lines", len(data), err)
	}
}
