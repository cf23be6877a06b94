// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestF38UpgradedDaemonMakesRoom: a daemon that has nothing to lose ends when
// another program stands in its place, and goes on while none does. It looks
// each minute, and when somebody touches its socket.
func TestF38UpgradedDaemonMakesRoom(t *testing.T) {
	h := newHome(t)
	exe := filepath.Join(h.dir, "brokerd")
	if err := copyFile(filepath.Join(programs, "brokerd"), exe); err != nil {
		t.Fatal(err)
	}
	d := h.command(nil)
	d.Path = exe
	d.launch()
	h.serving(d)
	touch := func() {
		if err := os.Remove(h.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	touch()
	h.serving(d)
	if err := copyFile(filepath.Join(programs, "brokerd"), exe); err != nil {
		t.Fatal(err)
	}
	touch()
	if got := d.status(); got != 0 || d.said() != "" {
		t.Errorf("it ended with %d and said %q, want 0 and nothing", got, d.said())
	}
	next := h.command(nil)
	next.Path = exe
	next.launch()
	h.serving(next)
}

func TestProgramReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "brokerd")
	if err := os.WriteFile(path, []byte("1"), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	p := program{path, file}
	check := func(what string, replaced, renewed bool) {
		t.Helper()
		if p.replaced() != replaced || p.renewed() != renewed {
			t.Errorf("%s: replaced %t, renewed %t", what, p.replaced(), p.renewed())
		}
	}
	check("at first", false, false)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	check("without a file", true, false)
	if err := os.WriteFile(path, []byte("2"), 0o700); err != nil {
		t.Fatal(err)
	}
	check("with another one", true, true)
	if (program{}).replaced() || (program{}).renewed() {
		t.Error("an unknown program is replaced")
	}
	if p := thisProgram(); p.file == nil || p.replaced() {
		t.Errorf("this program: %+v", p)
	}
}
