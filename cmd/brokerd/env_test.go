// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCleanEnviron(t *testing.T) {
	socket := filepath.Join(newHome(t).dir, "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bus := "DBUS_SESSION_BUS_ADDRESS=unix:path=" + socket + ",guid=0123456789abcdef"
	tests := []struct {
		name     string
		in, want []string
	}{
		{"empty", nil, []string{fixedPath}},
		{"clean", []string{fixedPath, "HOME=/h"}, []string{fixedPath, "HOME=/h"}},
		{"another path", []string{"PATH=/evil", "HOME=/h"}, []string{fixedPath, "HOME=/h"}},
		{"a fixed path among others", []string{"PATH=/evil", fixedPath}, []string{fixedPath}},
		{"prefixes", []string{"LC_ALL=C", "BROKER_CONFIG=/c", "LISTEN_FDS=1", "WATCHDOG_USEC=1"}, []string{fixedPath, "LC_ALL=C", "BROKER_CONFIG=/c", "LISTEN_FDS=1", "WATCHDOG_USEC=1"}},
		{"names that only look like it", []string{"HOMEX=1", "home=1", "XBROKER_=1", "LD_PRELOAD=x", "GODEBUG=x", "AWS_PROFILE=x", "XDG_CONFIG_HOME=/x"}, []string{fixedPath}},
		{"no name", []string{"nonsense", "=x", ""}, []string{fixedPath}},
		{"a bus that is a program", []string{"DBUS_SESSION_BUS_ADDRESS=unixexec:path=/evil"}, []string{fixedPath}},
		{"a bus that is not a socket", []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/dev/null"}, []string{fixedPath}},
		{"a bus of ours", []string{bus}, []string{fixedPath, bus}},
		{"value with =", []string{"BROKER_X=a=b"}, []string{fixedPath, "BROKER_X=a=b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := cleanEnviron(test.in)
			if !slices.Equal(got, test.want) {
				t.Errorf("clean is %q, want %q", got, test.want)
			}
			if !isClean(got) {
				t.Errorf("%q is not clean: the program would start again for ever", got)
			}
			if isClean(test.in) != slices.Equal(got, test.in) {
				t.Errorf("isClean(%q) is %t", test.in, isClean(test.in))
			}
		})
	}
}

func TestCommandEnviron(t *testing.T) {
	got := commandEnviron([]string{
		"LC_ALL=C", "DISPLAY=:0", "PATH=/evil", "AWS_PROFILE=x", "BROKER_SOCKET=/s", "LISTEN_FDS=1",
		"NOTIFY_SOCKET=/n", "WATCHDOG_PID=1", "CREDENTIALS_DIRECTORY=/c", "DBUS_SESSION_BUS_ADDRESS=tcp:", "GOCOVERDIR=/g",
	}, "unix:path=/run/user/1/bus", "/h")
	want := []string{fixedPath, "LC_ALL=C", "DISPLAY=:0", "HOME=/h", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1/bus"}
	if !slices.Equal(got, want) {
		t.Errorf("environment is %q, want %q", got, want)
	}
}

func TestSelfIsThisProgram(t *testing.T) {
	running, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := os.Stat(self()); err != nil || !os.SameFile(running, found) {
		t.Errorf("self is %s (%v)", self(), err)
	}
	if got := sibling("broker-vault"); !filepath.IsAbs(got) || filepath.Base(got) != "broker-vault" {
		t.Errorf("sibling is %s", got)
	}
}

// TestF38ReplacedProgramStillStarts: an upgrade in the middle of a start.
func TestF38ReplacedProgramStillStarts(t *testing.T) {
	h := newHome(t)
	exe := filepath.Join(h.dir, "brokerd")
	if err := copyFile(filepath.Join(programs, "brokerd"), exe); err != nil {
		t.Fatal(err)
	}
	d := h.command([]string{"AWS_PROFILE=x"}) // it will start itself again
	held, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	d.ExtraFiles = []*os.File{held}
	d.Path = "/proc/self/fd/" + itoa(int(held.Fd()))
	d.launch()
	h.serving(d)
}
