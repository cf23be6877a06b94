// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// fakeDesktop shows notices to nobody.
type fakeDesktop struct {
	mu     sync.Mutex
	locked bool
	err    error
	action string
	stays  bool // until it is withdrawn
	shown  []Notice
	gone   []Notice // withdrawn
}

func (d *fakeDesktop) Ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.locked
}

func (d *fakeDesktop) Notify(ctx context.Context, n Notice) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown = append(d.shown, n)
	if !d.stays {
		return d.action, d.err
	}
	d.mu.Unlock()
	<-ctx.Done()
	d.mu.Lock()
	d.gone = append(d.gone, n)
	return "", ctx.Err()
}

func (d *fakeDesktop) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.shown)
}

// nagged is a rig with a key of 100 days, a desktop, and the time of day noon.
func nagged(t *testing.T) (*rig, *fakeDesktop) {
	t.Helper()
	d := &fakeDesktop{}
	r := aged(t)
	r.opts.Notifier, r.opts.Zone = d, func() *time.Location { return time.UTC }
	r.restart()
	r.TakeUp(t.Context())
	now := r.clock.Now().UTC()
	time.Sleep(time.Date(now.Year(), now.Month(), now.Day()+1, 12, 0, 0, 0, time.UTC).Sub(now))
	r.prime("dev")
	settle()
	return r, d
}

// tick is one minute of the daemon.
func (r *rig) tick() {
	r.nag(r.t.Context())
	synctest.Wait()
	time.Sleep(time.Minute)
}

// TestNagOnTheDesktop: once a day, not on a locked screen, not in quiet hours,
// and not again after a restart.
func TestNagOnTheDesktop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := nagged(t)
		defer func() { r.tasks.close() }()
		d.locked = true
		r.tick()
		if d.count() != 0 {
			t.Fatal("a notice on a locked screen")
		}
		d.locked = false
		for range 30 {
			r.tick()
		}
		r.restart()
		r.tick()
		if d.count() != 1 || d.shown[0].AccessKeyID != annKey || d.shown[0].Level != "urgent" || d.shown[0].Next != "broker rotate dev" {
			t.Fatalf("notices: %+v", d.shown)
		}
		if got := do[ipc.Notices](r, ipc.OpNag, nil).Notices; len(got) != 0 {
			t.Errorf("a command says it again: %+v", got)
		}
		time.Sleep(11 * time.Hour) // 23:30
		r.tick()
		if d.count() != 1 {
			t.Error("a notice in quiet hours")
		}
		time.Sleep(9 * time.Hour)
		r.tick()
		if d.count() != 2 {
			t.Errorf("%d notices on the next morning", d.count())
		}
	})
}

// TestNoticeIsWithdrawn: whatever is done about a key in a terminal takes the
// notice about it away at once, and that of another key stays.
func TestNoticeIsWithdrawn(t *testing.T) {
	for what, act := range map[string]func(r *rig) error{
		"rotate": func(r *rig) error { _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); return err },
		"revoke": func(r *rig) error {
			do[ipc.Revoked](r, ipc.OpRevoke, ipc.RevokeParams{Profile: "dev"})
			return nil
		},
		"snooze": func(r *rig) error {
			do[ipc.Key](r, ipc.OpSnooze, ipc.SnoozeParams{Profile: "dev", Seconds: 3600})
			return nil
		},
		"remove": func(r *rig) error {
			do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "dev"})
			return nil
		},
		"replace": func(r *rig) error { r.add("dev", bobKey, details()); return nil },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, d := nagged(t)
				defer func() { r.tasks.close() }()
				d.stays = true
				r.tick()
				r.withdrawNotice(bobKey)
				r.tick()
				if d.count() != 1 || len(d.gone) != 0 {
					t.Fatalf("shown %+v, withdrawn %+v", d.shown, d.gone)
				}
				if err := act(r); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if len(d.gone) != 1 || d.gone[0].AccessKeyID != annKey {
					t.Errorf("withdrawn %+v", d.gone)
				}
			})
		})
	}
}

// TestNagThatNobodySaw: a command says it instead, and the desktop is left alone
// for an hour.
func TestNagThatNobodySaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := nagged(t)
		defer func() { r.tasks.close() }()
		d.err = errors.New("no such service")
		for range 10 {
			r.tick()
		}
		if d.count() != 1 {
			t.Errorf("%d tries", d.count())
		}
		got := do[ipc.Notices](r, ipc.OpNag, nil).Notices
		if len(got) != 1 || got[0].Profile != "dev" || got[0].Level != ipc.LevelUrgent || got[0].Next != "broker rotate dev" {
			t.Errorf("a command says %+v", got)
		}
		if got := do[ipc.Notices](r, ipc.OpNag, nil).Notices; len(got) != 0 {
			t.Errorf("the next one says %+v", got)
		}
	})
}

// TestNagActions: Snooze and Rotate do what they say.
func TestNagActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := nagged(t)
		defer func() { r.tasks.close() }()
		d.action = ActionSnooze
		r.tick()
		if k := r.key("dev"); k.SnoozedUntil == nil || k.Level != ipc.LevelUrgent {
			t.Errorf("after Snooze: %+v", k.KeyFacts)
		}
		for range 6 {
			time.Sleep(24 * time.Hour)
			r.tick()
		}
		if d.count() != 1 {
			t.Errorf("%d notices about a snoozed key", d.count())
		}
		d.action = ActionRotate
		r.prime("dev")
		time.Sleep(24 * time.Hour)
		r.prime("dev")
		r.tick()
		time.Sleep(time.Hour)
		synctest.Wait() // the third notice says how it went
		if k := r.key("dev"); d.count() != 3 || k.AccessKeyID == annKey || k.SnoozedUntil != nil {
			t.Errorf("after Rotate: %d notices, %+v", d.count(), k)
		}
	})
}

// TestSnooze is durable, and ends.
func TestSnooze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := nagged(t)
		defer func() { r.tasks.close() }()
		k := do[ipc.Key](r, ipc.OpSnooze, ipc.SnoozeParams{Profile: "dev", Seconds: 3 * 86400})
		if k.SnoozedUntil == nil || k.SnoozedUntil.Sub(r.clock.Now()).Round(time.Hour) != 72*time.Hour {
			t.Fatalf("%+v", k)
		}
		r.restart()
		r.tick()
		if d.count() != 0 || r.key("dev").SnoozedUntil == nil || len(do[ipc.Notices](r, ipc.OpNag, nil).Notices) != 0 {
			t.Error("a restart has ended it")
		}
		if k := do[ipc.Key](r, ipc.OpSnooze, ipc.SnoozeParams{Profile: "dev"}); k.SnoozedUntil != nil {
			t.Errorf("off: %+v", k)
		}
		r.tick()
		if d.count() != 1 {
			t.Error("nothing is said once it is off")
		}
		for _, bad := range []ipc.SnoozeParams{{Profile: "dev", Seconds: -1}, {Profile: "dev", Seconds: 31 * 86400}} {
			wantCode(t, "snooze", refused(r, ipc.OpSnooze, bad), ipc.CodeUsage)
		}
		wantCode(t, "snooze", refused(r, ipc.OpSnooze, ipc.SnoozeParams{Profile: "absent", Seconds: 60}), ipc.CodeNoKey)
	})
}

// TestNagChannels: what is off says nothing.
func TestNagChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := nagged(t)
		defer func() { r.tasks.close() }()
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n[nag]\nchannels = off\n")
		r.restart()
		r.tick()
		if d.count() != 0 || len(do[ipc.Notices](r, ipc.OpNag, nil).Notices) != 0 {
			t.Error("something is said")
		}
	})
}
