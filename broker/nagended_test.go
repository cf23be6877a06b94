// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/broker/nag"
	"credbroker/internal/ipc"
)

// pressedDesktop shows notices that the test answers.
type pressedDesktop struct {
	press  chan string
	broken error

	mu    sync.Mutex
	shown []nag.Notice
	asked int // whether it is ready
}

func (d *pressedDesktop) Ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return true
}

func (d *pressedDesktop) Notify(ctx context.Context, n nag.Notice) (string, error) {
	d.mu.Lock()
	d.shown = append(d.shown, n)
	broken := d.broken
	d.mu.Unlock()
	if broken != nil {
		return "", broken
	}
	select {
	case action := <-d.press:
		return action, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// last returns the latest notice and how many there were.
func (d *pressedDesktop) last() (nag.Notice, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.shown) == 0 {
		return nag.Notice{}, 0
	}
	return d.shown[len(d.shown)-1], len(d.shown)
}

// overdue is a desktop in the morning, with a key that was stored long ago.
func overdue(t *testing.T) *rig {
	t.Helper()
	r := withDesktop(aged)(t)
	r.opts.Notifier = &pressedDesktop{press: make(chan string)}
	r.opts.Zone = func() *time.Location { return time.UTC }
	r.restart()
	r.clock.move(97*24*time.Hour, 97*24*time.Hour)
	for r.localNow().Hour() != 10 {
		r.clock.move(time.Hour, time.Hour)
	}
	return r
}

func (r *rig) notices() *pressedDesktop { return r.opts.Notifier.(*pressedDesktop) }

// TestNoticeRotates: the button does what the command does, asks for the code in
// a window, and a second notice says how it ended.
func TestNoticeRotates(t *testing.T) {
	bubble(t, overdue, func(t *testing.T, r *rig) {
		r.nag(t.Context())
		synctest.Wait()
		if n, count := r.notices().last(); count != 1 || n.AccessKeyID != annKey || n.Next != "broker rotate dev" {
			t.Fatalf("%d notices: %+v", count, n)
		}
		r.notices().press <- ActionRotate
		synctest.Wait()
		if open, _ := r.desktop().windows(); open != 1 {
			t.Fatalf("%d windows ask for a code", open)
		}
		time.Sleep(4 * time.Minute) // longer than a helper waits
		r.desktop().answers <- r.aws.code(annMFA, 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		n, count := r.notices().last()
		fresh := r.status().Rotations[0].New
		want := nag.Notice{
			AccessKeyID: annKey, Profile: "dev", Channel: nag.Desktop, Title: "AWS key of dev is replaced",
			Text: "key " + fresh + " is in use; " + annKey + " is switched off, and will be deleted in 1 day",
			Next: "to take it back: broker rotate dev --undo",
		}
		if count != 2 || n != want {
			t.Errorf("%d notices: %+v\nwant %+v", count, n, want)
		}
		r.nag(t.Context())
		synctest.Wait()
		if _, count := r.notices().last(); count != 2 {
			t.Error("another notice about a key that was replaced")
		}
	})
}

// TestNoticeSaysWhyNot: no code, a refusal of IAM, a locked vault: each has its
// own text, and the key is as it was.
func TestNoticeSaysWhyNot(t *testing.T) {
	for name, tc := range map[string]struct {
		before            func(*rig)
		code              func(*rig)
		title, text, next string
	}{
		"closed": {
			code:  func(r *rig) { r.desktop().answers <- "" },
			title: "Rotation of the AWS key of dev waits",
			text:  "it needs an MFA code, and key " + annKey + " is in use until then", next: "broker rotate dev --resume",
		},
		"nobody": {
			code:  func(*rig) { time.Sleep(10 * time.Minute) },
			title: "Rotation of the AWS key of dev waits",
			text:  "it needs an MFA code, and key " + annKey + " is in use until then", next: "broker rotate dev --resume",
		},
		"no user": {
			before: func(r *rig) { r.aws.setKeys(nil) },
			code:   func(r *rig) { r.desktop().answers <- r.aws.code(annMFA, 0) },
			title:  "AWS key of dev is not replaced",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, overdue, func(t *testing.T, r *rig) {
				if tc.before != nil {
					tc.before(r)
				}
				r.nag(t.Context())
				synctest.Wait()
				r.notices().press <- ActionRotate
				synctest.Wait()
				tc.code(r)
				time.Sleep(time.Minute)
				synctest.Wait()
				n, count := r.notices().last()
				if count != 2 || n.Title != tc.title || n.Level != nag.None || tc.text != "" && (n.Text != tc.text || n.Next != tc.next) || n.Text == "" {
					t.Errorf("%d notices: %+v", count, n)
				}
				if keys := do[ipc.KeyList](r, ipc.OpList, nil).Keys; keys[0].AccessKeyID != annKey {
					t.Errorf("the index has %+v", keys)
				}
			})
		})
	}
}

// TestNoticeWithoutADialog: where nothing can ask for the code, a notice says
// where it goes; the last one says how it ended.
func TestNoticeWithoutADialog(t *testing.T) {
	bubble(t, overdue, func(t *testing.T, r *rig) {
		r.opts.Dialog = nil
		r.restart()
		r.nag(t.Context())
		synctest.Wait()
		r.notices().press <- ActionRotate
		synctest.Wait()
		if n, count := r.notices().last(); count != 2 || n.Next != "broker mfa" || n.Level != nag.None {
			t.Fatalf("%d notices: %+v", count, n)
		}
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Code: r.aws.code(annMFA, 0)})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, count := r.notices().last(); count != 3 || n.Title != "AWS key of dev is replaced" {
			t.Errorf("%d notices: %+v", count, n)
		}
	})
	bubble(t, overdue, func(t *testing.T, r *rig) { // with a session, none is needed
		r.opts.Dialog = nil
		r.restart()
		c := r.helper("dev")
		synctest.Wait()
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Code: r.aws.code(annMFA, 0)})
		c.document(t)
		r.nag(t.Context())
		synctest.Wait()
		r.notices().press <- ActionRotate
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, count := r.notices().last(); count != 2 || n.Title != "AWS key of dev is replaced" {
			t.Errorf("%d notices: %+v", count, n)
		}
	})
}

// TestDesktopIsLeftAlone: with nothing to say, its bus is not called each minute.
func TestDesktopIsLeftAlone(t *testing.T) {
	bubble(t, overdue, func(t *testing.T, r *rig) {
		r.clock.move(-96*24*time.Hour, 0) // the key is young
		r.nag(t.Context())
		synctest.Wait()
		if d := r.notices(); d.asked != 0 || len(d.shown) != 0 {
			t.Errorf("asked %d times, shown %+v", d.asked, d.shown)
		}
		r.clock.move(96*24*time.Hour, 0)
		r.nag(t.Context())
		synctest.Wait()
		if d := r.notices(); d.asked != 1 || len(d.shown) != 1 {
			t.Errorf("asked %d times, shown %+v", d.asked, d.shown)
		}
	})
}

// TestNoticeSnoozes: for a week nothing is said, on the desktop or elsewhere.
func TestNoticeSnoozes(t *testing.T) {
	bubble(t, overdue, func(t *testing.T, r *rig) {
		r.nag(t.Context())
		synctest.Wait()
		r.notices().press <- ActionSnooze
		synctest.Wait()
		for day := range 8 {
			r.nag(t.Context())
			synctest.Wait()
			if _, count := r.notices().last(); count != 1 && day < 7 {
				t.Fatalf("%d notices on day %d", count, day)
			}
			r.clock.move(24*time.Hour, 24*time.Hour)
		}
		r.nag(t.Context())
		synctest.Wait()
		if _, count := r.notices().last(); count != 2 {
			t.Errorf("%d notices after the week", count)
		}
	})
}

// TestF49DesktopFails: a desktop that shows nothing costs nothing: a command says
// it, and nobody who wants credentials waits for it.
func TestF49DesktopFails(t *testing.T) {
	bubble(t, overdue, func(t *testing.T, r *rig) {
		r.notices().broken = errors.New("it hangs")
		r.nag(t.Context())
		synctest.Wait()
		if _, count := r.notices().last(); count != 1 {
			t.Fatalf("%d notices", count)
		}
		said := do[ipc.Notices](r, ipc.OpNag, nil).Notices
		if len(said) != 1 || said[0].AccessKeyID != annKey {
			t.Errorf("a command says %+v", said)
		}
		for range 5 { // and the desktop is left alone for a while
			r.nag(t.Context())
			synctest.Wait()
		}
		if _, count := r.notices().last(); count != 1 {
			t.Errorf("%d notices", count)
		}
	})
	bubble(t, overdue, func(t *testing.T, r *rig) { // one that is up, and is not answered
		r.nag(t.Context())
		synctest.Wait()
		c := r.helper("dev")
		synctest.Wait()
		r.desktop().answers <- r.aws.code(annMFA, 0)
		c.document(t)
		if _, count := r.notices().last(); count != 1 {
			t.Errorf("%d notices", count)
		}
	})
}
