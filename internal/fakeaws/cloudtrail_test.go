// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// lookedUp is what LookupEvents answers.
type lookedUp struct {
	Events []struct {
		EventID         string `json:"EventId"`
		EventName       string
		ReadOnly        string
		AccessKeyID     string `json:"AccessKeyId"`
		EventTime       float64
		EventSource     string
		Username        string
		Resources       []trailResource
		CloudTrailEvent string
	}
	NextToken string
}

func (l lookedUp) names() []string {
	var names []string
	for _, e := range l.Events {
		names = append(names, e.EventName)
	}
	return names
}

// look calls LookupEvents, which must succeed. It lets a second pass before.
func (r *rig) look(who identity, region, in string) lookedUp {
	r.t.Helper()
	r.clock.advance(time.Second)
	a := r.do(ask{who: who, json: in, region: region})
	var got lookedUp
	if err := json.Unmarshal(a.body, &got); err != nil || a.status != http.StatusOK {
		r.t.Fatalf("LookupEvents: %d %s: %s", a.status, a.code, a.message)
	}
	if kind := a.header.Get("Content-Type"); kind != "application/x-amz-json-1.1" {
		r.t.Errorf("the answer is %s", kind)
	}
	return got
}

func by(key, value string) string {
	return fmt.Sprintf(`{"LookupAttributes":[{"AttributeKey":%q,"AttributeValue":%q}]}`, key, value)
}

func TestLookupEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("last_used_lag=0s")
	admin, ann := r.key("bob"), r.key("ann")
	session := r.session("ann")
	r.call(ann, nil, "ListAccessKeys")
	r.do(ask{who: ann, params: params("GetCallerIdentity"), region: "eu-west-1"})
	fresh := r.newKey(session, "ann")
	role := r.assume(session, "dev").Assumed.identity()
	r.arnOf(role)
	r.refused(ann, "GetUser", "UserName", "nobody")
	r.refused(identity{AccessKeyID: ann.AccessKeyID, SecretAccessKey: "wrong"}, "GetUser") // nobody's request

	for _, tt := range []struct {
		region, in string
		want       []string // newest first
	}{
		{"us-east-1", by("AccessKeyId", ann.AccessKeyID), []string{"GetUser", "ListAccessKeys", "GetSessionToken"}},
		{"eu-west-1", by("AccessKeyId", ann.AccessKeyID), []string{"GetCallerIdentity"}},
		{"eu-central-1", by("AccessKeyId", ann.AccessKeyID), nil},
		{"us-east-1", by("AccessKeyId", session.AccessKeyID), []string{"AssumeRole", "CreateAccessKey"}},
		{"us-east-1", by("AccessKeyId", role.AccessKeyID), []string{"GetCallerIdentity"}},
		{"us-east-1", by("Username", "work"), []string{"GetCallerIdentity"}},
		{"us-east-1", by("EventName", "CreateAccessKey"), []string{"CreateAccessKey"}},
		{"us-east-1", by("EventSource", "iam.amazonaws.com"), []string{"GetUser", "CreateAccessKey", "ListAccessKeys"}},
		{"us-east-1", by("ReadOnly", "false"), []string{"CreateAccessKey"}},
		{"us-east-1", by("ResourceName", session.AccessKeyID), []string{"GetSessionToken"}}, // which key a session is from
		{"us-east-1", by("ResourceName", fresh.AccessKeyID), []string{"CreateAccessKey"}},
		{"us-east-1", by("ResourceType", "AWS::IAM::Role"), []string{"AssumeRole"}},
		{"eu-west-1", `{}`, []string{"LookupEvents", "GetCallerIdentity"}}, // looking is an event too
	} {
		if got := r.look(admin, tt.region, tt.in).names(); !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.region, tt.in, got, tt.want)
		}
	}
}

// An event and its record say who did what, and hold no secret.
func TestTrailRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("last_used_lag=0s")
	ann := r.key("ann")
	session := r.session("ann")
	made := r.Now()
	fresh := r.newKey(session, "ann")
	got := r.look(ann, "us-east-1", by("EventName", "CreateAccessKey")).Events
	if len(got) != 1 || got[0].AccessKeyID != session.AccessKeyID || got[0].Username != "ann" || got[0].EventTime != float64(made.Unix()) ||
		got[0].EventSource != "iam.amazonaws.com" || got[0].ReadOnly != "false" || len(got[0].EventID) != 36 {
		t.Fatalf("the event is %+v", got)
	}
	text := got[0].CloudTrailEvent
	for _, secret := range []string{ann.SecretAccessKey, session.SecretAccessKey, session.SessionToken, fresh.SecretAccessKey} {
		if strings.Contains(text, secret) {
			t.Errorf("the record tells %q: %s", secret, text)
		}
	}
	var record struct {
		EventID, EventName, AWSRegion, ErrorCode, UserAgent, RecipientAccountID string
		UserIdentity                                                            struct {
			Type, ARN, AccessKeyID, UserName string
			SessionContext                   struct {
				Attributes struct{ MFAAuthenticated string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		t.Fatal(err)
	}
	who := record.UserIdentity
	if record.EventID != got[0].EventID || record.EventName != "CreateAccessKey" || record.AWSRegion != "us-east-1" || record.ErrorCode != "" ||
		record.UserAgent != "test/1" || record.RecipientAccountID != "111122223333" ||
		who.Type != "IAMUser" || who.UserName != "ann" || who.AccessKeyID != session.AccessKeyID || who.SessionContext.Attributes.MFAAuthenticated != "true" {
		t.Errorf("the record is %s", text)
	}

	r.refused(r.key("root"), "GetUser", "UserName", "nobody")
	r.arnOf(r.assume(ann, "dev").Assumed.identity())
	for name, want := range map[string][]string{
		"GetUser":           {`"type":"Root"`, `"errorCode":"NoSuchEntity"`, `"errorMessage":"The user with name nobody cannot be found."`},
		"GetCallerIdentity": {`"type":"AssumedRole"`, `assumed-role/dev/work`, `"mfaAuthenticated":"false"`, `"readOnly":true`},
	} {
		text := r.look(ann, "us-east-1", by("EventName", name)).Events[0].CloudTrailEvent
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %s in %s", name, part, text)
			}
		}
	}
}

// Events show minutes late, and 90 days long.
func TestEventsAreLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.key("ann")
	events := func() int {
		t.Helper()
		return len(r.look(r.key("bob"), "us-east-1", by("AccessKeyId", ann.AccessKeyID)).Events)
	}
	r.call(ann, nil, "GetUser")
	r.clock.advance(4 * time.Minute)
	if n := events(); n != 0 {
		t.Errorf("after 4 minutes: %d events", n)
	}
	r.clock.advance(time.Minute)
	if n := events(); n != 1 {
		t.Errorf("after 5 minutes: %d events", n)
	}
	r.set("last_used_lag=15m")
	if n := events(); n != 0 {
		t.Errorf("with a lag of 15 minutes: %d events", n)
	}
	r.clock.advance(90 * 24 * time.Hour)
	if n := events(); n != 0 {
		t.Errorf("after 90 days: %d events", n)
	}
}

// Each account has events of its own.
func TestLookupEventsOfAnotherAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("last_used_lag=0s")
	audit := r.assume(r.key("ann"), "audit").Assumed.identity()
	r.arnOf(audit)
	if got := r.look(audit, "us-east-1", "{}").names(); !slices.Equal(got, []string{"GetCallerIdentity"}) {
		t.Errorf("the other account has %v", got)
	}
	if got := r.look(r.key("ann"), "us-east-1", "{}").names(); !slices.Equal(got, []string{"AssumeRole"}) {
		t.Errorf("the account has %v", got)
	}
}

func TestLookupEventsInPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("last_used_lag=0s")
	ann := r.key("ann")
	for range 120 {
		r.call(ann, nil, "GetCallerIdentity")
	}
	in := by("AccessKeyId", ann.AccessKeyID)
	next := func(in, token string) string { return strings.TrimSuffix(in, "}") + `,"NextToken":"` + token + `"}` }
	seen := map[string]bool{}
	var sizes []int
	for at := in; ; {
		got := r.look(r.key("bob"), "us-east-1", at)
		sizes = append(sizes, len(got.Events))
		for _, e := range got.Events {
			seen[e.EventID] = true
		}
		if got.NextToken == "" {
			break
		}
		at = next(in, got.NextToken)
		r.call(ann, nil, "GetCallerIdentity") // a new event does not shift the pages
	}
	if !slices.Equal(sizes, []int{50, 50, 20}) || len(seen) != 120 {
		t.Errorf("pages of %v events, %d in all", sizes, len(seen))
	}
	few := strings.Replace(in, "{", `{"MaxResults":2,`, 1)
	token := r.look(ann, "us-east-1", few).NextToken
	for _, bad := range []string{next(in, token), next(few, "1."+token), next(few, "x")} {
		r.clock.advance(time.Second)
		r.do(ask{who: ann, json: bad}).want(t, "InvalidNextTokenException", 400, "The specified token is not valid.")
	}
}

func TestLookupEventsInTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("last_used_lag=0s")
	for range 5 {
		r.call(r.key("ann"), nil, "GetCallerIdentity")
		r.clock.advance(time.Minute)
	}
	at := epoch.Unix()
	in := fmt.Sprintf(`{"StartTime":%d,"EndTime":%d.5,"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"GetCallerIdentity"}]}`, at+60, at+180)
	if got := r.look(r.key("ann"), "us-east-1", in).Events; len(got) != 3 || got[0].EventTime != float64(at+180) {
		t.Errorf("%d events", len(got))
	}
}

// Two calls a second in each Region, whichever second that is.
func TestLookupEventsIsThrottled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, audit := r.key("ann"), r.assume(r.key("ann"), "audit").Assumed.identity()
	call := func(who identity, region string, ok bool) {
		t.Helper()
		a := r.do(ask{who: who, json: "{}", region: region})
		if ok && a.status != http.StatusOK {
			t.Errorf("refused: %d %s: %s", a.status, a.code, a.message)
		} else if !ok {
			a.want(t, "ThrottlingException", 400, "Rate exceeded")
		}
	}
	r.clock.advance(800 * time.Millisecond)
	call(ann, "us-east-1", true)
	call(r.key("bob"), "us-east-1", true)
	call(ann, "us-east-1", false)
	call(ann, "eu-west-1", true)
	call(audit, "us-east-1", true) // another account
	r.clock.advance(900 * time.Millisecond)
	call(ann, "us-east-1", false) // another second of the clock, but not a second later
	r.clock.advance(100 * time.Millisecond)
	call(ann, "us-east-1", true)
}

func TestLookupEventsRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.key("ann")
	const expired = "The security token included in the request is expired"
	session := r.session("ann")
	for _, tt := range []struct {
		name         string
		a            ask
		code, text   string
		knob, undone string
	}{
		{name: "no JSON", a: ask{json: "Action=LookupEvents"}, code: "SerializationException", text: "The request is not the JSON of this operation."},
		{name: "two attributes", a: ask{json: `{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"A"},{"AttributeKey":"EventName","AttributeValue":"B"}]}`}, code: "InvalidLookupAttributesException", text: "You can specify only one lookup attribute."},
		{name: "unknown attribute", a: ask{json: by("SourceIP", "1")}, code: "InvalidLookupAttributesException", text: "The lookup attribute SourceIP is not valid."},
		{name: "51 events", a: ask{json: `{"MaxResults":51}`}, code: "InvalidMaxResultsException", text: "The value for MaxResults must be between 1 and 50."},
		{name: "backwards", a: ask{json: `{"StartTime":2,"EndTime":1}`}, code: "InvalidTimeRangeException", text: "Start time cannot be after end time."},
		{name: "insights", a: ask{json: `{"EventCategory":"insight"}`}, code: "InvalidEventCategoryException", text: "The event category insight is not valid."},
		{name: "unknown key", a: ask{json: "{}", who: identity{AccessKeyID: "AKIAQAAAAAAAAAAAAAAA", SecretAccessKey: "x"}}, code: "UnrecognizedClientException", text: known[codeInvalidToken].message},
		{name: "wrong secret", a: ask{json: "{}", who: identity{AccessKeyID: ann.AccessKeyID, SecretAccessKey: "x"}}, code: "InvalidSignatureException", text: known[codeSignature].message},
		{name: "unknown Region", a: ask{json: "{}", region: "eu-west-9"}, code: "InvalidSignatureException", text: "Credential should be scoped to a valid region, not 'eu-west-9'. "},
		{name: "expired", a: ask{json: "{}", who: session}, knob: "now=+13h", undone: "now=+0s", code: "ExpiredTokenException", text: expired},
		{name: "denied", a: ask{json: "{}"}, knob: "policy=deny:cloudtrail:LookupEvents", undone: "policy=none", code: "AccessDeniedException", text: "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: cloudtrail:LookupEvents with an explicit deny in an identity-based policy"},
		{name: "no operation", a: ask{json: "{}", bend: func(r *http.Request) { r.Header.Set("X-Amz-Target", cloudtrail.target+"DescribeTrails") }}, code: "UnknownOperationException", text: known[codeUnknownAction].message},
		{name: "no such type", a: ask{json: "{}", bend: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }}, code: "UnknownOperationException", text: known[codeUnknownAction].message},
		{name: "no signature", a: ask{json: "{}", bend: func(r *http.Request) { r.Header.Del("Authorization") }}, code: "MissingAuthenticationTokenException", text: known[codeMissingToken].message},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.advance(time.Second)
			if tt.knob != "" {
				r.set(tt.knob)
				defer r.set(tt.undone)
			}
			if tt.a.who.AccessKeyID == "" {
				tt.a.who = ann
			}
			r.do(tt.a).want(t, tt.code, 400, tt.text)
			if e := r.Log()[len(r.Log())-1]; e.Result != tt.code || e.Status != 400 {
				t.Errorf("logged as %+v", e)
			}
		})
	}
}
