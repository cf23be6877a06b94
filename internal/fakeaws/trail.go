// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// event is one management event: a request that somebody has signed rightly,
// whatever became of it. Last use, the services used and CloudTrail are read
// from these.
type event struct {
	id, requestID string
	at            time.Time
	service       service
	region        string // that it was signed for; IAM is in one Region of the partition
	action        string
	accessKeyID   string
	who           *caller
	userAgent     string
	address       string
	failed        *apiError
	resources     []trailResource
}

// trailResource is a resource in the record of an event.
type trailResource struct {
	ResourceType string
	ResourceName string
}

// recordLocked adds a request to the trail.
func (s *Server) recordLocked(c *call, failed *apiError) {
	e := &event{
		id: s.gen.requestID(), requestID: c.requestID, at: c.now,
		service: c.service, region: c.auth.region, action: c.action,
		accessKeyID: c.auth.accessKeyID, who: c.who,
		userAgent: c.http.UserAgent(), address: c.http.RemoteAddr, failed: failed,
	}
	if i := strings.LastIndexByte(e.address, ':'); i >= 0 {
		e.address = strings.Trim(e.address[:i], "[]")
	}
	for _, r := range []trailResource{
		{"AWS::IAM::Role", c.entry.RoleARN},
		{"AWS::IAM::User", c.entry.TargetUserName},
		{"AWS::IAM::AccessKey", c.entry.TargetAccessKeyID},
		{"AWS::IAM::AccessKey", c.entry.Issued},
	} {
		if r.ResourceName != "" {
			e.resources = append(e.resources, r)
		}
	}
	s.trail = append(s.trail, e)
}

// accountOf returns the account that a caller is of, by its role if it has one.
func (s *Server) accountOf(who *caller) string {
	if who.isRole() {
		return who.session.role.AccountID
	}
	return s.accountID
}

// userName is what CloudTrail calls who made a request.
func (e *event) userName() string {
	if e.who.isRole() {
		return e.who.session.name
	}
	return e.who.user.UserName
}

// readOnly reports whether CloudTrail counts the action as one that reads.
func (e *event) readOnly() bool {
	return slices.ContainsFunc([]string{"Get", "List", "Lookup", "Generate", "AssumeRole"}, func(verb string) bool {
		return strings.HasPrefix(e.action, verb)
	})
}

// record is the event as the JSON that CloudTrail delivers, without what was
// asked for and answered: CloudTrail leaves secrets out, and so nothing is in.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
func (e *event) record(accountID string) (string, error) {
	identity := map[string]any{
		"type": "IAMUser", "principalId": e.who.userID(), "arn": e.who.arn(),
		"accountId": accountID, "accessKeyId": e.accessKeyID, "userName": e.who.user.UserName,
	}
	switch {
	case e.who.isRole():
		identity["type"] = "AssumedRole"
		delete(identity, "userName")
	case e.who.user.isRoot():
		identity["type"] = "Root"
		delete(identity, "userName")
	}
	if ses := e.who.session; ses != nil {
		mfa := "false"
		if e.who.mfa() {
			mfa = "true"
		}
		identity["sessionContext"] = map[string]any{
			"attributes": map[string]any{"creationDate": iamTime(ses.issued), "mfaAuthenticated": mfa},
		}
	}
	r := map[string]any{
		"eventVersion": "1.11", "userIdentity": identity,
		"eventTime": iamTime(e.at), "eventSource": e.source(), "eventName": e.action,
		"awsRegion": e.region, "sourceIPAddress": e.address, "userAgent": e.userAgent,
		"requestParameters": nil, "responseElements": nil,
		"requestID": e.requestID, "eventID": e.id, "readOnly": e.readOnly(),
		"eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": accountID, "eventCategory": "Management",
	}
	if e.failed != nil {
		r["errorCode"], r["errorMessage"] = e.failed.code, e.failed.message
	}
	text, err := json.Marshal(r)
	return string(text), err
}

func (e *event) source() string { return e.service.name + ".amazonaws.com" }
