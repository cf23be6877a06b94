// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestF31ReachTellsSTSFromOthers: nobody is asked for a code because a captive
// portal, a proxy or an STS in trouble has answered.
func TestF31ReachTellsSTSFromOthers(t *testing.T) {
	tests := []struct {
		name     string
		handler  http.HandlerFunc
		want     string // code; empty = reached
		requests int32
	}{
		{"STS", refuse(403, "MissingAuthenticationToken", "Request is missing Authentication Token"), "", 1},
		{"STS in other words", refuse(403, "InvalidClientTokenId", "The security token included in the request is invalid."), "", 1},
		{"a page", answer(200, "<html><body>Please log in</body></html>"), codeGarbage, 1},
		{"a page in XML", answer(200, `<?xml version="1.0"?><html><body><p>Please log in</p></body></html>`), codeGarbage, 1},
		{"a redirect to a page", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://portal.example/", http.StatusFound)
		}, codeGarbage, 1},
		{"nothing", answer(204, ""), codeGarbage, 1},
		{"a proxy's page", answer(502, "<html>Bad gateway</html>"), codeGarbage, 3},
		{"STS in trouble", refuse(503, "ServiceUnavailable", "Service Unavailable"), codeUnavailable, 3},
		{"STS under load", refuse(400, "Throttling", "Rate exceeded"), codeThrottled, 3},
		{"no date", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			refuse(403, "MissingAuthenticationToken", "")(w, r)
		}, codeGarbage, 1},
		{"dropped", drop(""), codeUnreachable, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, requests := serve(t, test.handler)
			began := time.Now()
			offset, err := c.Reach(t.Context())
			if test.want != "" {
				wantError(t, err, test.want)
			} else if err != nil || offset.Abs() > 2*time.Second+time.Since(began) {
				t.Errorf("Reach: %v, %v", offset, err)
			}
			if n := requests.Load(); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
	_, err := mustNew(t, testOptions(closedPort(t))).Reach(t.Context())
	wantError(t, err, codeUnreachable)
}

// TestF31HostThatIsNotThere: a setting of the profile has made up a host.
func TestF31HostThatIsNotThere(t *testing.T) {
	o := testOptions("")
	o.UseFIPS = true
	c := mustNew(t, o)
	c.http.client.Transport = failing{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
		Err: "no such host", Name: "sts-fips.eu-west-1.amazonaws.com", IsNotFound: true,
	}}}
	_, err := c.Reach(t.Context())
	e := wantError(t, err, codeUnreachable)
	if e.Sent || !strings.Contains(e.Message, "no host sts-fips.eu-west-1.amazonaws.com") || !strings.Contains(e.Hint(), "use_fips_endpoint") {
		t.Errorf("Sent %t, %q, hint %q", e.Sent, e.Message, e.Hint())
	}
	o.UseFIPS = false
	c = mustNew(t, o)
	c.http.client.Transport = failing{&net.DNSError{Err: "no such host", Name: "sts.eu-west-1.amazonaws.com", IsNotFound: true}}
	_, err = c.Reach(t.Context())
	if e := wantError(t, err, codeUnreachable); e.Hint() != "" {
		t.Errorf("without the setting the hint is %q", e.Hint())
	}
}

// failing is a network with one error.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestF28RetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"2":                             2 * time.Second,
		"-2":                            0,
		"99999999":                      time.Minute,
		"soon":                          0,
		"Wed, 04 Mar 2026 05:06:10 GMT": 3 * time.Second,
		"Wed, 04 Mar 2026 05:06:00 GMT": 0,
		"Thu, 04 Mar 2027 05:06:00 GMT": time.Minute,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", text, got, want)
		}
	}
}

// TestF28PausesAreJittered: all who were refused in one moment must not come
// back in one, and nobody before AWS asks them to.
func TestF28PausesAreJittered(t *testing.T) {
	c := mustNew(t, testOptions(""))
	c.backoff = firstBackoff
	for try, bound := range map[int]time.Duration{1: firstBackoff, 2: 2 * firstBackoff} {
		for _, asked := range []time.Duration{0, 3 * time.Second} {
			different := map[time.Duration]bool{}
			for range 100 {
				d := c.delay(try, &exchange{retryAfter: asked})
				if d <= asked || d > asked+bound+1 {
					t.Errorf("try %d, asked for %v: waits %v", try, asked, d)
				}
				different[d] = true
			}
			if len(different) < 50 {
				t.Errorf("try %d: %d different pauses of 100", try, len(different))
			}
		}
	}
}

// TestF28NoPauseBeyondTheEnd: an error that is certain does not wait for the
// time limit.
func TestF28NoPauseBeyondTheEnd(t *testing.T) {
	c, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "60")
		refuse(400, "Throttling", "Rate exceeded")(w, r)
	})
	c.limit = 50 * time.Second
	begin := time.Now()
	_, err := c.LongLived(testKeys).GetCallerIdentity(t.Context())
	wantError(t, err, codeThrottled)
	if n, took := requests.Load(), time.Since(begin); n != 1 || took > 25*time.Second {
		t.Errorf("%d requests in %v, want one and no pause", n, took)
	}
}
