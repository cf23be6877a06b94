// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hour is an expiration that fits the hour that mint asks for.
func hour() string { return expiration(time.Now().Add(time.Hour)) }

// drop ends the connection without an answer, or after half of one.
func drop(half string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		// The peer may be gone: that is the point.
		_, _ = io.WriteString(buf, half)
		_ = buf.Flush()
		_ = conn.Close()
	}
}

// endless writes text until the peer gives up, or 100 MiB are written.
func endless(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte(text), 1+(64<<10)/len(text))
		for written := 0; written < 100<<20; written += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

// bomb answers with a small gzip file of a document over the limit.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	chunk := make([]byte, maxBody)
	for range 8 {
		if _, err := z.Write(chunk); err != nil {
			return
		}
	}
	// The peer may be gone.
	_ = z.Close()
}

func TestP46AnswersAreBoundedAndChecked(t *testing.T) {
	deep := strings.Repeat("<a>", 300_000)
	credentials := session(hour())
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"empty", answer(200, ""), codeGarbage},
		{"garbage", answer(200, "\x00\xff\xfe no XML"), codeGarbage},
		{"html with status 200", answer(200, "<html><body>Please log in</body></html>"), codeGarbage},
		{"html with status 502", answer(502, "<html>Bad gateway</html>"), codeGarbage},
		{"json", answer(200, `{"Credentials":{}}`), codeGarbage},
		{"error without a code", answer(403, "<ErrorResponse><Error></Error></ErrorResponse>"), codeGarbage},
		{"error of garbage", answer(403, "\x00"), codeGarbage},
		{"huge", endless("<a>x</a>"), codeGarbage},
		{"huge error", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400); endless("x")(w, r) }, codeGarbage},
		{"gzip bomb", bomb, codeGarbage},
		{"deep", answer(200, deep), codeGarbage},
		{"deep in the result", answer(200, "<GetSessionTokenResponse><GetSessionTokenResult>"+deep), codeGarbage},
		{"deep error", answer(403, "<ErrorResponse><Error>"+deep), codeGarbage},
		{"cut short in the document", answer(200, credentials[:len(credentials)/2]), codeGarbage},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, codeGarbage},
		{"redirect that keeps the method", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", 307) }, codeGarbage},
		{"no expiration", answer(200, session("")), codeGarbage},
		{"expiration of garbage", answer(200, session("<Expiration>soon</Expiration>")), codeGarbage},
		{"expired", answer(200, session(expiration(time.Now().Add(-time.Minute)))), codeGarbage},
		{"a session for ever", answer(200, session("<Expiration>2999-01-01T00:00:00Z</Expiration>")), codeGarbage},
		{"no session token", answer(200, strings.Replace(session(hour()), testToken, "", 1)), codeGarbage},
		{"line break in the token", answer(200, strings.Replace(session(hour()), testToken, "a\nb", 1)), codeGarbage},
		{"token over the limit", answer(200, strings.Replace(session(hour()), testToken, strings.Repeat("t", 9000), 1)), codeGarbage},
		{"long-lived key", answer(200, strings.Replace(session(hour()), "ASIA", "AKIA", 1)), codeGarbage},
		{"dropped before the answer", drop(""), codeUnreachable},
		{"dropped in the head", drop("HTTP/1.1 200 OK\r\nContent-"), codeUnreachable},
		{"dropped in the body", drop("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n<GetSession"), codeUnreachable},
		{"not HTTP", drop("SSH-2.0-OpenSSH_9.2\r\n"), codeUnreachable},
		{"a head without end", drop("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), codeUnreachable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, requests := serve(t, test.handler)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := mint(t.Context(), c)
			runtime.ReadMemStats(&after)
			e := wantError(t, err, test.want)
			if got.AccessKeyID != "" || !got.SecretAccessKey.IsZero() {
				t.Error("credentials came with the error")
			}
			if !e.Sent {
				t.Error("Sent is false though the server had the request")
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("the code was sent %d times, want once", n)
			}
			if len(e.Error()) > 700 || strings.ContainsAny(e.Error(), "\n\r\x00\x1b") {
				t.Errorf("the error is not one short line: %q", e.Error())
			}
			// Both sides of the exchange are in this process. What must not
			// happen is a body of 100 MiB in memory.
			if grown := after.HeapSys - before.HeapSys; after.HeapSys > before.HeapSys && grown > 64<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
		})
	}
}

func TestP46AnotherAccountIsNotBelieved(t *testing.T) {
	assumed := func(arn string) string {
		body := strings.NewReplacer("GetSessionToken", "AssumeRole").Replace(session(hour()))
		return strings.Replace(body, "</Credentials>", "</Credentials><AssumedRoleUser><Arn>"+arn+"</Arn></AssumedRoleUser>", 1)
	}
	identity := func(account, arn string) string {
		return "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>" + arn + "</Arn><UserId>AIDA1</UserId><Account>" + account +
			"</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
	}
	tests := []struct{ name, body string }{
		{"role of another account", assumed("arn:aws:sts::444455556666:assumed-role/deploy/ann")},
		{"role of another partition", assumed("arn:aws-cn:sts::111122223333:assumed-role/deploy/ann")},
		{"role without an ARN", assumed("")},
		{"role without a user", strings.ReplaceAll(session(hour()), "GetSessionToken", "AssumeRole")},
		{"identity that contradicts itself", identity("111122223333", "arn:aws:iam::444455556666:user/ann")},
		{"identity without an account", identity("", "arn:aws:iam::111122223333:user/ann")},
		{"identity of garbage", identity("111122223333", "ann")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, _ := serve(t, answer(200, test.body))
			var err error
			if strings.HasPrefix(test.name, "role") {
				var got any
				got, err = c.Temporary(testSession).AssumeRole(t.Context(), AssumeRoleInput{RoleARN: testRole, RoleSessionName: "ann", DurationSeconds: 3600})
				if text := fmt.Sprint(got); strings.Contains(text, "ASIA") {
					t.Errorf("credentials came with the error: %s", text)
				}
			} else {
				_, err = c.LongLived(testKeys).GetCallerIdentity(t.Context())
			}
			wantError(t, err, codeGarbage)
		})
	}
}

func TestP46AListThatDoesNotEnd(t *testing.T) {
	c, requests := serve(t, answer(200, `<ListMFADevicesResponse><ListMFADevicesResult><MFADevices><member><SerialNumber>x</SerialNumber></member></MFADevices>`+
		`<IsTruncated>true</IsTruncated><Marker>again</Marker></ListMFADevicesResult></ListMFADevicesResponse>`))
	_, err := c.LongLived(testKeys).ListMFADevices(t.Context(), "ann")
	wantError(t, err, codeGarbage)
	if n := requests.Load(); n != maxPages {
		t.Errorf("asked for %d pages, want %d", n, maxPages)
	}
}

func TestF28RepeatsAreFewAndNeverCarryACode(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		code    string
		want    int32 // requests of a call without a code
	}{
		{"throttled", refuse(400, "Throttling", "Rate exceeded"), codeThrottled, 3},
		{"throttled with status 429", refuse(429, "Whatever", "Slow down"), codeThrottled, 3},
		{"internal failure", refuse(500, "InternalFailure", "We encountered an internal error."), codeUnavailable, 3},
		{"unavailable", refuse(503, "ServiceUnavailable", "Service Unavailable"), codeUnavailable, 3},
		{"a proxy's error page", answer(502, "<html>"), codeGarbage, 3},
		{"dropped", drop(""), codeUnreachable, 3},
		{"denied", refuse(403, "AccessDenied", "no"), codeDenied, 1},
		{"garbage", answer(200, "x"), codeGarbage, 1},
		{"come back in a minute", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "60")
			refuse(400, "Throttling", "Rate exceeded")(w, r)
		}, codeThrottled, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, requests := serve(t, test.handler)
			_, err := c.LongLived(testKeys).GetCallerIdentity(t.Context())
			wantError(t, err, test.code)
			if n := requests.Load(); n != test.want {
				t.Errorf("GetCallerIdentity was sent %d times, want %d", n, test.want)
			}
			requests.Store(0)
			_, err = mint(t.Context(), c)
			wantError(t, err, test.code)
			_, err = c.Temporary(testSession).AssumeRole(t.Context(), AssumeRoleInput{
				RoleARN: testRole, RoleSessionName: "ann", DurationSeconds: 900, SerialNumber: testSerial, TokenCode: testCode,
			})
			if test.code == codeDenied {
				wantError(t, err, codeRoleDenied)
			} else {
				wantError(t, err, test.code)
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("two calls with a code were sent %d times", n)
			}
		})
	}
}

func TestF29SlowAnswersEndInTime(t *testing.T) {
	stall := make(chan struct{})
	t.Cleanup(func() { close(stall) })
	tests := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"no answer", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stall:
			case <-r.Context().Done():
			}
		}},
		{"byte by byte", func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				// It fails when the peer is gone, and then so does the write.
				_ = http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, requests := serve(t, test.handler)
			if c.limit != 15*time.Second {
				t.Errorf("the limit is %v, want 15s", c.limit)
			}
			c.limit = time.Second // in which a busy machine gets as far as sending
			_, err := c.LongLived(testKeys).GetCallerIdentity(t.Context())
			e := wantError(t, err, codeSlow)
			if !errors.Is(e, context.DeadlineExceeded) || !e.Sent || e.Message != "no answer in time" {
				t.Errorf("error is %#v", e)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("sent %d times, want once: the limit is for all tries", n)
			}
		})
	}
}

func TestCallerMayGiveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := mint(ctx, c)
	if e := wantError(t, err, codeUnreachable); !errors.Is(e, context.Canceled) || !e.Sent {
		t.Errorf("error is %#v, want one that is context.Canceled, sent", e)
	}
}

func TestUnsentCodesAreToldApart(t *testing.T) {
	_, err := mint(t.Context(), mustNew(t, testOptions(closedPort(t))))
	if e := wantError(t, err, codeUnreachable); e.Sent {
		t.Error("Sent is true though nobody listens")
	}
	// A server that takes the connection and does not speak TLS.
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err = mint(t.Context(), mustNew(t, testOptions(strings.Replace(s.URL, "http:", "https:", 1))))
	if e := wantError(t, err, codeUnreachable); e.Sent {
		t.Error("Sent is true though the TLS handshake failed")
	}
}
