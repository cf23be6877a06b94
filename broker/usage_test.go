// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
)

// fakeTrail has the events of each Region, the newest first.
type fakeTrail struct {
	events map[string][]TrailEvent
	asked  []time.Time // when, in any Region
	by     []string    // with which sessions
}

func (f *fakeAWS) Home(ipc.AWS) string { return "us-east-1" }

// LookupEvents has two events on a page.
func (f *fakeAWS) LookupEvents(ctx context.Context, to ipc.AWS, source credproc.Credentials, in LookupInput) ([]TrailEvent, string, error) {
	if err := f.enter(ctx, "LookupEvents", to.Region); err != nil {
		return nil, "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trail.asked, f.trail.by = append(f.trail.asked, f.clock.Now()), append(f.trail.by, source.AccessKeyID)
	all, from := f.trail.events[to.Region], 0
	if in.Next != "" {
		if _, err := fmt.Sscan(in.Next, &from); err != nil {
			return nil, "", err
		}
	}
	end := min(from+2, len(all))
	if end < len(all) {
		return all[from:end], fmt.Sprint(end), nil
	}
	return all[from:end], "", nil
}

func (f *fakeAWS) ServicesUsed(ctx context.Context, p ipc.ServicesUsedParams) (ipc.ServicesUsed, error) {
	if err := f.iamCall(ctx, "ServicesUsed", p.ARN, p.IAMParams); err != nil {
		return ipc.ServicesUsed{}, err
	}
	if err := f.enter(ctx, "Report", ""); err != nil {
		return ipc.ServicesUsed{Unread: coded(err)}, nil
	}
	return ipc.ServicesUsed{Services: []ipc.ServiceUse{
		{Namespace: "ec2", ServiceName: "Amazon EC2", LastUsed: f.now().Add(-48 * time.Hour), Region: "ap-south-1"},
		{Namespace: "s3", ServiceName: "Amazon S3", LastUsed: f.now().Add(-time.Hour), Region: "eu-west-1"},
	}}, nil
}

// seen gives the pretend account a past.
func (r *rig) seen() {
	now := r.clock.Now()
	used := now.Add(-2 * time.Hour)
	r.aws.setKeys([]ipc.KeyState{
		{AccessKeyID: annKey, Active: true, CreateDate: now.Add(-99 * 24 * time.Hour), LastUsed: &used, ServiceName: "s3", Region: "eu-central-1"},
		{AccessKeyID: "AKIAOTHEROTHEROTHER1", Active: false, CreateDate: now.Add(-999 * 24 * time.Hour)},
	})
	list := TrailEvent{EventSource: "s3.amazonaws.com", EventName: "ListBuckets", SourceIP: "192.0.2.1", UserAgent: "aws-cli/2"}
	at := func(e TrailEvent, ago time.Duration, refused bool) TrailEvent {
		e.At, e.Refused = now.Add(-ago).UTC(), refused
		return e
	}
	elsewhere := list
	elsewhere.SourceIP = "198.51.100.7"
	r.aws.trail.events = map[string][]TrailEvent{
		"us-east-1":    {at(TrailEvent{EventSource: "iam.amazonaws.com", EventName: "GetUser", SourceIP: "192.0.2.1", UserAgent: "aws-cli/2"}, time.Minute, false)},
		"eu-central-1": {at(list, time.Hour, false), at(elsewhere, 2*time.Hour, false), at(list, 3*time.Hour, true)},
	}
}

// usage asks for the use of dev's key, and answers the prompt if there is one.
func (r *rig) usage() (ipc.Usage, error) {
	r.t.Helper()
	c := r.start(ipc.OpUsage, ipc.UsageParams{Profile: "dev"}, ipc.AskTerminal)
	synctest.Wait()
	select {
	case <-c.prompts:
		c.answers <- r.aws.code(annMFA, 0)
	default:
	}
	<-c.done
	if c.err != nil {
		return ipc.Usage{}, c.err
	}
	return decoded[ipc.Usage](r.t, c.result), nil
}

func TestUsage(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.seen()
		u, err := r.usage()
		if err != nil {
			t.Fatal(err)
		}
		if u.Profile != "dev" || u.AccessKeyID != annKey || u.UserName != "ann" || len(u.Keys) != 2 || len(u.Gaps) != 0 || len(u.Cut) != 0 {
			t.Errorf("%+v", u)
		}
		if len(u.Services) != 2 || u.Services[0].Namespace != "s3" {
			t.Errorf("services, the last used first: %+v", u.Services)
		}
		// IAM's, the profile's, the key's, and where its user was seen.
		if want := []string{"us-east-1", "eu-west-1", "eu-central-1", "ap-south-1"}; !slices.Equal(u.Regions, want) {
			t.Errorf("regions %v, want %v", u.Regions, want)
		}
		if len(u.Events) != 3 || u.Events[0].EventName != "GetUser" || u.Events[2].SourceIP != "198.51.100.7" {
			t.Fatalf("events: %+v", u.Events)
		}
		if g := u.Events[1]; g.Count != 2 || g.Refused != 1 || g.Last.Sub(g.First) != 2*time.Hour || g.Region != "eu-central-1" {
			t.Errorf("a group: %+v", g)
		}
		if since := r.clock.Now().Sub(u.EventsSince); since < 90*24*time.Hour-time.Minute || since > 90*24*time.Hour+time.Minute {
			t.Errorf("looks %v back", since)
		}
		if !slices.Equal(r.aws.iamSigned(), []bool{true, true}) {
			t.Errorf("signed with a session: %v", r.aws.iamSigned())
		}
		if s := r.status(); s.Prompts != 1 {
			t.Errorf("%d prompts", s.Prompts)
		}
		if _, err := r.usage(); err != nil || r.status().Prompts != 1 {
			t.Errorf("again: %v, %d prompts", err, r.status().Prompts)
		}
	})
}

// TestUsageIsPatientWithCloudTrail: two calls a second in a Region at most, and
// an end to what is read.
func TestUsageIsPatientWithCloudTrail(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.seen()
		for i := range 50 {
			r.aws.trail.events["us-east-1"] = append(r.aws.trail.events["us-east-1"], TrailEvent{EventName: fmt.Sprint(i), At: r.clock.Now()})
		}
		busy := &ipc.Error{Code: ipc.CodeAWSThrottled, Message: "Rate exceeded"}
		r.aws.failNext("LookupEvents", busy, busy)
		u, err := r.usage()
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Gaps) != 0 {
			t.Errorf("gaps: %+v", u.Gaps)
		}
		if !slices.Equal(u.Cut, []string{"us-east-1"}) || !slices.Contains(u.Regions, "us-east-1") {
			t.Errorf("cut %v of %v", u.Cut, u.Regions)
		}
		asked := r.aws.trail.asked[:trailPages]
		for i := 2; i < len(asked); i++ {
			if d := asked[i].Sub(asked[i-2]); d <= time.Second {
				t.Errorf("three calls within %v", d)
			}
		}
		if got := r.aws.calls("LookupEvents us-east-1"); got != trailPages+2 {
			t.Errorf("%d pages, want %d", got, trailPages)
		}
	})
}

// TestUsageGaps: what one policy forbids does not hide the rest.
func TestUsageGaps(t *testing.T) {
	no := func(text string) error { return &ipc.Error{Code: ipc.CodeAWSExplicitDeny, Message: text} }
	lost := &ipc.Error{Code: ipc.CodeAWSUnreachable, Message: "no connection"}
	for name, tt := range map[string]struct {
		action string
		err    error
		want   []string // part and permission
	}{
		"keys":           {"ListKeys", no("ListAccessKeys: AccessDenied"), []string{"keys iam:ListAccessKeys"}},
		"services":       {"ServicesUsed", no("x: GenerateServiceLastAccessedDetails: AccessDenied"), []string{"services iam:GenerateServiceLastAccessedDetails"}},
		"their report":   {"Report", no("GetServiceLastAccessedDetails: AccessDenied"), []string{"services iam:GetServiceLastAccessedDetails"}},
		"not a question": {"ServicesUsed", lost, []string{"services "}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				r.seen()
				r.aws.failAlways(tt.action, tt.err)
				u, err := r.usage()
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, g := range u.Gaps {
					got = append(got, g.Part+" "+g.Permission)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("gaps %q, want %q", got, tt.want)
				}
				if len(u.Events) == 0 || len(u.Keys)+len(u.Services) == 0 {
					t.Errorf("the rest is hidden: %+v", u)
				}
			})
		})
	}
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.seen()
		r.aws.mu.Lock()
		r.aws.iam.keys[1].LastUsedError = &ipc.Error{Code: ipc.CodeAWSDenied, Message: "no"}
		r.aws.mu.Unlock()
		r.aws.failNext("LookupEvents", no("no"))
		u, err := r.usage()
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Gaps) != 2 || u.Gaps[0].Permission != "iam:GetAccessKeyLastUsed" || u.Gaps[1].Permission != "cloudtrail:LookupEvents" || u.Gaps[1].Region != "us-east-1" {
			t.Errorf("gaps: %+v", u.Gaps)
		}
		if slices.Contains(u.Regions, "us-east-1") || !slices.Contains(u.Regions, "eu-west-1") {
			t.Errorf("regions: %v", u.Regions)
		}
	})
	bubble(t, ready, func(t *testing.T, r *rig) {
		for _, action := range []string{"ListKeys", "ServicesUsed", "LookupEvents"} {
			r.aws.failAlways(action, no(action))
		}
		if _, err := r.usage(); coded(err).Code != ipc.CodeAWSExplicitDeny {
			t.Errorf("nothing is allowed: %v", err)
		}
	})
}

// TestUsageWithoutMFA: no session without MFA may call IAM, so the key signs;
// CloudTrail takes the session.
func TestUsageWithoutMFA(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		r.add("dev", annKey, ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true})
		r.seen()
		if _, err := r.usage(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.aws.iamSigned(), []bool{false, false}) || r.status().Prompts != 0 {
			t.Errorf("signed with a session: %v; %d prompts", r.aws.iamSigned(), r.status().Prompts)
		}
		for _, id := range r.aws.trail.by {
			if id[:4] != "ASIA" {
				t.Errorf("CloudTrail was asked with %s", id)
			}
		}
	})
}

// TestUsageOfAnyProfile: a role shows the key that it stands on; a session that
// AWS refuses is made anew once.
func TestUsageOfAnyProfile(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.write("aws/config", chainConfig(""))
		r.seen()
		first := r.prime("dev").AccessKeyID
		r.clock.move(time.Minute, time.Minute)
		r.aws.failNext("ListKeys", &ipc.Error{Code: ipc.CodeAWSExpired, Message: "ExpiredToken"})
		c := r.start(ipc.OpUsage, ipc.UsageParams{Profile: "one"}, ipc.AskTerminal)
		<-c.prompts
		c.answers <- r.aws.code(annMFA, 0)
		<-c.done
		if c.err != nil {
			t.Fatal(c.err)
		}
		if u := decoded[ipc.Usage](t, c.result); u.Profile != "dev" || u.AccessKeyID != annKey || len(u.Gaps) != 0 {
			t.Errorf("%+v", u)
		}
		if slices.Contains(r.aws.trail.by, first) {
			t.Error("the refused session was used again")
		}
		wantCode(t, "usage of nobody", refused(r, ipc.OpUsage, ipc.UsageParams{Profile: "nobody"}), ipc.CodeNoProfile)
	})
}

// TestUsageOfARevokedKey: it cannot ask itself, and another key of the account
// can; in a rotation its use is told with that.
func TestUsageOfARevokedKey(t *testing.T) {
	bubble(t, aged, func(t *testing.T, r *rig) {
		if _, err := r.rotate(ipc.RotateParams{Profile: "dev"}); err != nil {
			t.Fatal(err)
		}
		if u, err := r.usage(); err != nil || !u.Rotating || u.Revoked {
			t.Errorf("in a rotation: %+v, %v", u, err)
		}
	})
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.seen()
		r.prime("dev")
		r.revokedKey(ipc.RevokeParams{Profile: "dev"})
		ask := func(using string) (ipc.Usage, *ipc.Error) {
			u, err := withCodes[ipc.Usage](r, ipc.OpUsage, ipc.UsageParams{Profile: "dev", Using: using})
			if err != nil {
				return u, coded(err)
			}
			return u, nil
		}
		add := func(profile, account, name string) {
			r.add(profile, bobKey, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::" + account + ":user/" + name, UserName: name, NoMFA: true})
		}
		add("far", "444455556666", "eve")
		if _, err := ask(""); err == nil || err.Code != ipc.CodeKeyInactive || !strings.Contains(err.Hint, "CloudTrail console") {
			t.Errorf("nobody else is there: %+v", err)
		}
		if _, err := ask("far"); err == nil || err.Code != ipc.CodeUsage || !strings.Contains(err.Message, "444455556666") {
			t.Errorf("of another account: %+v", err)
		}
		do[ipc.Key](r, ipc.OpRemove, ipc.RemoveParams{Profile: "far"})
		add("ops", account, "bob")
		if _, err := ask(""); err == nil || !strings.HasSuffix(err.Hint, "broker usage dev --using ops") {
			t.Errorf("with bob there: %+v", err)
		}
		u, err := ask("ops")
		if err != nil || !u.Revoked || u.Profile != "dev" || u.AccessKeyID != annKey || u.UserName != "ann" || len(u.Keys) != 2 || len(u.Events) != 3 || len(u.Gaps) != 0 {
			t.Fatalf("%+v, %+v", u, err)
		}
		if r.status().Prompts != 1 { // for prime: a session of the revoked key would cost another one
			t.Errorf("%d prompts", r.status().Prompts)
		}
	})
}

func decoded[T any](t *testing.T, raw []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
