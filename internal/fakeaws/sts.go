// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"
	"time"
)

// Lifetimes in seconds, from the API reference of STS.
const (
	minLife         = 900
	maxSessionLife  = 129600 // GetSessionToken of a user, 36 h
	defSessionLife  = 43200
	maxRootLife     = 3600 // GetSessionToken of the root user: cut to this
	maxRoleLife     = 43200
	defRoleLife     = 3600
	maxChainedLife  = 3600
	wireTime        = "2006-01-02T15:04:05Z"
	actAssumeRole   = "sts:AssumeRole"
	actSessionToken = "sts:GetSessionToken"
)

type xmlCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

func credentialsOf(ses *session) xmlCredentials {
	return xmlCredentials{
		AccessKeyID:     ses.accessKeyID,
		SecretAccessKey: ses.secretAccessKey.Reveal(),
		SessionToken:    ses.token.Reveal(),
		Expiration:      ses.expiration.UTC().Format(wireTime),
	}
}

// getCallerIdentity is allowed to everybody, even under an explicit deny.
func (s *Server) getCallerIdentity(c *call) (any, *apiError) {
	return struct {
		XMLName xml.Name `xml:"GetCallerIdentityResult"`
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}{Arn: c.who.arn(), UserID: c.who.userID(), Account: s.accountOf(c.who)}, nil
}

func (s *Server) getSessionToken(c *call) (any, *apiError) {
	var p checker
	life := p.integer(c.params, "DurationSeconds", defSessionLife, minLife, maxSessionLife)
	mfa := p.mfa(c.params)
	c.entry.DurationSeconds = life
	if refused := p.result(); refused != nil {
		return nil, refused
	}
	if c.who.session != nil {
		return nil, refusef(codeAccessDenied, textSessionCaller)
	}
	if refused := s.permitLocked(c, actSessionToken, target{}, false); refused != nil {
		return nil, refused
	}
	if c.who.user.isRoot() {
		life = min(life, maxRootLife)
	}
	if refused := s.spendLocked(c, mfa); refused != nil {
		return nil, refused
	}
	ses := s.issueLocked(session{user: c.who.user, mfa: mfa.given()}, s.accountID, time.Duration(life)*time.Second, c)
	return struct {
		XMLName     xml.Name `xml:"GetSessionTokenResult"`
		Credentials xmlCredentials
	}{Credentials: credentialsOf(ses)}, nil
}

// assumption is what an AssumeRole request asks for.
type assumption struct {
	roleARN        string
	name           string
	externalID     string
	sourceIdentity string
	life           int
	mfa            mfaParams
	tags           map[string]string
	transitive     map[string]string
	packed         int // percent; 0 without policies and tags
}

func (s *Server) assumeRole(c *call) (any, *apiError) {
	a, refused := readAssumption(c)
	if refused != nil {
		return nil, refused
	}
	role, refused := s.trustLocked(c, a)
	if refused != nil {
		return nil, refused
	}
	if refused := inherit(c.who, a); refused != nil {
		return nil, refused
	}
	switch life := time.Duration(a.life) * time.Second; {
	case life > role.MaxSessionDuration:
		return nil, refusef(codeValidation, textMaxDuration)
	case c.who.isRole() && a.life > maxChainedLife:
		return nil, refusef(codeValidation, textChaining)
	}
	ses := s.issueLocked(session{
		user: c.who.user, role: role, name: a.name,
		sourceIdentity: a.sourceIdentity, transitive: a.transitive,
	}, role.AccountID, time.Duration(a.life)*time.Second, c)
	type assumedRoleUser struct {
		AssumedRoleID string `xml:"AssumedRoleId"`
		Arn           string
	}
	return struct {
		XMLName          xml.Name `xml:"AssumeRoleResult"`
		AssumedRoleUser  assumedRoleUser
		Credentials      xmlCredentials
		PackedPolicySize int    `xml:",omitempty"`
		SourceIdentity   string `xml:",omitempty"`
	}{
		AssumedRoleUser:  assumedRoleUser{role.RoleID + ":" + a.name, assumedRoleARN(role, a.name)},
		Credentials:      credentialsOf(ses),
		PackedPolicySize: a.packed,
		SourceIdentity:   a.sourceIdentity,
	}, nil
}

// readAssumption reads and checks the parameters, and logs them.
func readAssumption(c *call) (*assumption, *apiError) {
	var p checker
	a := &assumption{
		roleARN:        p.text(c.params, "RoleArn", required, 20, 2048, nil),
		name:           p.text(c.params, "RoleSessionName", required, 2, 64, nameForm),
		externalID:     p.text(c.params, "ExternalId", optional, 2, 1224, externalIDForm),
		sourceIdentity: p.text(c.params, "SourceIdentity", optional, 2, 64, nameForm),
		life:           p.integer(c.params, "DurationSeconds", defRoleLife, minLife, maxRoleLife),
		mfa:            p.mfa(c.params),
	}
	c.entry.RoleARN, c.entry.RoleSessionName, c.entry.DurationSeconds = a.roleARN, a.name, a.life
	c.entry.ExternalID, c.entry.SourceIdentity = a.externalID, a.sourceIdentity
	policies := p.policies(c.params)
	a.tags, a.transitive = p.tags(c.params)
	c.entry.Tags, c.entry.TransitiveTagKeys = a.tags, slices.Sorted(maps.Keys(a.transitive))
	if refused := p.result(); refused != nil {
		return nil, refused
	}
	if !roleARNForm.MatchString(a.roleARN) {
		return nil, refusef(codeValidation, "Request ARN is invalid")
	}
	var refused *apiError
	a.packed, refused = packedSize(policies, a.tags)
	return a, refused
}

// trustLocked finds the role, spends the MFA code if one is given, and checks
// the caller against the trust policy. A role that does not exist is refused
// like one that does not trust the caller.
func (s *Server) trustLocked(c *call, a *assumption) (*Role, *apiError) {
	if c.who.user.isRoot() {
		return nil, refusef(codeAccessDenied, textRootRole)
	}
	if refused := s.spendLocked(c, a.mfa); refused != nil {
		return nil, refused
	}
	mfa := a.mfa.given() || c.who.mfa()
	if refused := s.permitLocked(c, actAssumeRole, target{a.roleARN, a.roleARN}, mfa); refused != nil {
		return nil, refused
	}
	for _, role := range s.roles {
		if role.ARN != a.roleARN {
			continue
		}
		if role.trusts(c.who) && (role.ExternalID == "" || role.ExternalID == a.externalID) &&
			(mfa || !role.RequireMFA) && role.recent(c, a.mfa.given()) {
			return role, nil
		}
	}
	return nil, unauthorized(c.who, actAssumeRole, a.roleARN)
}

// trusts reports whether the principal of the trust policy covers the caller.
func (r *Role) trusts(who *caller) bool {
	if who.isRole() {
		role := who.session.role
		return r.Trusts == role.ARN || r.Trusts == rootARN(role.ARN)
	}
	return r.Trusts == who.user.ARN || r.Trusts == rootARN(who.user.ARN)
}

// recent reports whether the caller's MFA is as young as the role wants it.
func (r *Role) recent(c *call, given bool) bool {
	return r.MaxMFAAge == 0 || given || c.who.mfa() && c.now.Sub(c.who.session.issued) < r.MaxMFAAge
}

// rootARN returns the ARN that stands for the whole account of another one.
func rootARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return strings.Join(append(parts[:5], "root"), ":")
}

// inherit hands transitive tags and the source identity of a role session on
// to the next one. Neither can be changed on the way.
func inherit(who *caller, a *assumption) *apiError {
	if !who.isRole() {
		return nil
	}
	for key, value := range who.session.transitive {
		for k := range a.tags {
			if strings.EqualFold(k, key) {
				return refusef("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
			}
		}
		a.transitive[key] = value
	}
	switch from := who.session.sourceIdentity; {
	case from == "":
	case a.sourceIdentity == "":
		a.sourceIdentity = from
	case a.sourceIdentity != from:
		return unauthorized(who, "sts:SetSourceIdentity", a.roleARN)
	}
	return nil
}
