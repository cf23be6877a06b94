// SPDX-License-Identifier: Apache-2.0

//go:build linux

package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestOverlaysGoWithTheirLogin: an overlay stays while a process of its login
// session lives or carries its path, and goes after that.
func TestOverlaysGoWithTheirLogin(t *testing.T) {
	r := newRig(t)
	defer func() { r.tasks.close() }()
	r.opts.ProcDir = r.path("proc")
	r.restart()
	process := func(pid, session, start int, environ string) {
		stat := fmt.Sprintf("%d (a) b) S 1 %d %d 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, pid, session, start)
		r.write(fmt.Sprintf("proc/%d/stat", pid), stat)
		r.write(fmt.Sprintf("proc/%d/environ", pid), environ)
	}
	r.write("proc/self-is-no-number", "")
	process(100, 100, 5000, "HOME=/\x00")                                                           // a session leader
	process(201, 200, 6000, "")                                                                     // a member whose leader has ended
	process(300, 300, 9999, "")                                                                     // a number that was given away again
	process(400, 1, 7000, "A=b\x00AWS_CONFIG_FILE="+r.path("overlay/500-1-aa.config")+"\x00X=\x00") // carries a path
	keep := []string{"100-5000-aa.config", "200-4000-bb.config", "500-1-aa.config", "notes.txt", "1-2.config", "1-x-aa.config"}
	remove := []string{"300-1234-aa.config", "600-1-aa.config", "500-1-a.config", "0-0-aa.config"}
	for _, name := range append(keep, remove...) {
		r.write("overlay/"+name, "")
	}
	r.removeOverlays(t.Context())
	for _, name := range keep {
		if _, err := os.Stat(r.path("overlay/" + name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range remove {
		if _, err := os.Stat(r.path("overlay/" + name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	// Without processes to look at, everything stays.
	r.write("overlay/"+remove[0], "")
	r.Broker.opts.ProcDir = r.path("nowhere")
	r.removeOverlays(t.Context())
	if _, err := os.Stat(r.path("overlay/" + remove[0])); err != nil {
		t.Error(err)
	}
}

// TestProcessesOfThisSystem: the real list has this test in it.
func TestProcessesOfThisSystem(t *testing.T) {
	list, err := listProcesses("/proc", os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.pid == os.Getpid() {
			if p.start == 0 || p.session < 0 {
				t.Errorf("%+v", p)
			}
			return
		}
	}
	t.Error("this process is not listed")
}

func TestReadProcessOfNonsense(t *testing.T) {
	dir := t.TempDir()
	for _, stat := range []string{"", "1", "1 (x)", "1 (x) S 1 2 q 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0"} {
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, ok := readProcess(dir, 1); ok {
			t.Errorf("%q: %+v", stat, p)
		}
	}
}
