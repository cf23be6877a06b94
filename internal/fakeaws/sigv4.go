// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 4, verified as the signing guide describes it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
const (
	algorithm     = "AWS4-HMAC-SHA256"
	terminator    = "aws4_request"
	amzDateLayout = "20060102T150405Z"
	headerDate    = "x-amz-date"
	headerToken   = "x-amz-security-token"
	headerTarget  = "x-amz-target"
)

func amzDate(t time.Time) string { return t.UTC().Format(amzDateLayout) }

// authorization is a parsed Authorization header.
type authorization struct {
	accessKeyID string
	date        string // yyyymmdd
	region      string
	service     string
	terminator  string
	signed      []string // names of the signed headers, lower case, sorted
	signature   string   // lower case hex
}

var authorizationForm = regexp.MustCompile(`^` + algorithm +
	` Credential=([A-Za-z0-9]+)/([^/, ]*)/([^/, ]*)/([^/, ]*)/([^/, ]*), ?SignedHeaders=([a-z0-9;_-]+), ?Signature=([0-9a-f]{64})$`)

// parseAuthorization reads the Authorization header of a request that has one.
func parseAuthorization(header string) (authorization, *apiError) {
	if header == "" {
		return authorization{}, refusal(codeMissingToken)
	}
	m := authorizationForm.FindStringSubmatch(header)
	if m == nil {
		return authorization{}, incomplete(header)
	}
	a := authorization{
		accessKeyID: m[1], date: m[2], region: m[3], service: m[4], terminator: m[5],
		signed: strings.Split(m[6], ";"), signature: m[7],
	}
	if !slices.IsSorted(a.signed) || len(slices.Compact(slices.Clone(a.signed))) != len(a.signed) {
		return authorization{}, refusal(codeSignature)
	}
	return a, nil
}

// incomplete says what a malformed header lacks. Unlike AWS it does not quote
// the header.
func incomplete(header string) *apiError {
	var missing strings.Builder
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if !strings.Contains(header, name+"=") {
			missing.WriteString("Authorization header requires '" + name + "' parameter. ")
		}
	}
	if missing.Len() == 0 {
		return refusal(codeIncomplete)
	}
	return refusef(codeIncomplete, "%s", missing.String())
}

// checkScope refuses a signature that was made for another service, Region or
// day, or at a time too far from now.
func (a authorization) checkScope(r *http.Request, svc service, p partition, now time.Time) *apiError {
	if err := a.checkSigned(r); err != nil {
		return err
	}
	stamp := r.Header.Get(headerDate)
	signed, err := time.Parse(amzDateLayout, stamp)
	if err != nil {
		return refusef(codeIncomplete, "Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", stamp)
	}
	switch {
	case a.terminator != terminator:
		return refusef(codeSignature, "Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, a.terminator)
	case a.service != svc.name:
		return refusef(codeSignature, "Credential should be scoped to correct service: '%s'. ", svc.name)
	case !slices.Contains(p.regions(svc), a.region):
		return refusef(codeSignature, "Credential should be scoped to a valid region, not '%s'. ", a.region)
	case a.date != stamp[:8]:
		return refusef(codeSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", a.date, stamp[:8], stamp)
	}
	return skewed(signed, now)
}

// checkSigned refuses a request in which a header that decides who calls, or
// when, could be changed without breaking the signature.
func (a authorization) checkSigned(r *http.Request) *apiError {
	if r.Header.Get(headerDate) == "" {
		return refusef(codeIncomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if !slices.Contains(a.signed, "host") {
		return refusef(codeSignature, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(a.signed, name) {
			return refusef(codeSignature, "'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

// verify compares the signature with the one that the secret gives.
func (a authorization) verify(r *http.Request, body []byte, secretAccessKey string) *apiError {
	digest := sha256.Sum256(body)
	payload := hex.EncodeToString(digest[:])
	if claimed := r.Header.Get("x-amz-content-sha256"); claimed != "" && claimed != payload {
		return refusal(codeSignature)
	}
	canonical := sha256.Sum256([]byte(a.canonicalRequest(r, payload)))
	scope := strings.Join([]string{a.date, a.region, a.service, a.terminator}, "/")
	text := strings.Join([]string{algorithm, r.Header.Get(headerDate), scope, hex.EncodeToString(canonical[:])}, "\n")

	key := []byte("AWS4" + secretAccessKey)
	for _, part := range []string{a.date, a.region, a.service, a.terminator, text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(key)), []byte(a.signature)) != 1 {
		return refusal(codeSignature)
	}
	return nil
}

func (a authorization) canonicalRequest(r *http.Request, payload string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(path, true) + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range a.signed {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(a.signed, ";") + "\n" + payload)
	return b.String()
}

// headerValue returns the canonical value of a header. The server moves Host
// and Content-Length out of the header map.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(values, ",")
}

// canonicalQuery sorts and escapes a query string. One that does not parse is
// returned as it is: no signer produces it.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs []string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return raw
		}
		pairs = append(pairs, escape(n, false)+"="+escape(v, false))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is the URI encoding of Signature Version 4: everything but
// A-Za-z0-9-_.~ as upper case %XX; slashes stay in a path.
func escape(s string, slash bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte("-_.~", c) >= 0, c == '/' && slash:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}
