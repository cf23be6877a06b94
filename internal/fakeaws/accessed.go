// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/xml"
	"maps"
	"slices"
	"time"
)

// accessedJob is a report of GenerateServiceLastAccessedDetails.
type accessedJob struct {
	arn         string // of the user or role that the report is about
	caller      string // only who has asked for it may have it
	granularity string
	created     time.Time
	completed   time.Time // zero until somebody has looked once
	services    []xmlAccessed
}

type xmlAccessed struct {
	ServiceName                string
	LastAuthenticated          string `xml:",omitempty"`
	ServiceNamespace           string
	LastAuthenticatedEntity    string `xml:",omitempty"`
	LastAuthenticatedRegion    string `xml:",omitempty"`
	TotalAuthenticatedEntities int
}

// serviceNames are the services that a report tells of, by namespace. Nobody
// here ever uses S3.
var serviceNames = map[string]string{
	"cloudtrail": "AWS CloudTrail",
	"iam":        "AWS Identity and Access Management",
	"s3":         "Amazon S3",
	"sts":        "AWS Security Token Service",
}

func (s *Server) generateServiceLastAccessedDetails(c *call) (any, *apiError) {
	const action = "GenerateServiceLastAccessedDetails"
	var p checker
	arn := p.text(c.params, "Arn", required, 20, 2048, nil)
	granularity := p.oneOf(c.params, "Granularity", optional, "SERVICE_LEVEL", "ACTION_LEVEL")
	on := target{arn, arn}
	if u := s.userOfARN(arn); u != nil {
		on = userTarget(u)
		c.entry.TargetUserName = u.UserName
	}
	if refused := s.iamPermitLocked(c, action, on, &p); refused != nil {
		return nil, refused
	}
	isRole := slices.ContainsFunc(s.roles, func(r *Role) bool { return r.ARN == arn && r.AccountID == s.accountID })
	if s.userOfARN(arn) == nil && !isRole || !s.isHome(c.who) {
		return nil, refusef(codeNoSuchEntity, "ARN %s does not exist.", arn)
	}
	if granularity == "" {
		granularity = "SERVICE_LEVEL"
	}
	id := s.gen.requestID()
	s.jobs[id] = &accessedJob{arn: arn, caller: c.who.arn(), granularity: granularity, created: c.now}
	return struct {
		XMLName xml.Name `xml:"GenerateServiceLastAccessedDetailsResult"`
		JobID   string   `xml:"JobId"`
	}{JobID: id}, nil
}

// getServiceLastAccessedDetails finds the job at work the first time, and done
// from then on.
func (s *Server) getServiceLastAccessedDetails(c *call) (any, *apiError) {
	const action = "GetServiceLastAccessedDetails"
	var p checker
	at := p.page(c.params)
	id := p.text(c.params, "JobId", required, 36, 36, nil)
	if refused := s.iamPermitLocked(c, action, target{name: "*"}, &p); refused != nil {
		return nil, refused
	}
	job, ok := s.jobs[id]
	if !ok || job.caller != c.who.arn() {
		return nil, refusef(codeNoSuchEntity, "Job %s cannot be found.", id)
	}
	type result struct {
		XMLName              xml.Name `xml:"GetServiceLastAccessedDetailsResult"`
		JobStatus            string
		JobType              string
		JobCreationDate      string
		JobCompletionDate    string `xml:",omitempty"`
		ServicesLastAccessed struct {
			Members []xmlAccessed `xml:"member"`
		}
		xmlNext
	}
	r := result{JobStatus: "IN_PROGRESS", JobType: job.granularity, JobCreationDate: iamTime(job.created)}
	if job.completed.IsZero() {
		job.completed, job.services = c.now, s.accessedLocked(job.arn, c.now)
		return r, nil
	}
	r.JobStatus, r.JobCompletionDate = "COMPLETED", iamTime(job.completed)
	r.ServicesLastAccessed.Members, r.xmlNext = paged(at, job.services)
	return r, nil
}

// accessedLocked returns when a user or role has last used each service, as far
// as IAM has heard. What a user does with a session counts as the user's.
func (s *Server) accessedLocked(arn string, now time.Time) []xmlAccessed {
	var list []xmlAccessed
	for _, namespace := range slices.Sorted(maps.Keys(serviceNames)) {
		a := xmlAccessed{ServiceName: serviceNames[namespace], ServiceNamespace: namespace}
		for _, e := range slices.Backward(s.trail) {
			if e.service.name == namespace && e.who.principal() == arn && now.Sub(e.at) >= max(0, s.knobs.lastUsedLag) {
				a.LastAuthenticated, a.LastAuthenticatedRegion = iamTime(e.at), e.region
				a.LastAuthenticatedEntity, a.TotalAuthenticatedEntities = arn, 1
				break
			}
		}
		list = append(list, a)
	}
	return list
}

// principal is the ARN of the user or, of a role's session, the role.
func (c *caller) principal() string {
	if c.isRole() {
		return c.session.role.ARN
	}
	return c.user.ARN
}

func (s *Server) userOfARN(arn string) *User {
	for _, u := range s.users {
		if u.ARN == arn && !u.isRoot() {
			return u
		}
	}
	return nil
}
