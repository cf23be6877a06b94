// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// accessReport is what GetServiceLastAccessedDetails answers.
type accessReport struct {
	Status    string     `xml:"GetServiceLastAccessedDetailsResult>JobStatus"`
	Type      string     `xml:"GetServiceLastAccessedDetailsResult>JobType"`
	Created   time.Time  `xml:"GetServiceLastAccessedDetailsResult>JobCreationDate"`
	Completed *time.Time `xml:"GetServiceLastAccessedDetailsResult>JobCompletionDate"`
	Services  []struct {
		ServiceNamespace           string
		LastAuthenticated          *time.Time
		LastAuthenticatedEntity    string
		LastAuthenticatedRegion    string
		TotalAuthenticatedEntities int
	} `xml:"GetServiceLastAccessedDetailsResult>ServicesLastAccessed>member"`
	Truncated bool   `xml:"GetServiceLastAccessedDetailsResult>IsTruncated"`
	Marker    string `xml:"GetServiceLastAccessedDetailsResult>Marker"`
}

// generate begins a report and returns the ID of its job.
func (r *rig) generate(who identity, arn string, more ...string) string {
	r.t.Helper()
	var got struct {
		JobID string `xml:"GenerateServiceLastAccessedDetailsResult>JobId"`
	}
	r.call(who, &got, "GenerateServiceLastAccessedDetails", append(more, "Arn", arn)...)
	return got.JobID
}

func TestServicesLastAccessed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, session := r.key("ann"), r.session("ann")
	const arn = "arn:aws:iam::111122223333:user/ann"
	minted := r.Now()
	role := r.assume(session, "dev").Assumed.identity()
	r.clock.advance(time.Minute)
	r.arnOf(role) // use by the role, not by ann
	r.call(session, nil, "GetUser", "UserName", "ann")
	id := r.generate(r.key("bob"), arn)

	var got accessReport
	r.call(r.key("bob"), &got, "GetServiceLastAccessedDetails", "JobId", id)
	if got.Status != "IN_PROGRESS" || len(got.Services) != 0 || got.Completed != nil || !got.Created.Equal(r.Now()) {
		t.Errorf("at first: %+v", got)
	}
	r.clock.advance(time.Second)
	r.call(r.key("bob"), &got, "GetServiceLastAccessedDetails", "JobId", id)
	if got.Status != "COMPLETED" || got.Type != "SERVICE_LEVEL" || got.Completed == nil {
		t.Errorf("then: %+v", got)
	}
	var list []string
	for _, s := range got.Services {
		last := "never"
		if s.LastAuthenticated != nil {
			last = fmt.Sprint(s.LastAuthenticated.Sub(minted), " ", s.LastAuthenticatedRegion, " ", s.LastAuthenticatedEntity)
		}
		list = append(list, fmt.Sprint(s.ServiceNamespace, " ", last, " ", s.TotalAuthenticatedEntities))
	}
	want := []string{"cloudtrail never 0", "iam 1m0s us-east-1 " + arn + " 1", "s3 never 0", "sts 0s us-east-1 " + arn + " 1"}
	if !slices.Equal(list, want) {
		t.Errorf("the services are\n%q, want\n%q", list, want)
	}

	r.set("last_used_lag=4h")
	id = r.generate(ann, roleARN("dev"), "Granularity", "ACTION_LEVEL")
	r.call(ann, nil, "GetServiceLastAccessedDetails", "JobId", id)
	var page accessReport
	r.call(ann, &page, "GetServiceLastAccessedDetails", "JobId", id, "MaxItems", "3")
	if len(page.Services) != 3 || !page.Truncated || page.Type != "ACTION_LEVEL" {
		t.Errorf("the first page is %+v", page)
	}
	marker := page.Marker
	page = accessReport{}
	r.call(ann, &page, "GetServiceLastAccessedDetails", "JobId", id, "Marker", marker)
	if len(page.Services) != 1 || page.Truncated || page.Services[0].ServiceNamespace != "sts" || page.Services[0].LastAuthenticated != nil {
		t.Errorf("the second page is %+v", page)
	}
}

func TestServicesLastAccessedRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.key("ann")
	id := r.generate(ann, "arn:aws:iam::111122223333:user/ann")
	gone := "Job " + id + " cannot be found."
	for _, arn := range []string{"arn:aws:iam::111122223333:user/nobody", "arn:aws:iam::111122223333:root", roleARN("audit")} {
		r.refused(ann, "GenerateServiceLastAccessedDetails", "Arn", arn).want(t, codeNoSuchEntity, 404, "ARN "+arn+" does not exist.")
	}
	r.refused(ann, "GenerateServiceLastAccessedDetails", "Arn", "ann").want(t, codeValidation, 400,
		"1 validation error detected: Value 'ann' at 'arn' failed to satisfy constraint: Member must have length greater than or equal to 20")
	r.refused(r.plainSession("ann"), "GetServiceLastAccessedDetails", "JobId", id).want(t, codeInvalidToken, 403, known[codeInvalidToken].message)
	r.refused(ann, "GetServiceLastAccessedDetails", "JobId", "x").want(t, codeValidation, 400,
		"1 validation error detected: Value 'x' at 'jobId' failed to satisfy constraint: Member must have length greater than or equal to 36")
	r.refused(r.key("bob"), "GetServiceLastAccessedDetails", "JobId", id).want(t, codeNoSuchEntity, 404, gone) // only who asked may look
	r.set("policy=deny:GetServiceLastAccessedDetails")
	r.refused(ann, "GetServiceLastAccessedDetails", "JobId", id).want(t, codeAccessDenied, 403,
		"User: arn:aws:iam::111122223333:user/ann is not authorized to perform: iam:GetServiceLastAccessedDetails on resource: * with an explicit deny in an identity-based policy")
	r.set("policy=deny:GenerateServiceLastAccessedDetails")
	r.refused(ann, "GenerateServiceLastAccessedDetails", "Arn", "arn:aws:iam::111122223333:user/dev/team/bob").want(t, codeAccessDenied, 403,
		"User: arn:aws:iam::111122223333:user/ann is not authorized to perform: iam:GenerateServiceLastAccessedDetails on resource: user bob with an explicit deny in an identity-based policy")
}
