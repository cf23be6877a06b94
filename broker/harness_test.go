// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

const (
	account = "111122223333"
	annKey  = "AKIAANNANNANNANNANN1"
	annARN  = "arn:aws:iam::111122223333:user/ann"
	annMFA  = "arn:aws:iam::111122223333:mfa/ann"
	annMFA2 = "arn:aws:iam::111122223333:mfa/ann-spare"
	bobKey  = "AKIABOBBOBBOBBOBBOB1"
	bobMFA  = "arn:aws:iam::111122223333:mfa/bob"
)

// fakeClock is a clock whose two hands can be moved apart. Between moves it
// follows the time of the test.
type fakeClock struct {
	mu         sync.Mutex
	begin      time.Time
	wall, boot time.Duration // moved by hand
}

func newFakeClock() *fakeClock { return &fakeClock{begin: time.Now()} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.wall)
}

func (c *fakeClock) Boot() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.begin) + c.boot
}

func (c *fakeClock) move(wall, boot time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall += wall
	c.boot += boot
}

// fakeAWS is a Worker and an STS over a model of what AWS does with codes: each
// works once, in its time step and the two beside it.
type fakeAWS struct {
	clock *fakeClock

	mu       sync.Mutex
	log      []string // "GetSessionToken 123456", "AssumeRole ARN", …
	used     map[string]bool
	count    int
	fail     map[string][]error // by action; the first is taken, the last nil stays
	delay    time.Duration
	life     time.Duration // of sessions, instead of what is asked for
	skew     atomic.Int64  // clock of AWS minus ours, as a time.Duration
	revoked  map[string]bool
	identity ipc.Identity
	devices  []string
	items    map[string]bool // deleted
	silent   []bool          // of each Delete
	inputs   []AssumeRoleInput
	sources  []string
	params   []ipc.SessionTokenParams
	account  string   // of role sessions, instead of the role's
	maxRole  int      // longest role session
	stored   []string // items of the vault that Strays lists
	iam      fakeIAM
	trail    fakeTrail
	policy   fakePolicy
}

func newFakeAWS(clock *fakeClock) *fakeAWS {
	return &fakeAWS{
		clock: clock, used: map[string]bool{}, fail: map[string][]error{}, revoked: map[string]bool{},
		items: map[string]bool{}, identity: ipc.Identity{AccountID: account, ARN: annARN, UserID: "AIDAANN", UserName: "ann"},
		devices: []string{annMFA, annMFA2}, maxRole: 43200,
	}
}

// enter logs a call and returns the error that was planned for it.
func (f *fakeAWS) enter(ctx context.Context, action, what string) error {
	f.mu.Lock()
	f.log = append(f.log, strings.TrimSpace(action+" "+what))
	delay := f.delay
	var err error
	if q := f.fail[action]; len(q) > 0 {
		err = q[0]
		if len(q) > 1 {
			f.fail[action] = q[1:]
		}
	}
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "given up", Spent: true}
		}
	}
	return err
}

// takes makes every call from now on take so long.
func (f *fakeAWS) takes(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// failNext plans errors for the next calls of an action; then it works again.
func (f *fakeAWS) failNext(action string, errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[action] = append(slices.Clone(errs), nil)
}

func (f *fakeAWS) failAlways(action string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[action] = []error{err}
}

func (f *fakeAWS) now() time.Time { return f.clock.Now().Add(time.Duration(f.skew.Load())) }

// code returns the code of the current time step, counted from now by step.
func (f *fakeAWS) code(serial string, step int) string {
	n := f.now().Unix()/30 + int64(step)
	h := uint64(14695981039346656037)
	for _, c := range []byte(fmt.Sprint(serial, n)) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("%06d", h%1000000)
}

func (f *fakeAWS) credentials(asked time.Duration) credproc.Credentials {
	f.count++
	life := asked
	if f.life != 0 {
		life = f.life
	}
	return credproc.Credentials{
		AccessKeyID:     fmt.Sprintf("ASIA%016d", f.count),
		SecretAccessKey: secret.New(fmt.Sprintf("temporary-secret-%d", f.count)),
		SessionToken:    secret.New(fmt.Sprintf("session-token-%d", f.count)),
		Expiration:      f.now().Add(life).Truncate(time.Second).UTC(),
	}
}

func (f *fakeAWS) SessionToken(ctx context.Context, p ipc.SessionTokenParams) (credproc.Credentials, error) {
	if err := f.enter(ctx, "GetSessionToken", p.TokenCode); err != nil {
		f.mu.Lock()
		f.used[p.TokenCode] = true
		f.mu.Unlock()
		return credproc.Credentials{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.params = append(f.params, p)
	if p.SerialNumber != "" {
		current := []string{f.code(p.SerialNumber, -1), f.code(p.SerialNumber, 0), f.code(p.SerialNumber, 1)}
		if !slices.Contains(current, p.TokenCode) || f.used[p.TokenCode] {
			return credproc.Credentials{}, &ipc.Error{Code: ipc.CodeMFAWrong, Message: "MultiFactorAuthentication failed with invalid MFA one time pass code.", Spent: true}
		}
		f.used[p.TokenCode] = true
	}
	return f.credentials(time.Duration(p.DurationSeconds) * time.Second), nil
}

func (f *fakeAWS) CallerIdentity(ctx context.Context, p ipc.ItemParams) (ipc.Identity, error) {
	if err := f.enter(ctx, "GetCallerIdentity", ""); err != nil {
		return ipc.Identity{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.iam.keys, func(k ipc.KeyState) bool { return k.AccessKeyID == p.AccessKeyID && !k.Active }) {
		return ipc.Identity{}, &ipc.Error{Code: ipc.CodeAWSKeyUnknown, Message: "InvalidClientTokenId"}
	}
	return f.identity, nil
}

func (f *fakeAWS) ListMFADevices(ctx context.Context, _ ipc.ItemParams) (ipc.MFADevices, error) {
	if err := f.enter(ctx, "ListMFADevices", ""); err != nil {
		return ipc.MFADevices{}, err
	}
	var out ipc.MFADevices
	for _, s := range f.devices {
		out.Devices = append(out.Devices, ipc.MFADevice{SerialNumber: s})
	}
	return out, nil
}

func (f *fakeAWS) Delete(ctx context.Context, p ipc.ItemParams) error {
	f.mu.Lock()
	f.silent = append(f.silent, p.Store.Silent)
	f.mu.Unlock()
	if err := f.enter(ctx, "Delete", p.Item); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items[p.Item] = true
	return nil
}

func (f *fakeAWS) Strays(ctx context.Context, p ipc.StraysParams) (ipc.Strays, error) {
	if err := f.enter(ctx, "Strays", fmt.Sprint(p.Store.Silent, p.Read)); err != nil {
		return ipc.Strays{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var found ipc.Strays
	for _, item := range f.stored {
		if !slices.Contains(p.Known, item) && !f.items[item] {
			found.Items = append(found.Items, ipc.Stray{Item: item})
		}
	}
	return found, nil
}

func (f *fakeAWS) Reach(ctx context.Context, _ ipc.AWS) (time.Duration, error) {
	if err := f.enter(ctx, "Reach", ""); err != nil {
		return 0, err
	}
	return time.Duration(f.skew.Load()), nil
}

func (f *fakeAWS) Endpoint(_ context.Context, to ipc.AWS) (region, url string) {
	return to.Region, firstOf(to.STSEndpointURL, "https://sts."+to.Region+".amazonaws.com")
}

func (f *fakeAWS) AssumeRole(ctx context.Context, _ ipc.AWS, source credproc.Credentials, in AssumeRoleInput) (credproc.Credentials, error) {
	if err := f.enter(ctx, "AssumeRole", in.RoleARN); err != nil {
		return credproc.Credentials{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.revoked[source.AccessKeyID]:
		return credproc.Credentials{}, &ipc.Error{Code: ipc.CodeAWSExpired, Message: "ExpiredToken"}
	case in.DurationSeconds > f.maxRole:
		return credproc.Credentials{}, &ipc.Error{Code: ipc.CodeAWSDuration, Message: "the requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"}
	}
	f.inputs = append(f.inputs, in)
	f.sources = append(f.sources, source.AccessKeyID)
	c := f.credentials(time.Duration(in.DurationSeconds) * time.Second)
	a, _ := parseARN(in.RoleARN)
	c.AccountID = firstOf(f.account, a.account)
	return c, nil
}

// calls returns how often an action was called.
func (f *fakeAWS) calls(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, line := range f.log {
		if line == action || strings.HasPrefix(line, action+" ") {
			n++
		}
	}
	return n
}

// seenCalls returns all calls so far.
func (f *fakeAWS) seenCalls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// codesSentOnce fails the test if AWS saw one code twice.
func (f *fakeAWS) codesSentOnce(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string]bool{}
	for _, line := range f.log {
		if strings.HasPrefix(line, "GetSessionToken ") {
			if seen[line] {
				t.Errorf("a code was sent twice: %s", line)
			}
			seen[line] = true
		}
	}
}

var (
	_ Worker = (*fakeAWS)(nil)
	_ STS    = (*fakeAWS)(nil)
	_ Trail  = (*fakeAWS)(nil)
	_ Clock  = (*fakeClock)(nil)
)

// rig is a Broker with everything around it.
type rig struct {
	t       *testing.T
	dir     string
	aws     *fakeAWS
	clock   *fakeClock
	log     *lockedBuffer
	opts    Options
	holding *client // who holds the key of a typed vault
	*Broker
}

type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRig returns a Broker with a pinned vault and no keys.
func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	clock := newFakeClock()
	r := &rig{t: t, dir: dir, clock: clock, aws: newFakeAWS(clock), log: &lockedBuffer{}}
	r.opts = Options{
		Version: "1.2.3", PID: 42, UID: os.Getuid(), StartedAt: clock.Now(), Hostname: "laptop",
		Places: Places{
			Home: dir, ConfigFile: r.path("config"), StateFile: r.path("state/state.json"), VaultDir: r.path("vault"),
			Socket: r.path("broker.sock"), HolderSocket: r.path("vault.sock"), OverlayDir: r.path("overlay"),
			AWSConfigFile: r.path("aws/config"), AWSCredentialsFile: r.path("aws/credentials"),
		},
		Worker: r.aws, STS: r.aws, Trail: r.aws, Clock: clock,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /passphrase\n")
	r.write("aws/config", "[profile dev]\nregion = eu-west-1\n")
	r.restart()
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// restart begins with an empty memory.
func (r *rig) restart() {
	r.t.Helper()
	if r.Broker != nil {
		r.tasks.close()
	}
	b, err := New(r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Broker = b
}

// ready is newRig with ann's key under dev.
func ready(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
	return r
}

func (r *rig) add(profile, key string, d ipc.KeyDetails) ipc.Key {
	r.t.Helper()
	place := do[ipc.Reservation](r, ipc.OpReserve, ipc.ReserveParams{Profile: profile, AccessKeyID: key, Replace: true})
	return do[ipc.Key](r, ipc.OpAdopt, ipc.AdoptParams{Item: place.Item, Profile: profile, AccessKeyID: key, Replace: true, KeyDetails: d})
}

// talk is the client's end of a conversation.
type talk struct {
	params  json.RawMessage
	prompts chan ipc.Prompt // nil: it cannot ask
	answers chan string
	gone    <-chan struct{}
	full    error // what Sit returns
	events  chan any
	killed  chan struct{} // closed by EndPeer
}

func (c *talk) Decode(v any) error {
	if len(c.params) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.params, v); err != nil {
		return &ipc.Error{Code: ipc.CodeUsage, Message: "malformed"}
	}
	return nil
}

func (c *talk) CanAsk() bool { return c.prompts != nil }

func (c *talk) Sit() error { return c.full }

func (c *talk) Event(v any) error {
	if c.events == nil {
		return errHungUp
	}
	c.events <- v
	return nil
}

func (c *talk) EndPeer() error {
	close(c.killed)
	return nil
}

var errHungUp = errors.New("the client hung up")

func (c *talk) Prompt(ctx context.Context, p ipc.Prompt) (string, error) {
	select {
	case c.prompts <- p:
	case <-ctx.Done():
		return "", ctx.Err()
	case <-c.gone:
		return "", errHungUp
	}
	select {
	case a := <-c.answers:
		return a, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-c.gone:
		return "", errHungUp
	}
}

// client runs one operation in the background.
type client struct {
	*talk
	hangUp context.CancelFunc
	done   chan struct{}
	result json.RawMessage
	err    error
}

func (r *rig) start(op string, params any, ask ipc.Ask) *client {
	return r.startWithin(op, params, ask, 0)
}

func (r *rig) startWithin(op string, params any, ask ipc.Ask, limit time.Duration) *client {
	r.t.Helper()
	data, err := json.Marshal(params)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(context.Background())
	if limit > 0 {
		ctx, hangUp = context.WithTimeout(context.Background(), limit)
	}
	c := &client{talk: &talk{params: data, gone: ctx.Done(), events: make(chan any, 16), killed: make(chan struct{})}, hangUp: hangUp, done: make(chan struct{})}
	if ask != ipc.AskNowhere {
		c.prompts, c.answers = make(chan ipc.Prompt, 16), make(chan string)
	}
	run, ok := r.operation(op)
	if !ok {
		r.t.Fatalf("there is no op %s", op)
	}
	go func() {
		defer close(c.done)
		c.result, c.err = r.serve(ctx, run, ipc.Request{V: 1, Op: op, Ask: ask}, c.talk)
	}()
	return c
}

// helper starts a background caller for credentials.
func (r *rig) helper(profile string) *client {
	return r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: profile}, ipc.AskNowhere)
}

// code waits for the client's end and returns the code of its error, or "".
func (c *client) code() ipc.Code {
	<-c.done
	if c.err == nil {
		return ""
	}
	return coded(c.err).Code
}

func (c *client) document(t *testing.T) credproc.Credentials {
	t.Helper()
	<-c.done
	if c.err != nil {
		t.Fatalf("credentials: %v", c.err)
	}
	got, err := credproc.Parse(c.result)
	if err != nil {
		t.Fatalf("document %s: %v", c.result, err)
	}
	return got
}

// do runs an operation that must work.
func do[T any](r *rig, op string, params any) T {
	r.t.Helper()
	c := r.start(op, params, ipc.AskNowhere)
	<-c.done
	if c.err != nil {
		r.t.Fatalf("%s: %v", op, c.err)
	}
	var v T
	if err := json.Unmarshal(c.result, &v); err != nil {
		r.t.Fatalf("%s: %v", op, err)
	}
	return v
}

// withCodes runs an operation, and gives a code to whoever asks.
func withCodes[T any](r *rig, op string, params any) (T, error) {
	r.t.Helper()
	c := r.start(op, params, ipc.AskTerminal)
	for {
		select {
		case q := <-c.prompts:
			c.answers <- r.aws.code(q.SerialNumber, 0)
		case <-c.events:
		case <-c.done:
			var v T
			if c.err == nil {
				if err := json.Unmarshal(c.result, &v); err != nil {
					r.t.Fatalf("%s: %v", op, err)
				}
			}
			return v, c.err
		}
	}
}

// refused runs an operation that must not work and returns its error.
func refused(r *rig, op string, params any) *ipc.Error {
	r.t.Helper()
	c := r.start(op, params, ipc.AskNowhere)
	<-c.done
	if c.err == nil {
		r.t.Fatalf("%s worked: %s", op, c.result)
	}
	return coded(c.err)
}

func (r *rig) status() ipc.Status { r.t.Helper(); return do[ipc.Status](r, ipc.OpStatus, struct{}{}) }

// mfa answers with a code.
func (r *rig) mfa(code string) *client {
	return r.start(ipc.OpMFA, ipc.MFAParams{Code: code}, ipc.AskNowhere)
}

// prime gets a session for a profile.
func (r *rig) prime(profile string) credproc.Credentials {
	r.t.Helper()
	h := r.helper(profile)
	synctest.Wait()
	p := r.status().Pending
	if len(p) != 1 {
		r.t.Fatalf("pending: %+v", p)
	}
	m := r.mfa(r.aws.code(p[0].SerialNumber, 0))
	if <-m.done; m.err != nil {
		r.t.Fatalf("mfa: %v", m.err)
	}
	return h.document(r.t)
}

// bubble runs a test in fake time and ends what the broker left running.
func bubble(t *testing.T, setup func(*testing.T) *rig, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		defer func() { r.tasks.close() }()
		test(t, r)
	})
}

func wantCode(t *testing.T, what string, err error, want ipc.Code) {
	t.Helper()
	if err == nil || coded(err).Code != want {
		t.Errorf("%s: error %v, want code %s", what, err, want)
	}
}
