// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// update is the flag -update: write the golden files anew.
var update = flag.Bool("update", false, "write the golden files anew")

func TestNewRefusesBadOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"no clock", Options{}, "make pretend account: Options.Now is required"},
		{"account", Options{Now: time.Now, AccountID: "42"}, `make pretend account: account ID "42" is not 12 digits`},
		{"randomness", Options{Now: time.Now, Rand: iotest.ErrReader(errors.New("dry"))}, "make pretend account: dry"},
	} {
		if _, err := New(tt.o); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestAccountsDiffer(t *testing.T) {
	t.Parallel()
	var ids []string
	for range 2 {
		s, err := New(Options{Now: time.Now, AccountID: "000000000042"})
		if err != nil {
			t.Fatal(err)
		}
		u, _ := s.User("ann")
		ids = append(ids, u.AccessKeys[0].AccessKeyID)
		if s.AccountID() != "000000000042" || u.ARN != "arn:aws:iam::000000000042:user/ann" {
			t.Errorf("account %s, %s", s.AccountID(), u.ARN)
		}
		if got := accountInside(t, ids[0]); got != "000000000042" {
			t.Errorf("%s holds account %s", ids[0], got)
		}
	}
	if ids[0] == ids[1] {
		t.Error("two starts made the same key")
	}
}

func TestProbeIsRedirected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a, ok := r.send([]byte(method + " / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
		if !ok || a.status != http.StatusFound || a.header.Get("Location") != "https://aws.amazon.com/iam" {
			t.Errorf("%s: %d to %q", method, a.status, a.header.Get("Location"))
		}
		if want := "Wed, 04 Mar 2026 05:06:07 GMT"; a.header.Get("Date") != want {
			t.Errorf("Date %q, want %q", a.header.Get("Date"), want)
		}
	}
	a, ok := r.send([]byte("GET /?Action=GetCallerIdentity&Version=2011-06-15 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
	if !ok || a.status != http.StatusForbidden || !strings.Contains(string(a.body), codeMissingToken) {
		t.Errorf("an unsigned GetCallerIdentity: %d, %q", a.status, a.body)
	}
	if n := len(r.Log()); n != 0 {
		t.Errorf("%d entries in the log", n)
	}
}

// made are the parts of a response that differ from one to the next.
var made = regexp.MustCompile(`(<(AccessKeyId|SecretAccessKey|SessionToken|RequestId)>|AIDA|AROA)[^<:]+`)

// The XML of each action, and of an error of each service, as golden files.
func TestGoldenResponses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.key("ann")
	for _, tt := range []struct {
		name string
		ask  ask
	}{
		{"GetCallerIdentity", ask{who: ann, params: params("GetCallerIdentity")}},
		{"GetSessionToken", ask{who: ann, params: params("GetSessionToken")}},
		{"AssumeRole", ask{who: ann, params: params("AssumeRole", "RoleArn", roleARN("audit"), "RoleSessionName", "work", "SourceIdentity", "ann", "Policy", "{}")}},
		{"ListMFADevices", ask{who: r.key("bob"), params: params("ListMFADevices")}},
		{"GetUser", ask{who: r.key("bob"), params: params("GetUser")}},
		{"STS-error", ask{who: ann, params: params("AssumeRole", "RoleArn", roleARN("nothing"), "RoleSessionName", "work")}},
		{"IAM-error", ask{who: ann, params: params("GetUser", "UserName", "nobody")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.do(tt.ask)
			if got := a.header.Get("Content-Type"); got != "text/xml" {
				t.Errorf("Content-Type %q", got)
			}
			id := regexp.MustCompile(`<RequestId>(.*)</RequestId>`).FindSubmatch(a.body)
			if id == nil || string(id[1]) != a.header.Get("X-Amzn-RequestId") || len(id[1]) != 36 {
				t.Errorf("request ID %q, in the header %q", id, a.header.Get("X-Amzn-RequestId"))
			}
			body := made.ReplaceAll(a.body, []byte("$1..."))
			path := filepath.Join("testdata", tt.name+".xml")
			if *update {
				if err := os.WriteFile(path, body, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(body, want) {
				t.Errorf("got\n%s\nwant\n%s", body, want)
			}
		})
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("key." + r.key("ann").AccessKeyID + "=deleted")
	data, err := r.Document("https://127.0.0.1:1", "/tmp/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(data, []byte("\n")) != 1 || !bytes.HasSuffix(data, []byte("\n")) {
		t.Errorf("not one line: %s", data)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got["endpoint"] != "https://127.0.0.1:1" || got["caFile"] != "/tmp/ca.pem" || got["accountId"] != "111122223333" {
		t.Errorf("document %s", data)
	}
	bob := mustUser(t, r, "bob")
	for _, want := range []string{
		`"userName":"ann","arn":"arn:aws:iam::111122223333:user/ann","accessKeys":[],"devices":[{"serialNumber":"arn:aws:iam::111122223333:mfa/ann","totpSecret":"`,
		`"accessKeys":[{"accessKeyId":"` + bob.AccessKeys[0].AccessKeyID + `","secretAccessKey":"` + bob.AccessKeys[0].SecretAccessKey.Reveal() + `","status":"Active","createDate":"2026-02-02T05:06:07Z"}]`,
		`{"serialNumber":"arn:aws:iam::111122223333:u2f/user/cleo/yubikey-R5TQ2YZXVBPMA"}`,
		`{"roleName":"dev-external","roleArn":"arn:aws:iam::111122223333:role/dev-external","maxSessionDuration":3600,"trusts":"arn:aws:iam::111122223333:root","externalId":"tenant-42"}`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if n := len(r.Roles()); n != 10 || len(got["roles"].([]any)) != n {
		t.Errorf("%d roles, %d in the document", n, len(got["roles"].([]any)))
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	code := r.freshCode("ann")
	mfa := []string{"SerialNumber", r.serial("ann"), "TokenCode", code}
	r.call(r.key("ann"), nil, "GetSessionToken", append(mfa, "DurationSeconds", "3600")...)
	r.refused(r.key("ann"), "GetSessionToken", mfa...)
	r.refused(r.key("ann"), "GetSessionToken", "SerialNumber", r.serial("ann"), "TokenCode", wrong(code))
	role := r.assume(r.key("ann"), "dev", "ExternalId", "tenant-1", "SourceIdentity", "ann", "Tags.member.1.Key", "team", "Tags.member.1.Value", "blue", "TransitiveTagKeys.member.1", "team")
	r.do(ask{who: r.key("ann"), params: params("GetCallerIdentity"), region: "eu-west-1"})

	log := r.Log()
	if len(log) != 5 {
		t.Fatalf("%d entries, want 5", len(log))
	}
	first := log[0]
	want := Entry{
		Time: epoch.Add(defaultStep), Action: "GetSessionToken", AccessKeyID: r.key("ann").AccessKeyID, UserName: "ann",
		SerialNumber: r.serial("ann"), Code: first.Code, Result: ResultOK, Status: 200, Issued: first.Issued,
		DurationSeconds: 3600, Region: "us-east-1", UserAgent: "test/1",
	}
	if got, want := asJSON(t, first), asJSON(t, want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if first.Code == "" || log[1].Code != first.Code || log[2].Code == first.Code {
		t.Errorf("codes are marked %q, %q and %q: the first two are one code, the third is another", first.Code, log[1].Code, log[2].Code)
	}
	if e := log[1]; e.Result != codeAccessDenied || e.Status != 403 || e.Message != textMFACode || e.Issued != "" {
		t.Errorf("a refusal is logged as %+v", e)
	}
	e := log[3]
	if e.RoleARN != roleARN("dev") || e.RoleSessionName != "work" || e.ExternalID != "tenant-1" || e.SourceIdentity != "ann" ||
		e.DurationSeconds != 3600 || e.Tags["team"] != "blue" || !slices.Equal(e.TransitiveTagKeys, []string{"team"}) || e.Issued != role.Assumed.AccessKeyID {
		t.Errorf("AssumeRole is logged as %+v", e)
	}
	if log[4].Region != "eu-west-1" {
		t.Errorf("Region %s", log[4].Region)
	}
	text := asJSON(t, log)
	for _, secret := range []string{code, r.key("ann").SecretAccessKey, role.Assumed.SecretAccessKey, role.Assumed.SessionToken} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// One code that many send at once is accepted once.
func TestCodeIsAcceptedOnceOfMany(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw := r.wire(ask{who: r.key("ann"), params: params("GetSessionToken", "SerialNumber", r.serial("ann"), "TokenCode", r.freshCode("ann"))})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { r.send(raw) })
	}
	wg.Wait()
	accepted := 0
	for _, e := range r.Log() {
		if e.Result == ResultOK {
			accepted++
		}
	}
	if accepted != 1 || len(r.Log()) != 20 {
		t.Errorf("%d of %d requests with one code were accepted", accepted, len(r.Log()))
	}
}
