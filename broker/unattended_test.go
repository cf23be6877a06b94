// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// unattended runs a rotation that nobody watches, and returns how long it took.
func (r *rig) unattended(p ipc.RotateParams) (took time.Duration, err error) {
	r.t.Helper()
	began := r.clock.Now()
	c := r.start(ipc.OpRotate, p, ipc.AskNowhere)
	for {
		select {
		case <-c.events:
		case <-c.done:
			return r.clock.Now().Sub(began), c.err
		}
	}
}

// TestUnattendedWaitsForNobody: where neither a program nor a window asks for the
// code, a key that needs one is left for later at once, and nothing is begun. With
// a session that is there, or that somebody makes meanwhile, it is rotated.
func TestUnattendedWaitsForNobody(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		for _, dry := range []bool{true, false} {
			took, err := r.unattended(ipc.RotateParams{Profile: "dev", DryRun: dry, Unattended: ipc.UnattendedWindow})
			wantCode(t, "without a code", err, ipc.CodeMFARequired)
			if e := coded(err); took > time.Second || !strings.Contains(e.Message, "nobody is there") || !strings.Contains(e.Hint, "broker rotate dev") {
				t.Errorf("after %v: %v, %s", took, e, e.Hint)
			}
		}
		left, _ := os.ReadDir(r.rotationDir())
		if s := r.status(); len(left) != 0 || len(s.Pending) != 0 || s.Prompts != 0 || r.aws.calls("Seal")+r.aws.calls("Delete") != 0 {
			t.Errorf("left: %v; %+v", left, s.Pending)
		}
		r.prime("dev")
		if _, err := r.unattended(ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedWindow}); err != nil || r.status().Prompts != 1 {
			t.Errorf("with a session: %v", err)
		}
	})
	bubble(t, aged, func(t *testing.T, r *rig) { // another command's terminal has the question
		fg := r.foreground("dev")
		q := <-fg.prompts
		c := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedWindow}, ipc.AskNowhere)
		time.Sleep(20 * time.Second)
		fg.answers <- r.aws.code(q.SerialNumber, 0)
		fg.document(t)
		if <-c.done; c.err != nil {
			t.Error(c.err)
		}
	})
}

// TestUnattendedWindow: a window is waited for; one that did not get an answer is
// enough for one run.
func TestUnattendedWindow(t *testing.T) {
	bubble(t, withDesktop(aged), func(t *testing.T, r *rig) {
		r.TakeUp(t.Context())
		d := r.opts.Dialog.(*fakeDialog)
		took, err := r.unattended(ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedWindow})
		wantCode(t, "not answered", err, ipc.CodeMFARequired)
		if _, shown := d.windows(); shown != 1 || took < 40*time.Second {
			t.Errorf("%d windows, after %v", shown, took)
		}
		time.Sleep(10 * time.Minute)
		took, err = r.unattended(ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedCommand})
		wantCode(t, "no other one", err, ipc.CodeMFARequired)
		if _, shown := d.windows(); shown != 1 || took > time.Second {
			t.Errorf("%d windows, after %v", shown, took)
		}
		c := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedWindow}, ipc.AskNowhere)
		d.answers <- r.aws.code(annMFA, 0)
		if <-c.done; c.err != nil {
			t.Errorf("answered: %v", c.err)
		}
	})
	bubble(t, withDesktop(aged), func(t *testing.T, r *rig) { // one that breaks is none
		r.opts.Dialog.(*fakeDialog).broken = errHungUp
		took, err := r.unattended(ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedWindow})
		wantCode(t, "broken", err, ipc.CodeMFARequired)
		if took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestUnattendedBrokenCommand: a program that brings no code is not waited for,
// either. Real processes and fake time do not mix, so this runs in real time.
func TestUnattendedBrokenCommand(t *testing.T) {
	r := aged(t)
	defer func() { r.tasks.close() }()
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[mfa]\nhelper_wait = 10m\n[profile dev]\nmfa_command = /bin/false\n")
	_, err := r.unattended(ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedCommand})
	wantCode(t, "no code", err, ipc.CodeMFARequired)
	if !strings.Contains(coded(err).Message, "nobody is there") {
		t.Error(err)
	}
}

// TestUserComesBeforeAJob: a rotation asks the user who watches it for a code, not
// the job that looked at it later.
func TestUserComesBeforeAJob(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		r.prime("dev")
		r.aws.failAlways("VerifyKey", &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"})
		stays := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev"}, ipc.AskTerminal)
		time.Sleep(time.Second)
		job := r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev", Unattended: ipc.UnattendedWindow}, ipc.AskNowhere)
		time.Sleep(time.Minute)
		synctest.Wait()
		r.lock("dev")
		r.aws.failNext("VerifyKey")
		select {
		case q := <-stays.prompts:
			stays.answers <- r.aws.code(q.SerialNumber, 0)
		case <-stays.done:
		}
		<-job.done
		if <-stays.done; stays.err != nil {
			t.Errorf("nobody was asked: %v", stays.err)
		}
	})
}
