// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// epoch is when the clock of every test starts.
var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// testClock is a clock that tests move.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a Server with a clock. Its requests are signed by the AWS SDK.
type rig struct {
	*Server
	t     *testing.T
	clock *testClock
}

// newRig makes a Server whose identifiers and secrets are the same each time.
func newRig(t *testing.T) *rig {
	t.Helper()
	clock := &testClock{now: epoch}
	s, err := New(Options{Now: clock.Now, Rand: rand.NewChaCha8([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Server: s, t: t, clock: clock}
}

// identity is who signs: the keys as the SDK takes them.
type identity = aws.Credentials

// key returns the oldest long-lived key of a user.
func (r *rig) key(name string) identity {
	r.t.Helper()
	u, ok := r.User(name)
	if !ok {
		r.t.Fatalf("the account has no user %s", name)
	}
	k := u.AccessKeys[0]
	return identity{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey.Reveal()}
}

// newKey has somebody make a key for a user.
func (r *rig) newKey(who identity, user string) identity {
	r.t.Helper()
	var got struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	r.call(who, &got, "CreateAccessKey", "UserName", user)
	return identity{AccessKeyID: got.ID, SecretAccessKey: got.Secret}
}

func (r *rig) serial(name string) string {
	r.t.Helper()
	u, ok := r.User(name)
	if !ok || len(u.Devices) == 0 {
		r.t.Fatalf("%s has no device", name)
	}
	return u.Devices[0].SerialNumber
}

// freshCode returns an unused code of a user's first device.
func (r *rig) freshCode(name string) string {
	r.t.Helper()
	r.clock.advance(r.knobs.totpStep)
	code, err := r.Code(r.t.Context(), r.serial(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return code
}

// ask is one request, in the parts that a test may bend.
type ask struct {
	who     identity
	params  url.Values
	json    string            // body of a LookupEvents request, instead of params
	method  string            // POST if empty
	service string            // of the scope; derived from the action if empty
	region  string            // of the scope; us-east-1 if empty
	at      time.Time         // of the signature; now if zero
	headers map[string]string // further headers, signed
	bend    func(*http.Request)
}

// params builds the parameters of an action.
func params(action string, more ...string) url.Values {
	v := url.Values{"Action": {action}, "Version": {sts.version}}
	if actions[action].service.name == iam.name {
		v.Set("Version", iam.version)
	}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// wire returns a signed request as it goes over the network.
func (r *rig) wire(a ask) []byte {
	r.t.Helper()
	if a.method == "" {
		a.method = http.MethodPost
	}
	if a.json != "" {
		a.service = cloudtrail.name
		a.headers = map[string]string{"Content-Type": jsonType, "X-Amz-Target": cloudtrail.target + "LookupEvents"}
	}
	if a.service == "" {
		a.service = sts.name
		if a.params.Get("Version") == iam.version {
			a.service = iam.name
		}
	}
	if a.region == "" {
		a.region = "us-east-1"
	}
	if a.at.IsZero() {
		a.at = r.Now()
	}
	target, body := "http://127.0.0.1:4566/", a.params.Encode()
	if a.json != "" {
		body = a.json
	}
	if a.method == http.MethodGet {
		target, body = target+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(r.t.Context(), a.method, target, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("User-Agent", "test/1")
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range a.headers {
		req.Header.Set(name, value)
	}
	sum := sha256.Sum256([]byte(body))
	// A new signer each time: one keeps what it derived from a key ID's first secret.
	if err := v4.NewSigner().SignHTTP(context.Background(), a.who, req, hex.EncodeToString(sum[:]), a.service, a.region, a.at); err != nil {
		r.t.Fatal(err)
	}
	if a.bend != nil {
		a.bend(req)
	}
	var buf bytes.Buffer
	if err := req.Write(&buf); err != nil {
		r.t.Fatal(err)
	}
	return buf.Bytes()
}

// answerOf is what came back.
type answerOf struct {
	status  int
	header  http.Header
	body    []byte
	code    string // of an error
	message string
}

// send gives the bytes of a request to the Server. ok is false if they are not
// a request at all.
func (r *rig) send(raw []byte) (answer answerOf, ok bool) {
	r.t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return answerOf{}, false
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	answer = answerOf{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
	var e xmlError
	if xml.Unmarshal(answer.body, &e) == nil {
		answer.code, answer.message = e.Error.Code, e.Error.Message
	}
	var j struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if answer.header.Get("Content-Type") == jsonType && json.Unmarshal(answer.body, &j) == nil {
		answer.code, answer.message = j.Type, j.Message
	}
	return answer, true
}

func (r *rig) do(a ask) answerOf {
	r.t.Helper()
	answer, ok := r.send(r.wire(a))
	if !ok {
		r.t.Fatal("the request cannot be read back")
	}
	return answer
}

// call carries out an action that must succeed, and decodes its result.
func (r *rig) call(who identity, result any, action string, more ...string) {
	r.t.Helper()
	answer := r.do(ask{who: who, params: params(action, more...)})
	if answer.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s: %s", action, answer.status, answer.code, answer.message)
	}
	if result == nil {
		return
	}
	if err := xml.Unmarshal(answer.body, result); err != nil {
		r.t.Fatalf("%s: %v in %s", action, err, answer.body)
	}
}

// refused carries out an action that must be refused, and returns its answer.
func (r *rig) refused(who identity, action string, more ...string) answerOf {
	r.t.Helper()
	answer := r.do(ask{who: who, params: params(action, more...)})
	if answer.code == "" {
		r.t.Fatalf("%s: %d, want a refusal: %s", action, answer.status, answer.body)
	}
	return answer
}

// issued are credentials in a response.
type issued struct {
	Credentials xmlCredentials `xml:"GetSessionTokenResult>Credentials"`
	Assumed     xmlCredentials `xml:"AssumeRoleResult>Credentials"`
	ARN         string         `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
	Packed      int            `xml:"AssumeRoleResult>PackedPolicySize"`
	Source      string         `xml:"AssumeRoleResult>SourceIdentity"`
}

func (c xmlCredentials) identity() identity {
	return identity{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

// expires returns the expiration that a response names.
func (c xmlCredentials) expires(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, c.Expiration)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// session returns a session of a user made with an MFA code.
func (r *rig) session(name string) identity {
	r.t.Helper()
	var got issued
	r.call(r.key(name), &got, "GetSessionToken", "SerialNumber", r.serial(name), "TokenCode", r.freshCode(name))
	return got.Credentials.identity()
}

// plainSession returns a session made without MFA.
func (r *rig) plainSession(name string) identity {
	r.t.Helper()
	var got issued
	r.call(r.key(name), &got, "GetSessionToken")
	return got.Credentials.identity()
}

func roleARN(name string) string {
	if name == "audit" {
		return "arn:aws:iam::444455556666:role/team/audit"
	}
	return "arn:aws:iam::111122223333:role/" + name
}

// assume returns a session of a role.
func (r *rig) assume(who identity, role string, more ...string) issued {
	r.t.Helper()
	var got issued
	r.call(who, &got, "AssumeRole", append([]string{"RoleArn", roleARN(role), "RoleSessionName", "work"}, more...)...)
	return got
}

// arnOf returns whom the account takes credentials for.
func (r *rig) arnOf(who identity) string {
	r.t.Helper()
	var got struct {
		Arn string `xml:"GetCallerIdentityResult>Arn"`
	}
	r.call(who, &got, "GetCallerIdentity")
	return got.Arn
}

func (r *rig) set(settings ...string) {
	r.t.Helper()
	if err := r.Set(settings...); err != nil {
		r.t.Fatal(err)
	}
}

// want checks an answer against a code, a status and a text.
func (a answerOf) want(t *testing.T, code string, status int, text string) {
	t.Helper()
	if a.code != code || a.status != status || a.message != text {
		t.Errorf("got %d %s %q,\nwant %d %s %q", a.status, a.code, a.message, status, code, text)
	}
}
