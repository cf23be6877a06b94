// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// fakeDialog is a desktop whose windows are answered by the test.
type fakeDialog struct {
	mu      sync.Mutex
	missing bool  // there is no desktop
	broken  error // what showing a window ends with
	shown   []ipc.Prompt
	open    int
	answers chan string
}

func (d *fakeDialog) Ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.missing
}

func (d *fakeDialog) Ask(ctx context.Context, p ipc.Prompt) (string, error) {
	d.mu.Lock()
	d.shown = append(d.shown, p)
	d.open++
	broken := d.broken
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.open--
	}()
	if broken != nil {
		return "", broken
	}
	select {
	case text := <-d.answers:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// windows returns how many are open, and how many were.
func (d *fakeDialog) windows() (open, shown int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, len(d.shown)
}

// withDesktop is setup on a machine with a desktop.
func withDesktop(setup func(*testing.T) *rig) func(*testing.T) *rig {
	return func(t *testing.T) *rig {
		r := setup(t)
		r.opts.Dialog = &fakeDialog{answers: make(chan string)}
		r.restart()
		return r
	}
}

func (r *rig) desktop() *fakeDialog { return r.opts.Dialog.(*fakeDialog) }

func TestDialogGivesTheCode(t *testing.T) {
	bubble(t, withDesktop(ready), func(t *testing.T, r *rig) {
		c := r.helper("dev")
		synctest.Wait()
		if open, _ := r.desktop().windows(); open != 1 || r.status().Pending[0].Surface != surfaceDialog {
			t.Fatalf("%d windows, %+v", open, r.status().Pending)
		}
		r.desktop().answers <- "000000"
		synctest.Wait()
		if p := r.desktop().shown; len(p) != 2 || p[1].Reason != ipc.ReasonWrongCode || p[1].Profile != "dev" || p[1].SerialNumber != annMFA {
			t.Fatalf("shown: %+v", p)
		}
		r.desktop().answers <- r.aws.code(annMFA, 0)
		c.document(t)
		if s := r.status(); s.Prompts != 2 || len(s.Pending) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestP20ClosedDialogStaysAway: closing the window is an answer for everybody,
// and no new one comes up for a minute.
func TestP20ClosedDialogStaysAway(t *testing.T) {
	bubble(t, withDesktop(ready), func(t *testing.T, r *rig) {
		var all []*client
		for range 50 {
			all = append(all, r.helper("dev"))
		}
		synctest.Wait()
		r.desktop().answers <- ""
		for _, c := range all {
			wantCode(t, "a helper", waitErr(c), ipc.CodeMFACancelled)
		}
		wantCode(t, "the next", waitErr(r.helper("dev")), ipc.CodeMFACancelled)
		if _, shown := r.desktop().windows(); shown != 1 {
			t.Errorf("%d windows", shown)
		}
		time.Sleep(coolDown)
		r.helper("dev")
		synctest.Wait()
		if _, shown := r.desktop().windows(); shown != 2 {
			t.Errorf("%d windows after a minute", shown)
		}
	})
}

// TestP20OneWindowAtATime: ten devices, one window.
func TestP20OneWindowAtATime(t *testing.T) {
	bubble(t, withDesktop(manyDevices), func(t *testing.T, r *rig) {
		for i := range 2 * devices {
			r.helper(deviceProfile(i))
		}
		synctest.Wait()
		for i := range 3 {
			if open, shown := r.desktop().windows(); open != 1 || shown != i+1 {
				t.Fatalf("%d windows are open, %d were, want 1 and %d", open, shown, i+1)
			}
			r.desktop().answers <- ""
			synctest.Wait()
		}
		if open, _ := r.desktop().windows(); open != 0 {
			t.Error("a fourth window within a minute")
		}
		time.Sleep(popUpsWithin)
		synctest.Wait()
		if _, shown := r.desktop().windows(); shown > 6 {
			t.Errorf("%d windows in two minutes", shown)
		}
	})
}

// TestF50BrokenDialogHandsOver: what cannot be shown is tried once, and the
// next surface asks.
func TestF50BrokenDialogHandsOver(t *testing.T) {
	bubble(t, withDesktop(ready), func(t *testing.T, r *rig) {
		r.desktop().broken = errors.New("it fell over")
		c := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTTY)
		if p := <-c.prompts; p.Attempt != 1 {
			t.Errorf("%+v", p)
		}
		c.answers <- "000000"
		<-c.prompts
		c.answers <- r.aws.code(annMFA, 0)
		c.document(t)
		if _, shown := r.desktop().windows(); shown != 1 {
			t.Errorf("%d windows", shown)
		}
		if !strings.Contains(r.log.String(), "it fell over") {
			t.Errorf("log: %s", r.log)
		}
	})
}

// TestDialogGivesWay: to a user who runs a command in a terminal, and to one
// who brings the code.
func TestDialogGivesWay(t *testing.T) {
	bubble(t, withDesktop(ready), func(t *testing.T, r *rig) {
		helper := r.helper("dev")
		synctest.Wait()
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "dev"}, ipc.AskTerminal)
		<-fg.prompts
		if open, _ := r.desktop().windows(); open != 0 {
			t.Error("the window is still there")
		}
		fg.hangUp()
		synctest.Wait()
		if open, _ := r.desktop().windows(); open != 1 {
			t.Error("the window did not come back")
		}
		<-r.mfa(r.aws.code(annMFA, 0)).done
		helper.document(t)
		if open, _ := r.desktop().windows(); open != 0 {
			t.Error("the window stays after the code came")
		}
	})
}

// TestDialogIsLeftOut: where there is no desktop, and where [mfa] surfaces does
// not name it. explain says the same.
func TestDialogIsLeftOut(t *testing.T) {
	bubble(t, withDesktop(ready), func(t *testing.T, r *rig) {
		explained := func() []string {
			return do[ipc.Explanation](r, ipc.OpExplain, ipc.ExplainParams{Profile: "dev"}).Code.Surfaces
		}
		if got := explained(); !slices.Contains(got, surfaceDialog) {
			t.Errorf("explain: %q", got)
		}
		r.desktop().missing = true
		r.helper("dev")
		synctest.Wait()
		if p := r.status().Pending; len(p) != 1 || p[0].Surface != surfaceWait || slices.Contains(explained(), surfaceDialog) {
			t.Errorf("without a desktop: %+v, %q", p, explained())
		}
		r.desktop().missing = false
		r.restart()
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[mfa]\nsurfaces = terminal\n")
		r.helper("dev")
		synctest.Wait()
		if p := r.status().Pending; len(p) != 1 || p[0].Surface != surfaceWait || slices.Contains(explained(), surfaceDialog) {
			t.Errorf("not among the surfaces: %+v, %q", p, explained())
		}
		if _, shown := r.desktop().windows(); shown != 0 {
			t.Errorf("%d windows", shown)
		}
	})
}
