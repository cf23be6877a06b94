// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"credbroker/credproc"
	"credbroker/internal/fakeaws"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// A day in the life of a daemon: what the figures of TestALongDay mean.
const (
	dayRequests = 10_000
	dayProfiles = 40
	night       = 8 * time.Hour // the lid is closed
	outage      = 20 * time.Minute
	outageIn    = "eu-west-1"
)

// dayAWS is a Worker and an STS on the pretend AWS: signed by the SDK, answered
// in the same process, by the same clock. The network between them is the part
// that is missing, so that a day can pass in a moment.
type dayAWS struct {
	KeyWorker // no key is replaced in a day
	PolicyWorker
	clock *fakeClock
	fake  *fakeaws.Server
	keys  map[string]fakeaws.AccessKey

	mu      sync.Mutex
	out     map[string]bool // Regions that do not answer
	primed  map[string]int  // GetSessionToken with a code, by user
	codes   map[string]bool // that were sent
	refused []string
	calls   int
}

// ListKeys: the users of the day may not look at their own keys.
func (d *dayAWS) ListKeys(context.Context, ipc.IAMParams) (ipc.KeyStates, error) {
	return ipc.KeyStates{}, &ipc.Error{Code: ipc.CodeAWSDenied, Message: "AccessDenied"}
}

func newDayAWS(t *testing.T, clock *fakeClock) *dayAWS {
	t.Helper()
	fake, err := fakeaws.New(fakeaws.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	d := &dayAWS{clock: clock, fake: fake, keys: map[string]fakeaws.AccessKey{}, out: map[string]bool{}, primed: map[string]int{}, codes: map[string]bool{}}
	for _, u := range fake.Users() {
		for _, k := range u.AccessKeys {
			d.keys[k.AccessKeyID] = k
		}
	}
	return d
}

// Do is the network: it reaches the pretend AWS, or in an outage nobody.
func (d *dayAWS) Do(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	down := false
	for region := range d.out {
		down = down || strings.Contains(r.Header.Get("Authorization"), "/"+region+"/")
	}
	d.calls++
	d.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	// A server sees the host and the length where a client does not put them.
	r.Host, r.ContentLength = r.URL.Host, max(r.ContentLength, 0)
	answer := httptest.NewRecorder()
	d.fake.ServeHTTP(answer, r)
	return answer.Result(), nil
}

func (d *dayAWS) client(region, id, secretKey, token string) *sts.Client {
	return sts.New(sts.Options{
		Region: region, BaseEndpoint: aws.String("http://127.0.0.1"), HTTPClient: d,
		Retryer: aws.NopRetryer{}, Logger: logging.Nop{},
		Credentials:  credentials.NewStaticCredentialsProvider(id, secretKey, token),
		HTTPSignerV4: daySigner{v4.NewSigner(), d.clock},
	})
}

// daySigner signs with the time of the test's clock, which a night moves.
type daySigner struct {
	*v4.Signer
	clock *fakeClock
}

func (s daySigner) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, _ time.Time, with ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, c, r, hash, service, region, s.clock.Now(), with...)
}

// failed returns a refusal as the daemon knows it.
func (d *dayAWS) failed(action string, err error) error {
	var refusal smithy.APIError
	if !errors.As(err, &refusal) {
		return &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: action + ": " + err.Error()}
	}
	d.mu.Lock()
	d.refused = append(d.refused, action+" "+refusal.ErrorCode())
	d.mu.Unlock()
	return &ipc.Error{Code: ipc.CodeAWSFailed, Message: action + ": " + err.Error(), Spent: true}
}

func (d *dayAWS) SessionToken(ctx context.Context, p ipc.SessionTokenParams) (credproc.Credentials, error) {
	key := d.keys[p.AccessKeyID]
	in := &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(int32(p.DurationSeconds))}
	if p.SerialNumber != "" {
		in.SerialNumber, in.TokenCode = &p.SerialNumber, &p.TokenCode
		d.mu.Lock()
		if d.codes[p.SerialNumber+p.TokenCode] {
			d.refused = append(d.refused, "code sent twice to "+p.SerialNumber)
		}
		d.codes[p.SerialNumber+p.TokenCode] = true
		d.mu.Unlock()
	}
	out, err := d.client(p.AWS.Region, key.AccessKeyID, key.SecretAccessKey.Reveal(), "").GetSessionToken(ctx, in)
	if err != nil {
		return credproc.Credentials{}, d.failed("GetSessionToken", err)
	}
	if p.SerialNumber != "" {
		d.mu.Lock()
		d.primed[p.SerialNumber]++
		d.mu.Unlock()
	}
	c := out.Credentials
	return documentOf(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, *c.Expiration), nil
}

func (d *dayAWS) Endpoint(_ context.Context, to ipc.AWS) (region, url string) { return to.Region, "" }

func (d *dayAWS) AssumeRole(ctx context.Context, to ipc.AWS, source credproc.Credentials, in AssumeRoleInput) (credproc.Credentials, error) {
	out, err := d.client(to.Region, source.AccessKeyID, source.SecretAccessKey.Reveal(), source.SessionToken.Reveal()).
		AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn: &in.RoleARN, RoleSessionName: &in.RoleSessionName, DurationSeconds: aws.Int32(int32(in.DurationSeconds)),
		})
	if err != nil {
		return credproc.Credentials{}, d.failed("AssumeRole", err)
	}
	c := out.Credentials
	return documentOf(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, *c.Expiration), nil
}

// Reach implements STS.
func (d *dayAWS) Reach(_ context.Context, to ipc.AWS) (time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.out[to.Region] {
		return 0, &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "connection refused"}
	}
	return 0, nil
}

// works asks AWS, at this instant, whether it accepts what was handed out.
func (d *dayAWS) works(c credproc.Credentials) error {
	_, err := d.client("us-east-1", c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal()).
		GetCallerIdentity(context.Background(), nil)
	return err
}

// CallerIdentity, ListMFADevices and Delete implement Worker; a day needs none.
func (d *dayAWS) CallerIdentity(context.Context, ipc.ItemParams) (ipc.Identity, error) {
	return ipc.Identity{}, errors.ErrUnsupported
}

func (d *dayAWS) ListMFADevices(context.Context, ipc.ItemParams) (ipc.MFADevices, error) {
	return ipc.MFADevices{}, errors.ErrUnsupported
}
func (d *dayAWS) Delete(context.Context, ipc.ItemParams) error { return errors.ErrUnsupported }

func (d *dayAWS) Strays(context.Context, ipc.StraysParams) (ipc.Strays, error) {
	return ipc.Strays{}, nil
}

func documentOf(id, secretKey, token string, end time.Time) credproc.Credentials {
	return credproc.Credentials{AccessKeyID: id, SecretAccessKey: secret.New(secretKey), SessionToken: secret.New(token), Expiration: end}
}

// day is a rig on the pretend AWS, and the people who use it.
type day struct {
	*rig
	aws      *dayAWS
	names    []string
	random   *rand.Rand
	requests sync.WaitGroup

	mu       sync.Mutex
	served   int
	excused  int             // refused while a Region was out
	failures []string        // everything that must not be
	seen     map[string]bool // access key IDs that AWS has accepted
	outUntil time.Time       // of the outage, and what is forgiven after it
}

// newDay stores three keys and writes forty profiles on top of them: keys as
// they are, roles of 15 minutes, of an hour and of twelve, and a chain.
func newDay(t *testing.T) *day {
	t.Helper()
	r := newRig(t)
	d := &day{rig: r, aws: newDayAWS(t, r.clock), seen: map[string]bool{}, random: rand.New(rand.NewPCG(1, 20261122))}
	r.opts.Worker, r.opts.STS, r.opts.Log = d.aws, d.aws, slog.New(slog.DiscardHandler)
	r.restart()
	var text strings.Builder
	for _, name := range []string{"ann", "bob", "eve"} {
		u, _ := d.aws.fake.User(name)
		details := ipc.KeyDetails{AccountID: account, ARN: u.ARN, UserName: name, NoMFA: len(u.Devices) == 0}
		if len(u.Devices) > 0 {
			details.SerialNumber = u.Devices[0].SerialNumber
		}
		r.add(name, u.AccessKeys[0].AccessKeyID, details)
		fmt.Fprintf(&text, "[profile %s]\nregion = %s\n", name, outageIn)
		d.names = append(d.names, name)
	}
	hops := []string{"dev-hop1", "dev-hop2", "dev-hop3"}
	for i, source := range []string{"ann", "hop1", "hop2"} {
		fmt.Fprintf(&text, "[profile hop%d]\nrole_arn = arn:aws:iam::%s:role/%s\nsource_profile = %s\nregion = eu-central-1\n", i+1, account, hops[i], source)
		d.names = append(d.names, fmt.Sprintf("hop%d", i+1))
	}
	for i := len(d.names); i < dayProfiles; i++ {
		name := fmt.Sprintf("role%02d", i)
		role, seconds, region := "dev", 900, outageIn
		switch i % 5 {
		case 0:
			role, seconds = "readonly", 3600
		case 1:
			role, seconds, region = "dev-long", 43200, "eu-central-1"
		case 2:
			region = "us-east-1"
		}
		fmt.Fprintf(&text, "[profile %s]\nrole_arn = arn:aws:iam::%s:role/%s\nsource_profile = %s\nrole_session_name = %s\nduration_seconds = %d\nregion = %s\n",
			name, account, role, []string{"ann", "bob", "eve"}[i%3], name, seconds, region)
		d.names = append(d.names, name)
	}
	r.write("aws/config", text.String())
	return d
}

func (d *day) failf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.failures) < 20 {
		d.failures = append(d.failures, d.clock.Now().UTC().Format("15:04:05 ")+fmt.Sprintf(format, args...))
	}
}

// request is one process that wants credentials: an SDK's helper, or a command
// in a terminal whose user answers what it is asked.
func (d *day) request(profile string, foreground bool) {
	ask := ipc.AskNowhere
	if foreground {
		ask = ipc.AskTerminal
	}
	c := d.startWithin(ipc.OpCredentials, ipc.CredentialsParams{Profile: profile}, ask, 50*time.Second)
	d.requests.Go(func() {
		for {
			select {
			case p := <-c.prompts: // nil for a helper: never
				if code := d.phone(p.SerialNumber, c.done); code != "" {
					select {
					case c.answers <- code:
					case <-c.done:
					case <-time.After(time.Minute): // the prompt has been answered elsewhere
					}
				}
				continue
			case <-c.done:
			}
			break
		}
		c.hangUp()
		d.check(profile, c)
	})
}

// phone is a user who takes a while to read the code from a phone.
func (d *day) phone(serial string, done <-chan struct{}) string {
	select {
	case <-time.After(7 * time.Second):
	case <-done:
		return ""
	}
	code, err := d.aws.fake.CodeNow(serial)
	if err != nil {
		d.failf("phone of %s: %v", serial, err)
	}
	return code
}

// check holds an answer against the clock, and against AWS.
func (d *day) check(profile string, c *client) {
	d.mu.Lock()
	excuse := d.clock.Now().Before(d.outUntil)
	d.mu.Unlock()
	if c.err != nil {
		if excuse && hasCode(c.err, ipc.CodeAWSUnreachable) {
			d.mu.Lock()
			d.excused++
			d.mu.Unlock()
			return
		}
		d.failf("%s: %v", profile, c.err)
		return
	}
	got, err := credproc.Parse(c.result)
	if err != nil {
		d.failf("%s: %v", profile, err)
		return
	}
	if !got.Expiration.After(d.clock.Now()) {
		d.failf("%s: handed out %s, expired at %s", profile, got.AccessKeyID, got.Expiration.UTC().Format(time.TimeOnly))
	}
	d.mu.Lock()
	d.served++
	first := !d.seen[got.AccessKeyID]
	d.seen[got.AccessKeyID] = true
	ask := first || d.served%20 == 0
	d.mu.Unlock()
	if ask {
		if err := d.aws.works(got); err != nil {
			d.failf("%s: AWS refuses %s, which was handed out: %v", profile, got.AccessKeyID, err)
		}
	}
}

// answer is the user who types broker mfa when a helper waits.
func (d *day) answer() {
	for _, p := range d.status().Pending {
		code, err := d.aws.fake.CodeNow(p.SerialNumber)
		if err != nil {
			d.failf("phone: %v", err)
			continue
		}
		c := d.start(ipc.OpMFA, ipc.MFAParams{Code: code, Profile: p.Profiles[0]}, ipc.AskNowhere)
		<-c.done // answered by another surface meanwhile: as good
	}
}

// footprint is what the daemon holds when it is quiet.
type footprint struct {
	sessions, roles, other, goroutines int
	heap                               uint64 // bytes in use after a collection
}

func (d *day) footprint() footprint {
	d.requests.Wait()
	synctest.Wait()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	d.Broker.mu.Lock()
	defer d.Broker.mu.Unlock()
	return footprint{
		sessions: len(d.sessions), roles: len(d.roles),
		other:      len(d.mints) + len(d.flights) + len(d.cooling) + len(d.Broker.short),
		goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc,
	}
}

// work lets the day run for a while, with its share of the requests.
func (d *day) work(length time.Duration, requests int) {
	pause := length / time.Duration(requests)
	lastLook := d.clock.Now()
	for range requests {
		d.request(d.names[d.random.IntN(len(d.names))], d.random.IntN(4) == 0)
		time.Sleep(pause/2 + time.Duration(d.random.Int64N(int64(pause))))
		if d.clock.Now().Sub(lastLook) > 15*time.Second {
			lastLook = d.clock.Now()
			d.answer()
		}
	}
	for range 5 { // whoever still waits is answered
		time.Sleep(10 * time.Second)
		d.answer()
	}
}

// TestALongDay: 24 hours with 10 000 requests for forty profiles, most of them
// roles of 15 minutes; a Region is out for 20 minutes at midday, and the lid is
// closed for eight hours at night.
func TestALongDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDay(t)
		ctx, end := context.WithCancel(t.Context())
		var tidy sync.WaitGroup
		tidy.Go(func() { d.tidyUp(ctx) })
		defer func() { end(); tidy.Wait(); d.tasks.close() }()
		begin := d.clock.Now()

		d.work(4*time.Hour, 2500)
		early := d.footprint()

		d.mu.Lock()
		d.outUntil = d.clock.Now().Add(outage + 2*time.Minute)
		d.mu.Unlock()
		d.aws.mu.Lock()
		d.aws.out[outageIn] = true
		d.aws.mu.Unlock()
		d.work(outage, 210)
		d.aws.mu.Lock()
		delete(d.aws.out, outageIn)
		d.aws.mu.Unlock()
		d.work(begin.Add(12*time.Hour+30*time.Minute).Sub(d.clock.Now()), 4790)

		asleep := d.status().Prompts
		d.clock.move(night, night) // suspended: both clocks go on, no timer does
		time.Sleep(2 * tidyTime)
		if got := d.status().Prompts; got != asleep {
			t.Errorf("%d prompts while everybody slept", got-asleep)
		}
		d.work(begin.Add(24*time.Hour).Sub(d.clock.Now()), 2500)
		d.requests.Wait()
		codes, prompts, sent := 0, d.status().Prompts, len(d.aws.codes)
		// The pretend AWS remembers everything, as AWS does; the daemon must not.
		d.aws.fake, d.aws.codes, d.seen = nil, nil, nil
		late := d.footprint()

		for _, f := range append(d.failures, d.aws.refused...) {
			t.Error(f)
		}
		if d.served+d.excused != dayRequests || d.excused == 0 || d.excused > 210 {
			t.Errorf("%d requests served and %d refused in the outage, of %d", d.served, d.excused, dayRequests)
		}
		for serial, n := range d.aws.primed {
			if n != 2 { // of 12 hours each
				t.Errorf("%s: %d sessions in a day", serial, n)
			}
			codes += n
		}
		if len(d.aws.primed) != 2 || prompts != codes || sent != codes {
			t.Errorf("%d prompts and %d codes for %d sessions of %d devices", prompts, sent, codes, len(d.aws.primed))
		}
		t.Logf("%d served, %d calls to AWS, %d prompts; 4 h: %+v; 24 h: %+v", d.served, d.aws.calls, codes, early, late)
		if late.sessions > early.sessions || late.roles > early.roles+5 || late.other > early.other || late.goroutines > early.goroutines {
			t.Errorf("the daemon holds more after a day: %+v, after 4 hours %+v", late, early)
		}
		if late.heap > early.heap {
			t.Errorf("the heap grew from %d bytes, the pretend AWS included, to %d", early.heap, late.heap)
		}
	})
}
