// SPDX-License-Identifier: Apache-2.0

//go:build linux

package desktop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"credbroker/vault/vaulttest"
)

func newBus(t *testing.T) *vaulttest.Bus {
	t.Helper()
	b, err := vaulttest.StartBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Remove(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// newNotifier has the patience of a loaded machine. It ends with the test, and
// all that it started with it.
func newNotifier(t *testing.T, b *vaulttest.Bus) *Notifier {
	n := &Notifier{Bus: b.Address, bound: patience}
	t.Cleanup(n.Close)
	return n
}

// shownNotice is one call of Notify, as a server sees it.
type shownNotice struct {
	number, replaces uint32
	app, icon        string
	title, body      string
	actions          []string
	hints            map[string]dbus.Variant
	expires          int32
}

// server shows notifications to a test.
type server struct {
	t            *testing.T
	conn         *dbus.Conn
	capabilities []string
	shown        chan shownNotice
	closed       chan uint32

	mu   sync.Mutex
	last uint32
	hold chan struct{} // nil, or Notify answers when it is closed
}

func newServer(t *testing.T, b *vaulttest.Bus, capabilities ...string) *server {
	t.Helper()
	conn, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	s := &server{t: t, conn: conn, capabilities: capabilities, shown: make(chan shownNotice, 1000), closed: make(chan uint32, 1000)}
	s.export(s, notificationsPath, notifications)
	return s
}

// export offers the methods of v, and takes the name.
func (s *server) export(v any, path dbus.ObjectPath, name string) {
	s.t.Helper()
	if err := s.conn.Export(v, path, name); err != nil {
		s.t.Fatal(err)
	}
	if reply, err := s.conn.RequestName(name, 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		s.t.Fatalf("own %s: %v, %v", name, reply, err)
	}
}

func (s *server) GetCapabilities() ([]string, *dbus.Error) { return s.capabilities, nil }

func (s *server) CloseNotification(number uint32) *dbus.Error {
	s.closed <- number
	return nil
}

func (s *server) Notify(app string, replaces uint32, icon, title, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	number := replaces
	if number == 0 {
		s.last++
		number = s.last
	}
	s.shown <- shownNotice{number, replaces, app, icon, title, body, actions, hints, expires}
	return number, nil
}

// holdUp makes Notify wait for what it returns.
func (s *server) holdUp() (goOn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := make(chan struct{})
	s.hold = hold
	return func() { close(hold) }
}

// next returns the next notice.
func (s *server) next() shownNotice {
	s.t.Helper()
	select {
	case n := <-s.shown:
		return n
	case <-time.After(patience):
		s.t.Fatal("no notice was shown")
		return shownNotice{}
	}
}

// withdrawn waits until a notice is taken back.
func (s *server) withdrawn(number uint32) {
	s.t.Helper()
	select {
	case got := <-s.closed:
		if got != number {
			s.t.Errorf("notice %d was taken back, want %d", got, number)
		}
	case <-time.After(patience):
		s.t.Fatalf("notice %d was not taken back", number)
	}
}

func (s *server) emit(signal string, values ...any) {
	s.t.Helper()
	if err := s.conn.Emit(notificationsPath, notifications+"."+signal, values...); err != nil {
		s.t.Fatal(err)
	}
}

// outcome is what Notify returned.
type outcome struct {
	answer Answer
	err    error
}

func notifying(ctx context.Context, n *Notifier, note Notice) <-chan outcome {
	came := make(chan outcome, 1)
	go func() {
		answer, err := n.Notify(ctx, note)
		came <- outcome{answer, err}
	}()
	return came
}

func await(t *testing.T, came <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-came:
		return o
	case <-time.After(patience):
		t.Fatal("Notify does not return")
		return outcome{}
	}
}

// due is a notice as brokerd makes it.
var due = Notice{
	ID: "AKIAIOSFODNN7EXAMPLE", Title: "AWS key of dev is due",
	Body:    "Key AKIAIOSFODNN7EXAMPLE of dev is 94 days old, and due for rotation.",
	Urgency: UrgencyNormal, Instead: "broker rotate dev\nbroker snooze dev",
	Actions: []Action{{ID: "rotate", Label: "Rotate now"}, {ID: "snooze", Label: "Snooze"}},
}

// TestNotice: what a server is told, and what becomes of each of its signals.
func TestNotice(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s, n := newServer(t, b, "actions", "body", "body-markup"), newNotifier(t, b)
	if !n.Ready(t.Context()) {
		t.Error("not ready beside a server")
	}
	came := notifying(t.Context(), n, due)
	got := s.next()
	if got.app != "broker" || got.replaces != 0 || got.title != due.Title || got.body != due.Body || got.expires != -1 {
		t.Errorf("shown: %+v", got)
	}
	if want := []string{"rotate", "Rotate now", "snooze", "Snooze"}; !slices.Equal(got.actions, want) {
		t.Errorf("actions %q, want %q", got.actions, want)
	}
	if got.hints["urgency"].Value() != byte(1) || got.hints["category"].Value() != category {
		t.Errorf("hints %v", got.hints)
	}
	s.emit("ActivationToken", got.number, "token-1")
	s.emit("ActionInvoked", got.number, "rotate")
	if o := await(t, came); o.err != nil || o.answer != (Answer{Action: "rotate", Activation: "token-1"}) {
		t.Errorf("pressed: %+v", o)
	}
	s.withdrawn(got.number)
	for reason := range uint32(5) {
		came := notifying(t.Context(), n, due)
		got := s.next()
		s.emit("NotificationClosed", got.number, reason)
		if o := await(t, came); o != (outcome{}) {
			t.Errorf("closed for %d: %+v", reason, o)
		}
		s.withdrawn(got.number)
	}
}

// TestP19NoticeIsShownAsItIs: no control characters, markup escaped where there is
// any, and only there; and without buttons the commands stand in their place.
func TestP19NoticeIsShownAsItIs(t *testing.T) {
	t.Parallel()
	note := Notice{
		ID: "x", Title: "a <b>\nc\x1b", Body: "R&D <img src='x'>\u202e" + strings.Repeat("ä", maxBody), Instead: "broker rotate x",
		Actions: due.Actions,
	}
	for name, tc := range map[string]struct {
		capabilities []string
		body         string
		actions      int
	}{
		"plain":   {[]string{"body"}, "R&D <img src='x'>\ufffdä", 0},
		"markup":  {[]string{"body-markup"}, "R&amp;D &lt;img src='x'&gt;\ufffdä", 0},
		"buttons": {[]string{"actions"}, "R&D <img src='x'>\ufffdä", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			s, n := newServer(t, b, tc.capabilities...), newNotifier(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			came := notifying(ctx, n, note)
			got := s.next()
			if got.title != "a <b> c\ufffd" || !strings.HasPrefix(got.body, tc.body) || !strings.HasSuffix(got.body, "ä…") || len(got.actions) != tc.actions {
				t.Errorf("shown: %+v", got)
			}
			cancel()
			if o := await(t, came); !errors.Is(o.err, context.Canceled) {
				t.Errorf("withdrawn: %+v", o)
			}
			s.withdrawn(got.number)
		})
	}
	if got, want := due.body(false, true), due.Body+"\nbroker rotate dev\nbroker snooze dev"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if got := (Notice{Instead: "broker status"}).body(false, false); got != "broker status" {
		t.Errorf("body %q", got)
	}
}

// TestNoticeTakesThePlaceOfAnother: a key has one notice, whatever happens.
func TestNoticeTakesThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s, n := newServer(t, b, "actions"), newNotifier(t, b)
	var came []<-chan outcome
	var first shownNotice
	for i := range 3 {
		came = append(came, notifying(t.Context(), n, due))
		got := s.next()
		if i == 0 {
			first = got
		}
		if i > 0 && got.replaces != first.number {
			t.Errorf("notice %d takes the place of %d, want %d", i, got.replaces, first.number)
		}
	}
	for _, replaced := range came[:2] {
		if o := await(t, replaced); o != (outcome{}) {
			t.Errorf("replaced: %+v", o)
		}
	}
	other := due
	other.ID = "other"
	beside := notifying(t.Context(), n, other)
	if got := s.next(); got.number == first.number || got.replaces != 0 {
		t.Errorf("another key: %+v", got)
	}
	s.emit("ActionInvoked", first.number, "snooze")
	if o := await(t, came[2]); o.answer.Action != "snooze" || o.err != nil {
		t.Errorf("pressed: %+v", o)
	}
	select {
	case o := <-beside:
		t.Errorf("the other key was answered, too: %+v", o)
	default:
	}
}

// TestF49ForgedSignals: other numbers, other senders, other paths, actions that
// nobody offered and bodies of any shape are not answers, in any number.
func TestF49ForgedSignals(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s, n := newServer(t, b, "actions"), newNotifier(t, b)
	stranger, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	came := notifying(t.Context(), n, due)
	got := s.next()
	for i := range 2000 {
		s.emit("ActionInvoked", got.number+1+uint32(i), "rotate")
	}
	for _, values := range [][]any{
		{got.number},
		{},
		{"rotate", got.number},
		{got.number, "rotate", "x"},
		{int32(got.number), "rotate"},
		{got.number, uint32(1)},
		{got.number, "default"},
		{got.number, ""},
		{got.number, "ROTATE"},
		{got.number, []string{"rotate"}},
		{got.number, dbus.MakeVariant("rotate")},
	} {
		s.emit("ActionInvoked", values...)
	}
	s.emit("Nonsense", got.number, "rotate")
	for _, name := range []string{"ActionInvoked", "NotificationClosed"} {
		if err := stranger.Emit(notificationsPath, notifications+"."+name, got.number, "rotate"); err != nil {
			t.Fatal(err)
		}
		if err := s.conn.Emit("/elsewhere", notifications+"."+name, got.number, "rotate"); err != nil {
			t.Fatal(err)
		}
	}
	if err := stranger.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil { // all is delivered
		t.Fatal(err)
	}
	select {
	case o := <-came:
		t.Fatalf("answered by what is no answer: %+v", o)
	case <-time.After(100 * time.Millisecond):
	}
	// What is lost in the flood is sent again until it arrives.
	eventually(t, func() bool {
		s.emit("ActionInvoked", got.number, "rotate")
		select {
		case o := <-came:
			if o.answer.Action != "rotate" || o.err != nil {
				t.Errorf("pressed: %+v", o)
			}
			return true
		default:
			return false
		}
	})
}

// TestF49NoService: no bus, no service, and one whose answers are none.
func TestF49NoService(t *testing.T) {
	t.Parallel()
	empty, dead := newBus(t), newBus(t)
	dead.Stop()
	mad := newBus(t)
	madness := &server{t: t, conn: must(t)(dbus.Connect(mad.Address))}
	t.Cleanup(func() { _ = madness.conn.Close() })
	madness.export(nonsense{}, notificationsPath, notifications)
	for name, n := range map[string]*Notifier{
		"no bus":       {},
		"no address":   {Bus: "unixexec:path=/bin/false"},
		"no socket":    {Bus: "unix:path=/nowhere/bus"},
		"a dead bus":   {Bus: dead.Address},
		"nobody":       {Bus: empty.Address, bound: patience},
		"zero":         {Bus: mad.Address, bound: patience},
		"a silent bus": {Bus: silentSocket(t), bound: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n.Ready(t.Context()) && name != "zero" {
				t.Error("ready")
			}
			if o := await(t, notifying(t.Context(), n, due)); !errors.Is(o.err, ErrUnnoticed) || o.answer != (Answer{}) {
				t.Errorf("%+v, want %v", o, ErrUnnoticed)
			}
			n.Close()
		})
	}
}

// nonsense answers with a number that no notice has.
type nonsense struct{}

func (nonsense) GetCapabilities() ([]string, *dbus.Error) { return []string{"actions"}, nil }

func (nonsense) Notify(string, uint32, string, string, string, []string, map[string]dbus.Variant, int32) (uint32, *dbus.Error) {
	return 0, nil
}

// leaving ends instead of an answer.
type leaving struct {
	nonsense

	conn *dbus.Conn
}

func (l leaving) Notify(string, uint32, string, string, string, []string, map[string]dbus.Variant, int32) (uint32, *dbus.Error) {
	_ = l.conn.Close() // the bus says so to whoever waits
	return 0, nil
}

func must(t *testing.T) func(*dbus.Conn, error) *dbus.Conn {
	return func(c *dbus.Conn, err error) *dbus.Conn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TestF49ServiceEnds: a notice ends with its server, and the next server shows
// the next one; the bus may be another by then.
func TestF49ServiceEnds(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	n := newNotifier(t, b)
	hasty := &server{t: t, conn: must(t)(dbus.Connect(b.Address))}
	hasty.export(leaving{conn: hasty.conn}, notificationsPath, notifications)
	if o := await(t, notifying(t.Context(), n, due)); !errors.Is(o.err, ErrUnnoticed) || !errors.Is(o.err, errGone) {
		t.Errorf("the server ended before it answered: %+v", o)
	}
	s := newServer(t, b)
	came := notifying(t.Context(), n, due)
	s.next()
	if err := s.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if o := await(t, came); !errors.Is(o.err, ErrUnnoticed) || !errors.Is(o.err, errGone) {
		t.Errorf("the server ended: %+v", o)
	}
	s = newServer(t, b)
	came = notifying(t.Context(), n, due)
	if got := s.next(); got.replaces != 0 {
		t.Errorf("it takes the place of %d, which is another server's", got.replaces)
	}
	b.Stop()
	if o := await(t, came); !errors.Is(o.err, ErrUnnoticed) {
		t.Errorf("the bus ended: %+v", o)
	}
	if n.Ready(t.Context()) {
		t.Error("ready without a bus")
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	s = newServer(t, b, "actions")
	came = notifying(t.Context(), n, due)
	s.emit("ActionInvoked", s.next().number, "rotate")
	if o := await(t, came); o.answer.Action != "rotate" || o.err != nil {
		t.Errorf("after the bus came back: %+v", o)
	}
}

// TestF49FrozenBus: a bus that takes connections and says nothing.
func TestF49FrozenBus(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	newServer(t, b)
	n := &Notifier{Bus: b.Address, bound: 50 * time.Millisecond}
	b.Freeze()
	if n.Ready(t.Context()) {
		t.Error("a frozen bus is ready")
	}
	if o := await(t, notifying(t.Context(), n, due)); !errors.Is(o.err, ErrUnnoticed) {
		t.Errorf("frozen: %+v", o)
	}
	n.Close()
	b.Thaw()
	n.bound = patience
	if !n.Ready(t.Context()) {
		t.Error("the bus goes on, and is not ready")
	}
}

// TestF49LateService: a server that takes a notice and says so too late. Until
// it does it gets no other, and then the notice goes: nobody listens any more.
func TestF49LateService(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newServer(t, b, "actions")
	goOn := s.holdUp()
	quick := &Notifier{Bus: b.Address, bound: time.Second}
	t.Cleanup(quick.Close)
	if o := await(t, notifying(t.Context(), quick, due)); !errors.Is(o.err, errHangs) {
		t.Fatalf("late: %+v", o)
	}
	if o := await(t, notifying(t.Context(), quick, due)); !errors.Is(o.err, ErrUnnoticed) || quick.Ready(t.Context()) {
		t.Errorf("it owes an answer: %+v", o)
	}
	goOn()
	s.withdrawn(s.next().number)
	eventually(t, func() bool { return quick.Ready(t.Context()) })
}

// TestF49CloseGivesUp: what a server owes keeps no daemon from its end.
func TestF49CloseGivesUp(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newServer(t, b)
	defer s.holdUp()()
	n := &Notifier{Bus: b.Address, bound: 300 * time.Millisecond}
	if o := await(t, notifying(t.Context(), n, due)); !errors.Is(o.err, ErrUnnoticed) {
		t.Fatalf("late: %+v", o)
	}
	ended := make(chan struct{})
	go func() { n.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("Close waits for a server that says nothing")
	}
}

// TestF49ManyNotices: some are shown, the others are refused, none is lost sight
// of, and no connection stays.
func TestF49ManyNotices(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s, n := newServer(t, b, "actions"), newNotifier(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	came := make(chan outcome, 100)
	for i := range 100 {
		note := due
		note.ID = fmt.Sprint("key ", i)
		go func() {
			answer, err := n.Notify(ctx, note)
			came <- outcome{answer, err}
		}()
	}
	for range 100 - maxNotices {
		if o := await(t, came); !errors.Is(o.err, errTooMany) {
			t.Fatalf("one too many: %+v", o)
		}
	}
	for range maxNotices {
		s.next()
	}
	cancel()
	for range maxNotices {
		if o := await(t, came); !errors.Is(o.err, context.Canceled) {
			t.Errorf("given up: %+v", o)
		}
	}
	eventually(t, func() bool {
		var names []string
		if err := s.conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
			t.Fatal(err)
		}
		return len(names) == 3 // the bus, and the server's two
	})
}

// saver is a program that locks the screen.
type saver struct{ active, hangs bool }

func (s *saver) GetActive() (bool, *dbus.Error) {
	if s.hangs {
		select {}
	}
	return s.active, nil
}

// session is logind's.
type session struct{ hint any }

func (s *session) Get(string, string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(s.hint), nil
}

// TestLockedScreen: nothing is shown on a screen that is known to be locked, and
// who does not answer knows nothing.
func TestLockedScreen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		saver [2]string
		is    *saver
		hint  any
		want  bool // shown
	}{
		"nobody knows":     {want: true},
		"open":             {savers[2], &saver{}, false, true},
		"GNOME":            {savers[2], &saver{active: true}, nil, false},
		"KDE":              {savers[1], &saver{active: true}, nil, false},
		"the last of them": {savers[len(savers)-1], &saver{active: true}, nil, false},
		"a silent saver":   {savers[0], &saver{hangs: true}, nil, true},
		"logind":           {hint: true, want: false},
		"logind, open":     {hint: false, want: true},
		"logind, odd":      {hint: "yes", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, system := newBus(t), newBus(t)
			s := newServer(t, b)
			n := &Notifier{Bus: b.Address, SystemBus: system.Address, bound: 2 * time.Second}
			if tc.is != nil {
				s.export(tc.is, dbus.ObjectPath(tc.saver[1]), tc.saver[0])
			}
			if tc.hint != nil {
				l := &server{t: t, conn: must(t)(dbus.Connect(system.Address))}
				t.Cleanup(func() { _ = l.conn.Close() })
				if err := l.conn.Export(&session{tc.hint}, sessionPath, "org.freedesktop.DBus.Properties"); err != nil {
					t.Fatal(err)
				}
				l.export(&session{}, "/unused", logind)
			}
			if !tc.want {
				if n.Ready(t.Context()) {
					t.Error("ready")
				}
				if o := await(t, notifying(t.Context(), n, due)); !errors.Is(o.err, errLocked) {
					t.Errorf("%+v, want %v", o, errLocked)
				}
				return
			}
			came := notifying(t.Context(), n, due)
			s.emit("NotificationClosed", s.next().number, uint32(1))
			if o := await(t, came); o != (outcome{}) {
				t.Errorf("%+v", o)
			}
		})
	}
}

// silentSocket is no bus: it takes connections, and nothing else happens.
func silentSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "b-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // best effort: a temporary directory
	return "unix:path=" + listenOn(t, dir+"/bus")
}

func listenOn(t *testing.T, path string) string {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it is not used any more
	return path
}
