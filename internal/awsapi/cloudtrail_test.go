// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestLookupEvents reads the trail of the pretend account, which has signed
// requests of a signer of its own to hold ours against.
func TestLookupEvents(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	p.set("last_used_lag=0s")
	key := p.keys()
	for range 3 {
		if _, err := p.client.LongLived(key).GetCallerIdentity(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c := p.session()
	events, next, err := c.LookupEvents(ctx, LookupInput{AccessKeyID: key.AccessKeyID, Since: time.Now().Add(-time.Hour)})
	if err != nil || next != "" || len(events) != 4 {
		t.Fatalf("LookupEvents: %d events %+v, next %q, %v", len(events), events, next, err)
	}
	if e := events[0]; e.EventName != "GetSessionToken" || e.EventSource != "sts.amazonaws.com" || e.SourceIP != "127.0.0.1" ||
		e.UserAgent != "broker/test" || e.ErrorCode != "" || time.Since(e.At).Abs() > time.Minute {
		t.Errorf("the newest event: %+v", e)
	}
	if events[1].EventName != "GetCallerIdentity" {
		t.Errorf("the one before: %+v", events[1])
	}
	events, _, err = c.LookupEvents(ctx, LookupInput{AccessKeyID: "AKIAQWERTYUIOPASDFGH", Since: time.Now().Add(-time.Hour)})
	if err != nil || len(events) != 0 {
		t.Errorf("the events of a stranger: %+v, %v", events, err)
	}
	p.set("policy=deny:cloudtrail:LookupEvents")
	_, _, err = c.LookupEvents(ctx, LookupInput{AccessKeyID: key.AccessKeyID, Since: time.Now()})
	if e := wantError(t, err, codeExplicit); e.Permission != "cloudtrail:LookupEvents" || !strings.Contains(e.Error(), "cloudtrail:LookupEvents") {
		t.Errorf("denied: %#v", e)
	}
}

// TestLookupEventsPages: 50 events a page, and the token leads to the rest.
func TestLookupEventsPages(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	p.set("last_used_lag=0s")
	key := p.keys()
	for range 60 {
		if _, err := p.client.LongLived(key).GetCallerIdentity(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c, in := p.session(), LookupInput{AccessKeyID: key.AccessKeyID, Since: time.Now().Add(-time.Hour)}
	first, next, err := c.LookupEvents(ctx, in)
	if err != nil || len(first) != 50 || next == "" {
		t.Fatalf("the first page has %d events, next %q, %v", len(first), next, err)
	}
	in.Next = next
	second, next, err := c.LookupEvents(ctx, in)
	if err != nil || len(second) != 11 || next != "" {
		t.Errorf("the second page has %d events, next %q, %v", len(second), next, err)
	}
}

func TestLookupEventsRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"throttled", `{"__type":"com.amazonaws.cloudtrail#ThrottlingException:http://x","Message":"Rate exceeded"}`, 400, codeThrottled},
		{"denied", `{"__type":"AccessDeniedException","Message":"User is not authorized to perform: cloudtrail:LookupEvents"}`, 400, codeDenied},
		{"expired", `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`, 400, codeExpired},
		{"no JSON", `<html>sign in</html>`, 400, codeGarbage},
		{"no answer of CloudTrail", `<html>sign in</html>`, 200, codeGarbage},
		{"its own failure", `{"__type":"InternalFailure"}`, 500, codeUnavailable},
	} {
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			fmt.Fprint(w, tt.body)
		})
		_, _, err := c.Temporary(testSession).LookupEvents(t.Context(), LookupInput{AccessKeyID: "AKIAQWERTYUIOPASDFGH"})
		if e := wantError(t, err, tt.want); !strings.HasPrefix(e.Error(), "LookupEvents: ") {
			t.Errorf("%s: %v", tt.name, e)
		}
	}
}

// TestLookupEventsTakesLongRecords: a page may be longer than any answer of STS.
func TestLookupEventsTakesLongRecords(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"Events":[{"EventName":"RunInstances","EventTime":1.5,"CloudTrailEvent":"{\"userAgent\":\"x\",\"pad\":\"%s\"}"}]}`,
			strings.Repeat("a", 2*maxBody))
	})
	events, _, err := c.Temporary(testSession).LookupEvents(t.Context(), LookupInput{AccessKeyID: "AKIAQWERTYUIOPASDFGH"})
	if err != nil || len(events) != 1 || events[0].UserAgent != "x" || events[0].At != time.Unix(1, 5e8).UTC() {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestTrailEndpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Region: "us-east-1"}, "https://cloudtrail.us-east-1.amazonaws.com"},
		{Options{Region: "eu-west-1", UseDualStack: true}, "https://cloudtrail.eu-west-1.api.aws"},
		{Options{Region: "us-west-2", UseFIPS: true}, "https://cloudtrail-fips.us-west-2.amazonaws.com"},
		{Options{Region: "us-east-1", Partition: "aws-cn"}, "https://cloudtrail.cn-north-1.amazonaws.com.cn"},
		{Options{Region: "us-gov-west-1", UseFIPS: true}, "https://cloudtrail.us-gov-west-1.amazonaws.com"},
		{Options{Region: "eu-west-1", CloudTrailEndpointURL: "http://127.0.0.1:1"}, "http://127.0.0.1:1"},
	} {
		tt.o.Now, tt.o.UserAgent = time.Now, "broker/test"
		c := mustNew(t, tt.o)
		if got, err := c.trailEndpoint(t.Context()); err != nil || strings.TrimSuffix(got, "/") != tt.want {
			t.Errorf("%+v: %q, %v, want %q", tt.o, got, err, tt.want)
		}
	}
	if got := TrailRegion(Options{Region: "us-east-1", Partition: "aws-us-gov"}); got != "us-gov-west-1" {
		t.Errorf("the home of aws-us-gov is %s", got)
	}
}

// TestServiceLastAccessed follows a report from its beginning to its end.
func TestServiceLastAccessed(t *testing.T) {
	t.Parallel()
	p, ctx := newPretend(t), t.Context()
	p.set("last_used_lag=0s", "policy=force-mfa")
	c := p.session()
	id, err := c.GenerateServiceLastAccessedDetails(ctx, p.user.ARN)
	if err != nil {
		t.Fatal(err)
	}
	done, used, err := c.GetServiceLastAccessedDetails(ctx, id)
	if done || len(used) != 0 || err != nil {
		t.Errorf("a report that has just begun: %t, %+v, %v", done, used, err)
	}
	done, used, err = c.GetServiceLastAccessedDetails(ctx, id)
	if !done || err != nil || len(used) != 2 { // s3, which nobody has used, is not there
		t.Fatalf("%t, %+v, %v", done, used, err)
	}
	if u := used[1]; u.Namespace != "sts" || u.ServiceName != "AWS Security Token Service" || u.Region != "eu-west-1" || time.Since(u.LastAuthenticated) > time.Minute {
		t.Errorf("%+v", u)
	}
	_, _, err = c.GetServiceLastAccessedDetails(ctx, "00000000-0000-0000-0000-000000000000")
	if e := wantError(t, err, codeFailed); !e.NotFound() {
		t.Errorf("%#v", e)
	}
	p.set("policy=deny:iam:GetServiceLastAccessedDetails")
	_, _, err = c.GetServiceLastAccessedDetails(ctx, id)
	if e := wantError(t, err, codeExplicit); e.Permission != "iam:GetServiceLastAccessedDetails" {
		t.Errorf("%#v", e)
	}
}

func TestServiceLastAccessedFailed(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, answer(200, `<GetServiceLastAccessedDetailsResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetServiceLastAccessedDetailsResult>`+
		`<JobStatus>FAILED</JobStatus></GetServiceLastAccessedDetailsResult></GetServiceLastAccessedDetailsResponse>`))
	_, _, err := c.Temporary(testSession).GetServiceLastAccessedDetails(t.Context(), "00000000-0000-0000-0000-000000000000")
	wantError(t, err, codeFailed)
}
