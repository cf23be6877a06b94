// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"crypto/subtle"
	"fmt"
	"time"

	"credbroker/internal/secret"
)

// session is a set of temporary credentials that the account has given out.
type session struct {
	accessKeyID     string
	status          string // StatusActive unless the knob key.ID says otherwise
	secretAccessKey secret.String
	token           secret.String
	user            *User // who it goes back to
	role            *Role // nil for a session of GetSessionToken
	name            string
	mfa             bool // carries aws:MultiFactorAuthPresent
	issued          time.Time
	expiration      time.Time
	sourceIdentity  string
	transitive      map[string]string // session tags that the next hop inherits
}

// caller is who signed a request.
type caller struct {
	user    *User
	session *session // nil for a long-lived key
}

func (c *caller) isRole() bool { return c.session != nil && c.session.role != nil }

// mfa reports aws:MultiFactorAuthPresent. The credentials of a role never
// carry it, whatever was given to assume it.
func (c *caller) mfa() bool { return c.session != nil && c.session.mfa && !c.isRole() }

func (c *caller) arn() string {
	if c.isRole() {
		return assumedRoleARN(c.session.role, c.session.name)
	}
	return c.user.ARN
}

func (c *caller) userID() string {
	if c.isRole() {
		return c.session.role.RoleID + ":" + c.session.name
	}
	return c.user.UserID
}

// assumedRoleARN drops the path of the role, as STS does.
func assumedRoleARN(role *Role, sessionName string) string {
	return fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", partitionOf(role.ARN), role.AccountID, role.RoleName, sessionName)
}

// authenticateLocked finds out who signed a request, in the order of AWS: the
// key, its token, the scope and the clock, the signature.
func (s *Server) authenticateLocked(req *request, now time.Time) (*caller, *apiError) {
	token := req.http.Header.Get(headerToken)
	who, key, refused := s.lookUpLocked(req, token, now)
	if refused != nil {
		return nil, refused
	}
	if refused := s.partition.checkHost(req.http, req.service, req.auth.region); refused != nil {
		return nil, refused
	}
	if refused := req.auth.checkScope(req.http, req.service, s.partition, now); refused != nil {
		return nil, refused
	}
	if refused := req.auth.verify(req.http, req.body, key.Reveal()); refused != nil {
		return nil, refused
	}
	return who, nil
}

func (s *Server) lookUpLocked(req *request, token string, now time.Time) (*caller, secret.String, *apiError) {
	accessKeyID, invalid := req.auth.accessKeyID, refusal(codeInvalidToken)
	if ses, ok := s.sessions[accessKeyID]; ok {
		bound := subtle.ConstantTimeCompare([]byte(ses.token.Reveal()), []byte(token)) == 1
		switch {
		case !bound, ses.status != StatusActive:
			return nil, secret.String{}, invalid
		case !now.Before(ses.expiration):
			return nil, secret.String{}, refusal(codeExpiredToken)
		}
		return &caller{user: ses.user, session: ses}, ses.secretAccessKey, nil
	}
	at := endpoint{req.service.name, req.auth.region}
	if k := s.keyLocked(accessKeyID); k != nil && token == "" && k.seen(at, now, s.knobs.propagation) == StatusActive {
		return &caller{user: k.user}, k.SecretAccessKey, nil
	}
	return nil, secret.String{}, invalid
}

// issueLocked gives out temporary credentials.
func (s *Server) issueLocked(ses session, accountID string, life time.Duration, c *call) *session {
	if s.knobs.sessionLife > 0 {
		life = s.knobs.sessionLife
	}
	ses.status = StatusActive
	ses.accessKeyID = s.gen.accessKeyID("ASIA", accountID)
	ses.secretAccessKey = secret.New(s.gen.secretAccessKey())
	ses.token = secret.New(s.gen.sessionToken())
	ses.issued = c.now
	ses.expiration = c.now.Add(life).Truncate(time.Second)
	s.sessions[ses.accessKeyID] = &ses
	c.entry.Issued = ses.accessKeyID
	return &ses
}
