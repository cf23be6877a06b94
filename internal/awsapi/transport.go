// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

// maxBody is the longest answer that is read, in bytes. The longest real one,
// a role session with a large token, is under 16 KiB.
const maxBody = 1 << 20

// connectLimit bounds the dial, and the TLS handshake after it.
const connectLimit = 5 * time.Second

// transport is an HTTP client that takes nothing from the environment, follows
// no redirect, asks for no compression and reads no more than maxBody, or what
// the exchange allows. HTTP/2 and kept connections are off: a request is then
// written once or not at all, and no goroutine outlives a call.
type transport struct {
	client    http.Client
	userAgent string
}

func newTransport(o Options) (*transport, error) {
	roots, err := readCABundle(o.CABundle, o.Now())
	if err != nil {
		return nil, err
	}
	proxy, err := proxyFunc(o.HTTPSProxy)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: connectLimit}
	return &transport{
		userAgent: o.UserAgent,
		client: http.Client{
			Transport: &http.Transport{
				Proxy:                  proxy,
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
				TLSHandshakeTimeout:    connectLimit,
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: 64 << 10,
				OnProxyConnectResponse: refusedByProxy,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// exchange is what one HTTP exchange left behind, for those above the SDK.
type exchange struct {
	sent       atomic.Bool   // a connection was there: bytes may have been written
	status     int           // 0 = no answer
	date       time.Time     // zero = the answer had none
	requestID  string        // AWS's, for its support
	retryAfter time.Duration // 0 = AWS named none
	most       int64         // bytes of the answer's body that are read; 0 = maxBody
}

type exchangeKey struct{}

// withExchange returns a context whose next request is recorded in x.
func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// How an answer can fail after its head.
var (
	errTooLarge = errors.New("the answer is longer than any of AWS")
	errCutShort = errors.New("the answer was cut short")
)

// Do implements the SDK's HTTPClient. The answer's body is read whole before
// Do returns, so that no decoder works on bytes that may still fail to come.
func (t *transport) Do(r *http.Request) (*http.Response, error) {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x == nil {
		x = &exchange{}
	}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.sent.Store(true) },
	}))
	// The SDK would name the machine's AWS_EXECUTION_ENV, and a trace ID of
	// the Lambda environment, neither of which is signed.
	r.Header.Set("User-Agent", t.userAgent)
	r.Header.Del("X-Amzn-Trace-Id")
	resp, err := t.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	x.note(resp)
	most := cmp.Or(x.most, maxBody)
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCutShort, err)
	}
	if int64(len(body)) > most {
		return nil, errTooLarge
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (x *exchange) note(resp *http.Response) {
	x.status = resp.StatusCode
	x.requestID = clean(resp.Header.Get("X-Amzn-Requestid"), 64)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		x.date = date
	}
	x.retryAfter = retryAfter(resp.Header.Get("Retry-After"), x.date)
}

// retryAfter reads a Retry-After of either form, up to a minute; now is the
// clock of who sent it. https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
func retryAfter(text string, now time.Time) time.Duration {
	d := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		d = time.Duration(min(seconds, 60)) * time.Second
	} else if date, err := http.ParseTime(text); err == nil && !now.IsZero() {
		d = date.Sub(now)
	}
	return min(max(d, 0), time.Minute)
}
