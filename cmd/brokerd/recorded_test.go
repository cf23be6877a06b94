// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"credbroker/internal/atomicfile"
)

func TestRecordedEnviron(t *testing.T) {
	path := filepath.Join(t.TempDir(), "environment")
	own := []string{fixedPath, "LC_ALL=C", "HOME=/h"}
	check := func(what string, want []string, wrong error) {
		t.Helper()
		got, err := recordedEnviron(path, own, os.Getuid())
		if !slices.Equal(got, want) || !errors.Is(err, wrong) {
			t.Errorf("%s: %q, %v\nwant %q, %v", what, got, err, want, wrong)
		}
	}
	check("missing", own, nil)
	if err := os.WriteFile(path, []byte("PATH=/opt/bin\nGNUPGHOME=/keys\nAWS_PROFILE=x\nLD_PRELOAD=/x\nBROKER_MFA_SERIAL=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("recorded", []string{"PATH=/opt/bin", "GNUPGHOME=/keys", "HOME=/h"}, nil)
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	check("unsafe", own, atomicfile.ErrUnsafe)
}

func TestMergeEnviron(t *testing.T) {
	socket := filepath.Join(newHome(t).dir, "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bus, ourBus := sessionBus+"=unix:path="+socket, sessionBus+"=unix:path=/run/user/1/bus"
	for _, tt := range []struct {
		name                string
		recorded, own, want []string
	}{
		{"the daemon was started from nothing", []string{"PATH=/p", "HOME=/r", "DISPLAY=:0", "XAUTHORITY=/x"}, []string{fixedPath, "HOME=/h"}, []string{"PATH=/p", "HOME=/r", "DISPLAY=:0", "XAUTHORITY=/x"}},
		{"init was run from nothing", nil, []string{fixedPath, "LANG=C", "HOME=/h", "DISPLAY=:1"}, []string{fixedPath, "HOME=/h", "DISPLAY=:1"}},
		{"another login session", []string{"DISPLAY=:0", "XAUTHORITY=/old", "TZ=UTC"}, []string{fixedPath, "WAYLAND_DISPLAY=w", "TZ=CET", "HOME=/h"}, []string{"TZ=UTC", fixedPath, "WAYLAND_DISPLAY=w", "HOME=/h"}},
		{"authority without a display", []string{"DISPLAY=:0", "XAUTHORITY=/r"}, []string{fixedPath, "XAUTHORITY=/o", "HOME=/h"}, []string{"DISPLAY=:0", "XAUTHORITY=/r", fixedPath, "HOME=/h"}},
		{"a bus that lives", []string{bus}, []string{fixedPath, "HOME=/h", ourBus}, []string{bus, fixedPath, "HOME=/h"}},
		{"a bus that is gone", []string{bus + ".old"}, []string{fixedPath, "HOME=/h", ourBus}, []string{fixedPath, "HOME=/h", ourBus}},
		{"a bus that is a program", []string{sessionBus + "=unixexec:path=/evil"}, []string{fixedPath, "HOME=/h"}, []string{fixedPath, "HOME=/h"}},
	} {
		before := slices.Clone(tt.recorded)
		if got := mergeEnviron(tt.recorded, tt.own, os.Getuid()); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q\nwant %q", tt.name, got, tt.want)
		}
		if !slices.Equal(tt.recorded, before) {
			t.Errorf("%s: the argument became %q", tt.name, tt.recorded)
		}
	}
}
