// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"credbroker/broker/nag"
	"credbroker/internal/ipc"
)

const (
	// showLimit ends a notice that no desktop says is closed.
	showLimit = 8 * time.Hour
	// showRetry is how long after a desktop failed to show a notice it is tried
	// again.
	showRetry = time.Hour
	// snoozeTime is for how long the action of a notice snoozes, and maxSnooze
	// the longest that anybody may.
	snoozeTime = 7 * 24 * time.Hour
	maxSnooze  = 30 * 24 * time.Hour
)

// nagState is what only matters while the daemon runs.
type nagState struct {
	deciding sync.Mutex // held from a decision until it is on the disk

	mu       sync.Mutex
	showing  bool
	about    string             // the key of the notice that is up
	withdraw context.CancelFunc // takes it away; nil while none is up
	failedAt time.Time          // of the desktop; zero: it did not
}

// decide returns what to say on a channel now, and has it count as said: a
// crash costs a notice, and never makes a second one.
func (b *Broker) decide(v *view, c nag.Channel, notices *[]nag.Notice) error {
	b.nags.deciding.Lock()
	defer b.nags.deciding.Unlock()
	now := b.localNow()
	found, err := b.find(v, c, now)
	if err != nil || len(found) == 0 {
		return err
	}
	err = b.index.update(func(s *state) error {
		for _, n := range found {
			s.mark(n.AccessKeyID, s.Marks[n.AccessKeyID].Tell(now))
		}
		return nil
	})
	if err == nil {
		*notices = found
	}
	return err
}

// find returns what there is to say on a channel at a time.
func (b *Broker) find(v *view, c nag.Channel, now time.Time) ([]nag.Notice, error) {
	if !v.settled || !slices.Contains(v.settings.Nag.Channels, string(c)) {
		return nil, nil
	}
	s, err := b.index.whole()
	if err != nil {
		return nil, err
	}
	return v.policy().Decide(slices.Collect(maps.Values(b.nagKeys(v, s))), s.Marks, now, c), nil
}

func (s *state) mark(accessKeyID string, m nag.Mark) {
	if s.Marks == nil {
		s.Marks = nag.Memory{}
	}
	s.Marks[accessKeyID] = m
}

// nag shows a notice on the desktop if one is due, and nobody has one to look at.
func (b *Broker) nag(ctx context.Context) {
	n, v := b.opts.Notifier, b.files.current()
	if n == nil || !b.mayShow() {
		return
	}
	if due, err := b.find(v, nag.Desktop, b.localNow()); err != nil || len(due) == 0 || !n.Ready() {
		return // a desktop is asked only if there is something to say
	}
	var notices []nag.Notice
	if err := b.decide(v, nag.Desktop, &notices); err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "nobody is told of keys that are due", slog.Any("error", err))
	}
	if len(notices) == 0 {
		return
	}
	b.nags.mu.Lock()
	b.nags.showing = true
	b.nags.mu.Unlock()
	b.tasks.start(ctx, func(ctx context.Context) { b.show(ctx, notices[0]) })
}

func (b *Broker) mayShow() bool {
	b.nags.mu.Lock()
	defer b.nags.mu.Unlock()
	since := b.opts.Clock.Now().Sub(b.nags.failedAt)
	return !b.nags.showing && (since < 0 || since >= showRetry)
}

// show shows one notice and does what its user chooses.
func (b *Broker) show(ctx context.Context, n nag.Notice) {
	showing, stop := context.WithTimeout(ctx, showLimit)
	defer stop()
	b.nags.mu.Lock()
	b.nags.about, b.nags.withdraw = n.AccessKeyID, stop
	b.nags.mu.Unlock()
	action, err := b.opts.Notifier.Notify(showing, n)
	b.nags.mu.Lock()
	b.nags.about, b.nags.withdraw = "", nil
	b.nags.showing, b.nags.failedAt = false, time.Time{}
	if err != nil && showing.Err() == nil {
		b.nags.failedAt = b.opts.Clock.Now()
	}
	b.nags.mu.Unlock()
	switch {
	case err != nil && showing.Err() == nil:
		b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "notice not shown", slog.String("access_key_id", n.AccessKeyID), slog.Any("error", err))
		b.untell(ctx, n)
	case action != "":
		if err := b.act(ctx, n, action); err != nil {
			b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "what a notice was answered with is not done", slog.String("access_key_id", n.AccessKeyID),
				slog.String("action", action), slog.Any("error", err))
		}
	}
}

// withdrawNotice takes the notice about a key away: somebody has just done
// something about it elsewhere, and its buttons would do it twice.
func (b *Broker) withdrawNotice(accessKeyID string) {
	b.nags.mu.Lock()
	defer b.nags.mu.Unlock()
	if b.nags.withdraw != nil && b.nags.about == accessKeyID {
		b.nags.withdraw()
	}
}

// untell takes back that something was said: another channel may say it.
func (b *Broker) untell(ctx context.Context, n nag.Notice) {
	err := b.index.update(func(s *state) error {
		m := s.Marks[n.AccessKeyID]
		m.Told = time.Time{}
		s.mark(n.AccessKeyID, m)
		return nil
	})
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "a notice that nobody saw counts as shown", slog.Any("error", err))
	}
}

// act does what the user of a notice chose.
func (b *Broker) act(ctx context.Context, n nag.Notice, action string) error {
	switch action {
	case ActionSnooze:
		return b.snooze(n.AccessKeyID, snoozeTime)
	case ActionRotate:
		rot, err := b.rotateUnasked(ctx, n)
		if ctx.Err() == nil {
			b.tell(ctx, b.ended(n, rot, err))
		}
		return err
	}
	return fail(ipc.CodeUsage, "", "a notice has no action %s", action)
}

// rotateUnasked begins, or goes on with, the rotation of the key of a notice. A
// code is asked for where it can be without a terminal, for as long as of a user
// who has just typed a command.
func (b *Broker) rotateUnasked(ctx context.Context, n nag.Notice) (ipc.Rotation, error) {
	asker := caller{ask: ipc.AskTerminal}
	if err := b.opened(); err != nil {
		return ipc.Rotation{}, err
	}
	key, err := b.keyToRotate(ctx, n.Profile, asker)
	if err != nil {
		return ipc.Rotation{}, err
	}
	if key.AccessKeyID != n.AccessKeyID {
		return ipc.Rotation{}, fail(ipc.CodeNoKey, "", "profile %s has another key by now", n.Profile)
	}
	if err := b.mayRotate(key); err != nil {
		return ipc.Rotation{}, err
	}
	rot, err := b.beginRotation(ctx, key, false, &asker)
	if err != nil {
		return ipc.Rotation{}, err
	}
	defer rot.left(&asker)
	rot.wake()
	if b.asksNowhere(n.Profile) {
		b.tasks.start(ctx, func(ctx context.Context) { b.tell(ctx, needsCode(n)) })
	}
	return rot.follow(ctx, unheard{})
}

// unheard is where events go that nobody waits for.
type unheard struct{}

func (unheard) Event(any) error { return nil }

// opNag answers what a command is to say below its output.
func (b *Broker) opNag(context.Context, ipc.Request, conversation) (any, error) {
	out := ipc.Notices{Notices: []ipc.Notice{}}
	var notices []nag.Notice
	if err := b.decide(b.refresh(), nag.CLI, &notices); err != nil {
		return nil, err
	}
	for _, n := range notices {
		out.Notices = append(out.Notices, ipc.Notice{
			Profile: n.Profile, AccessKeyID: n.AccessKeyID, Level: string(n.Level), Text: n.Text, Next: n.Next,
		})
	}
	return out, nil
}

// opSnooze keeps broker quiet about a key.
func (b *Broker) opSnooze(_ context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.SnoozeParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	d := time.Duration(params.Seconds) * time.Second
	if params.Seconds < 0 || params.Seconds > int(maxSnooze/time.Second) {
		return nil, fail(ipc.CodeUsage, "", "a key can be snoozed for 30 days at most")
	}
	keys, err := b.keys()
	if err != nil {
		return nil, err
	}
	key, ok := keys[params.Profile]
	if !ok {
		return nil, fail(ipc.CodeNoKey, "list the stored keys: broker list", "no key is stored for profile %s", params.Profile)
	}
	if err := b.snooze(key.AccessKeyID, d); err != nil {
		return nil, err
	}
	if d > 0 {
		b.withdrawNotice(key.AccessKeyID)
	}
	list := b.describeKeys(b.files.current())
	if i := slices.IndexFunc(list, func(k ipc.Key) bool { return k.Profile == params.Profile }); i >= 0 {
		return list[i], nil
	}
	return key.key(params.Profile), nil
}

// snooze is durable: a restart says nothing either. 0 ends it.
func (b *Broker) snooze(accessKeyID string, d time.Duration) error {
	until := time.Time{}
	if d > 0 {
		until = b.trueNow().Add(d).UTC().Truncate(time.Second)
	}
	return b.index.update(func(s *state) error {
		m := s.Marks[accessKeyID]
		m.Snoozed = until
		s.mark(accessKeyID, m)
		return nil
	})
}
