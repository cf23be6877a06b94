// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"credbroker/internal/testtracer"
)

// traced is a program whose system calls on files are seen, and struck.
type traced struct {
	w      *world
	cmd    *exec.Cmd
	run    *testtracer.Run
	stdout bytes.Buffer
	stderr bytes.Buffer
}

// startTraced starts a program of this world that the test ends, or waits for, by
// itself.
func (w *world) startTraced(cmd *exec.Cmd, o testtracer.Options) *traced {
	w.t.Helper()
	r := &traced{w: w, cmd: cmd}
	// The signals of Go's runtime would cut a getdents64 short now and then.
	cmd.Env = append(cmd.Env, "GODEBUG=asyncpreemptoff=1")
	cmd.Stdout, cmd.Stderr = &r.stdout, &r.stderr
	var err error
	if r.run, err = testtracer.Start(cmd, o); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		select {
		case <-r.run.Done():
		default:
			_ = cmd.Process.Kill() // it may have ended by now
			<-r.run.Done()
		}
	})
	return r
}

// wait returns how the program ended and the calls that it made, or fails the test
// if it does not end.
func (r *traced) wait() (result, []testtracer.Call) {
	r.w.t.Helper()
	select {
	case <-r.run.Done():
	case <-time.After(2 * patience):
		r.w.t.Fatalf("%v did not end", r.cmd.Args)
	}
	end, err := r.run.Wait()
	if err != nil {
		r.w.t.Fatalf("%v: %v", r.cmd.Args, err)
	}
	if end.Status.Signaled() && end.Status.Signal() != syscall.SIGKILL {
		r.w.t.Errorf("%v ended by %v", r.cmd.Args, end.Status.Signal())
	}
	return result{strings.Join(r.cmd.Args, " "), r.stdout.String(), r.stderr.String(), end.Status.ExitStatus()}, end.Calls
}

// daemonTraced starts a daemon whose calls on the files of this world, and those of
// its workers, meet strike.
func (w *world) daemonTraced(strike func(testtracer.Call) testtracer.Strike) *traced {
	w.t.Helper()
	r := w.startTraced(w.command("brokerd"), testtracer.Options{Below: []string{w.home}, Children: true, Strike: strike})
	w.eventually("the daemon serves", func() error {
		if w.daemonPID() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	return r
}

// every strikes each call of a name.
func every(name string, strike testtracer.Strike) func(testtracer.Call) testtracer.Strike {
	return func(c testtracer.Call) testtracer.Strike {
		if c.Name == name {
			return strike
		}
		return testtracer.Strike{}
	}
}
