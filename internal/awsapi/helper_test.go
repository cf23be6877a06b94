// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credbroker/credproc"
	"credbroker/internal/secret"
)

// The canaries stand for what must not show in an error.
const (
	testSecret = "canary/secret/access/key/canary/secret00"
	testToken  = "canary-session-token"
	testCode   = "123456"
	testSerial = "arn:aws:iam::111122223333:mfa/ann"
	testRole   = "arn:aws:iam::111122223333:role/deploy"
)

var testKeys = Keys{AccessKeyID: "AKIAQWERTYUIOPASDFGH", Secret: secret.New(testSecret)}

var testSession = credproc.Credentials{
	AccessKeyID:     "ASIAQWERTYUIOPASDFGH",
	SecretAccessKey: secret.New(testSecret),
	SessionToken:    secret.New(testToken),
	Expiration:      time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
}

func testOptions(endpoint string) Options {
	return Options{
		Region:         "eu-west-1",
		STSEndpointURL: endpoint,
		IAMEndpointURL: endpoint, CloudTrailEndpointURL: endpoint,
		Now:       time.Now,
		UserAgent: "broker/test",
	}
}

func mustNew(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.backoff = time.Millisecond
	return c
}

// serve returns a client of a server that answers with h, and the number of
// requests that the server has seen.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		// The server notices that a peer is gone only once it has the request.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return mustNew(t, testOptions(s.URL)), &requests
}

// answer is a handler for one body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// refuse is a handler for one error of AWS.
func refuse(status int, code, message string) http.HandlerFunc {
	return answer(status, fmt.Sprintf(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>`+
		`<Code>%s</Code><Message>%s</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`, code, message))
}

// session is the body of a good GetSessionToken answer that ends at expiration.
func session(expiration string) string {
	return `<GetSessionTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetSessionTokenResult><Credentials>` +
		`<AccessKeyId>ASIAQWERTYUIOPASDFGH</AccessKeyId><SecretAccessKey>` + testSecret + `</SecretAccessKey>` +
		`<SessionToken>` + testToken + `</SessionToken>` + expiration +
		`</Credentials></GetSessionTokenResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetSessionTokenResponse>`
}

func expiration(t time.Time) string {
	return "<Expiration>" + t.UTC().Format(time.RFC3339) + "</Expiration>"
}

// mint asks for a session of an hour, with a code.
func mint(ctx context.Context, c *Client) (credproc.Credentials, error) {
	return c.LongLived(testKeys).GetSessionToken(ctx, SessionTokenInput{
		SerialNumber: testSerial, TokenCode: testCode, DurationSeconds: 3600,
	})
}

// wantError checks the code of err, and that it tells nothing it must not.
func wantError(t *testing.T, err error, code string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want an *Error of code %s", err, code)
	}
	if e.Code != code {
		t.Errorf("code is %s, want %s (%v)", e.Code, code, e)
	}
	for _, canary := range []string{testSecret, testToken, testCode} {
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, canary) {
			t.Errorf("the error tells %q: %s", canary, text)
		}
	}
	return e
}

// closedPort returns the URL of a loopback port where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://" + l.Addr().String()
}

// canned is a network with one answer.
type canned struct {
	status int
	body   []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c.body)), Request: r}, nil
}
