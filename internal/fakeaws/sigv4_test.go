// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules of the signing guide for queries and escapes.
func TestCanonicalQueryAndEscape(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, want string }{
		{"", ""},
		{"b=2&a=1", "a=1&b=2"},
		{"a", "a="},
		{"a=1&a=0", "a=0&a=1"},
		{"k=a+b", "k=a%20b"},
		{"k=%7e%2f%e1%88%b4", "k=~%2F%E1%88%B4"},
		{"broken=%zz", "broken=%zz"},
	} {
		if got := canonicalQuery(tt.raw); got != tt.want {
			t.Errorf("canonicalQuery(%q) = %q, want %q", tt.raw, got, tt.want)
		}
	}
	if got, want := escape("/a b/é", true), "/a%20b/%C3%A9"; got != want {
		t.Errorf("escape = %q, want %q", got, want)
	}
}

func TestSignedRequestsAreAccepted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct {
		name string
		ask  ask
	}{
		{"POST", ask{who: r.key("ann"), params: params("GetCallerIdentity")}},
		{"GET with a query", ask{who: r.key("ann"), method: http.MethodGet, params: params("GetCallerIdentity")}},
		{"another Region", ask{who: r.key("ann"), params: params("GetCallerIdentity"), region: "ap-southeast-7"}},
		{"IAM", ask{who: r.key("ann"), params: params("GetUser")}},
		{"a session", ask{who: r.session("ann"), params: params("GetCallerIdentity")}},
		{"blanks inside a signed header", ask{who: r.key("ann"), params: params("GetCallerIdentity"), headers: map[string]string{"X-Amz-Note": "a  b   c"}}},
		{"15 minutes behind", ask{who: r.key("ann"), params: params("GetCallerIdentity"), at: epoch.Add(-14 * time.Minute)}},
		{"15 minutes ahead", ask{who: r.key("ann"), params: params("GetCallerIdentity"), at: epoch.Add(15 * time.Minute)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := r.do(tt.ask); a.status != http.StatusOK {
				t.Errorf("%d %s: %s", a.status, a.code, a.message)
			}
		})
	}
}

// flippable are the requests whose every signed byte is flipped.
func (r *rig) flippable() map[string][]byte {
	return map[string][]byte{
		"long-lived key": r.wire(ask{who: r.key("ann"), params: params("GetCallerIdentity")}),
		"query":          r.wire(ask{who: r.key("ann"), method: http.MethodGet, params: params("GetCallerIdentity")}),
		"session":        r.wire(ask{who: r.session("ann"), params: params("GetUser", "UserName", "ann"), headers: map[string]string{"X-Amz-Note": "x"}}),
	}
}

// signedBytes returns the positions of the bytes that the signature covers:
// the method, the target, each signed header, the Authorization header and the
// body. Ends of lines, and the blank after a header's colon, mean nothing.
func signedBytes(t testing.TB, raw []byte) []int {
	t.Helper()
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("not a request: %q", raw)
	}
	authorization := regexpFind(t, string(head), "SignedHeaders=", ",")
	var at []int
	offset := 0
	for i, line := range strings.Split(string(head), "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		lower := strings.ToLower(name)
		length := len(line)
		if i == 0 {
			length = strings.LastIndex(line, " HTTP/") // the version is not signed
		}
		if i == 0 || lower == "authorization" || slices.Contains(strings.Split(authorization, ";"), lower) {
			for j := range length {
				if i == 0 || j != len(name)+1 {
					at = append(at, offset+j)
				}
			}
		}
		offset += len(line) + 2
	}
	for j := range body {
		at = append(at, len(head)+4+j)
	}
	return at
}

func regexpFind(t testing.TB, text, after, before string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, after)
	value, _, ok2 := strings.Cut(rest, before)
	if !ok || !ok2 {
		t.Fatalf("no %s in %q", after, text)
	}
	return value
}

// sameRequest reports whether two requests differ in the case of header names
// only, which HTTP does not distinguish.
func sameRequest(a, b []byte) bool {
	fold := func(raw []byte) string {
		head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		for i, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ":")
			lines[i+1] = strings.ToLower(name) + ":" + value
		}
		return strings.Join(lines, "\n") + "\n\n" + body
	}
	return fold(a) == fold(b)
}

func TestFlippedByteIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, raw := range r.flippable() {
		t.Run(name, func(t *testing.T) {
			if a, ok := r.send(raw); !ok || a.status != http.StatusOK {
				t.Fatalf("unchanged: %d %s: %s", a.status, a.code, a.message)
			}
			positions := signedBytes(t, raw)
			if len(positions) < 300 {
				t.Fatalf("only %d signed bytes in %q", len(positions), raw)
			}
			for _, at := range positions {
				for bit := range 8 {
					checkFlipped(t, r, raw, at, 1<<bit)
				}
			}
		})
	}
}

func checkFlipped(t *testing.T, r *rig, raw []byte, at int, mask byte) {
	t.Helper()
	flipped := slices.Clone(raw)
	flipped[at] ^= mask
	if mask == 0 || sameRequest(raw, flipped) {
		return
	}
	if a, ok := r.send(flipped); ok && a.status == http.StatusOK {
		t.Errorf("accepted with byte %d %q turned into %q: %q", at, raw[at], flipped[at], flipped)
	}
}

func FuzzFlippedByte(f *testing.F) {
	for _, at := range []uint16{0, 5, 40, 200, 300, 450} {
		f.Add(at, byte(0x20), "session")
		f.Add(at, byte(0xff), "query")
	}
	f.Fuzz(func(t *testing.T, at uint16, mask byte, name string) {
		r := newRig(t)
		raw, ok := r.flippable()[name]
		if !ok {
			return
		}
		positions := signedBytes(t, raw)
		checkFlipped(t, r, raw, positions[int(at)%len(positions)], mask)
	})
}

func TestSignatureRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, identityParams := r.key("ann"), params("GetCallerIdentity")
	mismatch := known[codeSignature].message
	rewrite := func(old, to string) func(*http.Request) {
		return func(req *http.Request) {
			auth := req.Header.Get("Authorization")
			if !strings.Contains(auth, old) {
				t.Fatalf("no %s in %s", old, auth)
			}
			req.Header.Set("Authorization", strings.Replace(auth, old, to, 1))
		}
	}
	for _, tt := range []struct {
		name string
		ask  ask
		code string
		http int
		text string
	}{
		{"no authentication", ask{bend: func(req *http.Request) { req.Header.Del("Authorization") }}, codeMissingToken, 403, "Request is missing Authentication Token"},
		{"another algorithm", ask{bend: rewrite("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")}, codeIncomplete, 400, known[codeIncomplete].message},
		{"no signature", ask{bend: rewrite("Signature=", "Sig=")}, codeIncomplete, 400, "Authorization header requires 'Signature' parameter. "},
		{"no credential", ask{bend: rewrite("Credential=", "Cred=")}, codeIncomplete, 400, "Authorization header requires 'Credential' parameter. "},
		{"unsorted headers", ask{bend: rewrite("content-type;host", "host;content-type")}, codeSignature, 403, mismatch},
		{"wrong secret", ask{who: identity{AccessKeyID: ann.AccessKeyID, SecretAccessKey: "wrong"}}, codeSignature, 403, mismatch},
		{"host not signed", ask{bend: rewrite("content-type;host;", "content-type;")}, codeSignature, 403, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"date not signed", ask{bend: rewrite(";x-amz-date", "")}, codeSignature, 403, "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization."},
		{"unsigned amz header", ask{bend: func(req *http.Request) { req.Header.Set("X-Amz-Meta", "x") }}, codeSignature, 403, "'x-amz-meta' must be a 'SignedHeader' in the AWS Authorization."},
		{"signed header absent", ask{headers: map[string]string{"X-Amz-Note": "x"}, bend: func(req *http.Request) { req.Header.Del("X-Amz-Note") }}, codeSignature, 403, mismatch},
		{"no date", ask{bend: func(req *http.Request) { req.Header.Del("X-Amz-Date") }}, codeIncomplete, 400, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "},
		{"broken date", ask{bend: func(req *http.Request) { req.Header.Set("X-Amz-Date", "today") }}, codeIncomplete, 400, "Date must be in ISO-8601 'basic format'. Got 'today'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"wrong payload hash", ask{headers: map[string]string{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}}, codeSignature, 403, mismatch},
		{"wrong service", ask{service: "s3"}, codeSignature, 403, "Credential should be scoped to correct service: 'sts'. "},
		{"STS action signed for IAM", ask{service: "iam"}, codeSignature, 403, "Credential should be scoped to correct service: 'sts'. "},
		{"unknown Region", ask{region: "mars-north-1"}, codeSignature, 403, "Credential should be scoped to a valid region, not 'mars-north-1'. "},
		{"Region of another partition", ask{region: "cn-north-1"}, codeSignature, 403, "Credential should be scoped to a valid region, not 'cn-north-1'. "},
		{"IAM outside its Region", ask{params: params("GetUser"), region: "eu-west-1"}, codeSignature, 403, "Credential should be scoped to a valid region, not 'eu-west-1'. "},
		{"wrong terminator", ask{bend: rewrite("aws4_request", "aws5_request")}, codeSignature, 403, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'."},
		{"scope of another day", ask{bend: rewrite("/20260304/", "/20260303/")}, codeSignature, 403, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260303' != '20260304', from '20260304T050607Z'."},
		{"late", ask{at: epoch.Add(-15*time.Minute - time.Second)}, codeSignature, 403, "Signature expired: 20260304T045106Z is now earlier than 20260304T045107Z (20260304T050607Z - 15 min.)"},
		{"early", ask{at: epoch.Add(15*time.Minute + time.Second)}, codeSignature, 403, "Signature not yet current: 20260304T052108Z is still later than 20260304T052107Z (20260304T050607Z + 15 min.)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ask.who.AccessKeyID == "" {
				tt.ask.who = ann
			}
			if tt.ask.params == nil {
				tt.ask.params = identityParams
			}
			r.do(tt.ask).want(t, tt.code, tt.http, tt.text)
		})
	}
}

func TestKeyAndTokenRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, session, other := r.key("ann"), r.session("ann"), r.session("bob")
	const invalid = "The security token included in the request is invalid."
	with := func(id identity, token string) identity { id.SessionToken = token; return id }
	for _, tt := range []struct {
		name string
		who  identity
	}{
		{"unknown key", identity{AccessKeyID: "AKIARTX3GSDSAAAAAAAA", SecretAccessKey: "x"}},
		{"inactive key", r.key("dan")},
		{"long-lived key with a token", with(ann, session.SessionToken)},
		{"session without its token", with(session, "")},
		{"session with the token of another", with(session, other.SessionToken)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.refused(tt.who, "GetCallerIdentity").want(t, codeInvalidToken, 403, invalid)
		})
	}
	t.Run("states", func(t *testing.T) {
		for _, id := range []identity{ann, session} {
			for _, state := range []string{"Inactive", "deleted"} {
				r.set("key." + id.AccessKeyID + "=" + state)
				r.refused(id, "GetCallerIdentity").want(t, codeInvalidToken, 403, invalid)
			}
			r.set("key." + id.AccessKeyID + "=Active")
			r.call(id, nil, "GetCallerIdentity")
		}
		if got, want := len(mustUser(t, r, "ann").AccessKeys), 1; got != want {
			t.Errorf("ann has %d keys, want %d", got, want)
		}
		r.set("key." + ann.AccessKeyID + "=deleted")
		if got := mustUser(t, r, "ann").AccessKeys; len(got) != 0 {
			t.Errorf("a deleted key is still listed: %v", got)
		}
		if a := r.refused(ann, "GetCallerIdentity"); a.code != codeInvalidToken {
			t.Errorf("deleted: %s", a.code)
		}
		r.call(session, nil, "GetCallerIdentity") // a session outlives its key
	})
	t.Run("expired", func(t *testing.T) {
		r.clock.advance(12*time.Hour + time.Minute)
		r.refused(session, "GetCallerIdentity").want(t, codeExpiredToken, 403, "The security token included in the request is expired")
	})
}

func mustUser(t *testing.T, r *rig, name string) User {
	t.Helper()
	u, ok := r.User(name)
	if !ok {
		t.Fatalf("no user %s", name)
	}
	return u
}

func TestRequestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.key("ann")
	for _, tt := range []struct {
		name string
		ask  ask
		code string
		http int
	}{
		{"no action", ask{params: map[string][]string{"Version": {sts.version}}}, "MissingAction", 400},
		{"unknown action", ask{params: params("GetFederationToken")}, codeInvalidAction, 400},
		{"IAM action at STS", ask{params: params("GetUser", "Version", sts.version)}, codeInvalidAction, 400},
		{"unknown version", ask{params: params("GetCallerIdentity", "Version", "2001-01-01")}, "NoSuchVersion", 400},
		{"not a form", ask{params: params("GetCallerIdentity"), headers: map[string]string{"Content-Type": "application/json"}}, "MissingAction", 400},
		{"another method", ask{params: params("GetCallerIdentity"), method: http.MethodPut}, "MethodNotAllowed", 405},
		{"another path", ask{params: params("GetCallerIdentity"), bend: func(req *http.Request) { req.URL.Path = "/iam" }}, codeInvalidAction, 404},
		{"broken form", ask{params: params("GetCallerIdentity"), bend: func(req *http.Request) {
			req.Body, req.ContentLength = http.NoBody, 0
			req.URL.RawQuery = "a=%zz"
			req.Method = http.MethodGet
		}}, "MalformedQueryString", 400},
		{"too long", ask{params: params("GetCallerIdentity", "Padding", strings.Repeat("x", maxBody))}, "RequestEntityTooLarge", 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.ask.who = ann
			a := r.do(tt.ask)
			if a.code != tt.code || a.status != tt.http {
				t.Errorf("got %d %s %q, want %d %s", a.status, a.code, a.message, tt.http, tt.code)
			}
		})
	}
	unknown := r.do(ask{who: ann, params: params("GetFederationToken")})
	if want := "Could not find operation GetFederationToken for version 2011-06-15"; unknown.message != want {
		t.Errorf("got %q, want %q", unknown.message, want)
	}
	if n := fmt.Sprint(len(r.Log())); n != "10" {
		t.Errorf("%s requests in the log, want 10: refused ones count too", n)
	}
}

// Whatever arrives without a signature of ours is refused, and logged.
func FuzzUnsignedRequest(f *testing.F) {
	f.Add("POST", "/", "AWS4-HMAC-SHA256 Credential=AKIAX/20260304/us-east-1/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), "20260304T050607Z", "Action=GetCallerIdentity&Version=2011-06-15")
	f.Add("GET", "/?Action=GetUser&Version=2010-05-08", "", "", "")
	f.Add("POST", "/", "AWS4-HMAC-SHA256 Credential=//// , SignedHeaders=;, Signature=", "99999999T999999Z", "Action=AssumeRole&Version=2011-06-15&Tags.member.1.Key=%00&TokenCode=123456")
	f.Fuzz(func(t *testing.T, method, target, auth, date, body string) {
		r := newRig(t)
		raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nX-Amz-Date: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
			method, target, auth, date, len(body), body)
		a, ok := r.send([]byte(raw))
		if !ok || strings.HasPrefix(target, ControlPath) || a.status == http.StatusFound {
			return
		}
		if a.status < 400 || a.code == "" && method != http.MethodHead {
			t.Errorf("%d for %q", a.status, raw)
		}
		if len(r.Log()) != 1 {
			t.Errorf("%d entries in the log", len(r.Log()))
		}
	})
}
