// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// TestNoRequestRunsOnAnOlderFile: each plan sees what was written before it,
// also through a link and in a file that was not there.
func TestNoRequestRunsOnAnOlderFile(t *testing.T) {
	r := free(t) // in real time: that is what the file system has
	defer func() { r.tasks.close() }()
	region := func() string { return mustPlan(t, r, "dev").aws.Region }
	r.write("aws/config", "[profile dev]\nregion = eu-west-1\n")
	if got := region(); got != "eu-west-1" {
		t.Errorf("%s", got)
	}
	r.write("aws/config", "[profile dev]\nregion = eu-west-2\n") // same size
	if got := region(); got != "eu-west-2" {
		t.Errorf("after a write: %s", got)
	}
	r.write("aws/credentials", "[dev]\nregion = eu-west-3\n")
	if got := region(); got != "eu-west-3" {
		t.Errorf("after a new file: %s", got)
	}
	r.rm("aws/credentials")
	if got := region(); got != "eu-west-2" {
		t.Errorf("after a removal: %s", got)
	}
	r.write("elsewhere/config", "[profile dev]\nregion = us-west-1\n")
	r.rm("aws/config")
	if err := os.Symlink(r.path("elsewhere/config"), r.path("aws/config")); err != nil {
		t.Fatal(err)
	}
	if got := region(); got != "us-west-1" {
		t.Errorf("after a link: %s", got)
	}
	r.write("elsewhere/config", "[profile dev]\nregion = us-west-2\n")
	if got := region(); got != "us-west-2" {
		t.Errorf("behind a link: %s", got)
	}
	r.write("other/config", "[profile dev]\nregion = sa-east-1\n")
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[aws]\nconfig_file = "+r.path("other/config")+"\n")
	if got := region(); got != "sa-east-1" {
		t.Errorf("after another config_file: %s", got)
	}
	if s := r.status(); s.AWSConfigFile != r.path("other/config") {
		t.Errorf("status: %s", s.AWSConfigFile)
	}
}

// TestF40EditsThatHide: an edit counts whatever its size and time stamp, and so
// does what makes a file readable again.
func TestF40EditsThatHide(t *testing.T) {
	r := free(t) // in real time: that is what the file system has
	defer func() { r.tasks.close() }()
	region := func() string { return mustPlan(t, r, "dev").aws.Region }
	old := time.Now().Add(-time.Hour)
	r.write("aws/config", "[profile dev]\nregion = eu-west-1\n")
	backdate := func(path string) {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	backdate(r.path("aws/config"))
	r.clock.move(time.Minute, 0) // nothing is young
	if got := region(); got != "eu-west-1" {
		t.Fatal(got)
	}
	time.Sleep(20 * time.Millisecond) // one tick of the file system's clock
	r.write("aws/config", "[profile dev]\nregion = eu-west-2\n")
	backdate(r.path("aws/config"))
	if got := region(); got != "eu-west-2" {
		t.Errorf("same size, same time: %s", got)
	}
	r.clock.move(time.Second-time.Minute, 0) // young, and not just being written
	for i := range 200 {                     // several within one tick
		want := "eu-west-" + string('1'+rune(i%3))
		r.write("aws/config", "[profile dev]\nregion = "+want+"\n")
		if got := region(); got != want {
			t.Fatalf("edit %d within a tick: %s, want %s", i, got, want)
		}
	}
	r.clock.move(time.Minute, 0)
	if err := os.Chmod(r.path("config"), 0o666); err != nil {
		t.Fatal(err)
	}
	if p := r.status().Problems; len(p) != 1 || !strings.Contains(p[0].Message, "chmod") {
		t.Fatalf("problems: %+v", p)
	}
	r.status()
	if n := strings.Count(r.log.String(), `level=WARN msg="config not read"`); n != 1 {
		t.Errorf("%d warnings of one trouble", n)
	}
	if err := os.Chmod(r.path("config"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := r.status().Problems; len(p) != 0 {
		t.Errorf("after chmod: %+v", p)
	}
}

// TestF40WrittenInPlace: a request that comes while somebody writes a file
// sees the whole of it, be it cut off first or moved away.
func TestF40WrittenInPlace(t *testing.T) {
	r := free(t)
	defer func() { r.tasks.close() }()
	path, text := r.path("aws/config"), chainConfig("")
	for name, begin := range map[string]func() error{
		"cut off":    func() error { return os.Truncate(path, 0) },
		"moved away": func() error { return os.Rename(path, path+"~") },
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				r.write("aws/config", text)
				mustPlan(t, r, "one")
				begun := time.Now()
				if err := begin(); err != nil {
					t.Fatal(err)
				}
				took := make(chan time.Duration, 1)
				time.AfterFunc(moment/10, func() {
					r.write("aws/config", text)
					took <- time.Since(begun)
				})
				pl, err := r.planner()
				if err == nil {
					_, err = pl.plan("one")
				}
				if <-took > moment/2 {
					continue // the machine was busy: that was no moment
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
			t.Error("the machine never was fast enough to tell")
		})
	}
}

// TestF40ReplacedWhole: the ways in which editors and tools put a new file in the
// place of an old one.
func TestF40ReplacedWhole(t *testing.T) {
	r := free(t)
	defer func() { r.tasks.close() }()
	r.clock.move(time.Minute, 0) // nothing is young: the stamps alone must tell
	const eu, us = "[profile dev]\nregion = eu-west-1\n", "[profile dev]\nregion = us-west-1\n"
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	for name, replace := range map[string]func(){
		"renamed over": func() { r.write("aws/new", us); must(os.Rename(r.path("aws/new"), r.path("aws/config"))) },
		"backed up":    func() { must(os.Rename(r.path("aws/config"), r.path("aws/config~"))); r.write("aws/config", us) },
		"another directory": func() {
			r.write("aws2/config", us)
			must(os.Rename(r.path("aws"), r.path("aws3")), os.Rename(r.path("aws2"), r.path("aws")))
		},
		"a link to a directory, moved": func() {
			r.write("second/config", us)
			must(os.Rename(r.path("aws"), r.path("first")), os.Symlink("first", r.path("aws")))
			mustPlan(t, r, "dev")
			must(os.Symlink("second", r.path("swap")), os.Rename(r.path("swap"), r.path("aws")))
		},
	} {
		must(os.RemoveAll(r.path("aws")), os.RemoveAll(r.path("aws3")))
		r.write("aws/config", eu)
		if got := mustPlan(t, r, "dev").aws.Region; got != "eu-west-1" {
			t.Fatalf("%s: before: %s", name, got)
		}
		replace()
		if got := mustPlan(t, r, "dev").aws.Region; got != "us-west-1" {
			t.Errorf("%s: %s", name, got)
		}
		must(os.RemoveAll(r.path("first")), os.RemoveAll(r.path("second")))
	}
	must(os.RemoveAll(r.path("aws")))
	if got := mustPlan(t, r, "dev").aws.Region; got != "us-east-1" {
		t.Errorf("without a directory: %s", got)
	}
}

// TestPipeHoldsUpNobody: nothing writes to it, and requests are answered.
func TestPipeHoldsUpNobody(t *testing.T) {
	r := free(t)
	defer func() { r.tasks.close() }()
	first := r.helper("dev").document(t)
	r.rm("aws/config")
	if err := syscall.Mkfifo(r.path("aws/config"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.helper("dev").document(t); got.AccessKeyID != first.AccessKeyID {
		t.Error("another session")
	}
	if p := r.status().Problems; len(p) != 1 || !strings.Contains(p[0].Message, "named pipe") {
		t.Errorf("problems: %+v", p)
	}
}

// TestF39BrokenFileKeepsTheLastGoodOne and shows in status.
func TestF39BrokenFileKeepsTheLastGoodOne(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		first := r.helper("dev").document(t)
		r.write("aws/config", "[profile dev]\nregion = eu-west-1\nthis is no property\n")
		r.write("config", "[vault]\nbakend = file\n")
		if got := r.helper("dev").document(t); got.AccessKeyID != first.AccessKeyID {
			t.Error("another session")
		}
		p := r.status().Problems
		if len(p) != 2 || !strings.Contains(p[0].Message, r.path("config")+":2") || p[0].Hint == "" || !strings.Contains(p[1].Message, r.path("aws/config")+":3") {
			t.Errorf("problems: %+v", p)
		}
		r.write("aws/config", "")
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n")
		if p := r.status().Problems; len(p) != 0 {
			t.Errorf("problems: %+v", p)
		}
	})
}

// TestF39BrokenFromTheStart: there is no last good one, so the error says where.
func TestF39BrokenFromTheStart(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		r.write("aws/config", "[profile dev\n")
		r.restart()
		err := refused(r, ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"})
		if err.Code != ipc.CodeConfigBroken || !strings.Contains(err.Message, r.path("aws/config")+":1") {
			t.Errorf("%+v", err)
		}
		if len(do[ipc.KeyList](r, ipc.OpList, nil).Keys) != 1 {
			t.Error("the list needs no AWS file")
		}
		r.write("config", "[mfa]\ntimeout = soon\n")
		r.restart()
		for op, params := range map[string]any{ipc.OpCredentials: ipc.CredentialsParams{Profile: "dev"}, ipc.OpList: nil, ipc.OpRestore: ipc.RestoreParams{}} {
			if err := refused(r, op, params); err.Code != ipc.CodeConfigBroken || !strings.Contains(err.Message, r.path("config")+":2") {
				t.Errorf("%s: %+v", op, err)
			}
		}
	})
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("../b/two", "a/one")
	link(filepath.Join(dir, "c/gone/file"), "b/two")
	link("loop", "a/loop")
	at := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(dir, names[i])
		}
		return names
	}
	if got, want := directories(filepath.Join(dir, "a/one")), at("a", "b", "c"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := directories(filepath.Join(dir, "x/y/z")), at(""); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := directories(filepath.Join(dir, "a/loop")); len(got) > 20 {
		t.Errorf("a loop of links: %v", got)
	}
}

// TestRun: without any request the daemon sees that a file changed, and it
// ends with all that it started.
func TestRun(t *testing.T) {
	r := ready(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	helper := r.helper("dev")
	eventually(t, "the flight is there", func() bool { return len(r.status().Pending) == 1 })
	if err := os.MkdirAll(r.path("aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a broken file is seen", func() bool {
		r.write("aws/config", "[profile dev\n") // again and again: the watch may not have begun
		return r.files.current().awsErr != nil
	})
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("Run does not end")
	}
	if helper.code() == "" {
		t.Error("the waiter got credentials")
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 2400 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond) // polling, with a bound
	}
	t.Fatalf("never: %s", what)
}
