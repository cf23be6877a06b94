// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// ResultOK is the Result of a request that was carried out. A refused one has
// the error code of AWS, one that a knob dropped before it was read "dropped".
const ResultOK = "ok"

// Entry is one request in the log. It holds no secret and no MFA code.
type Entry struct {
	Time              time.Time         `json:"time"` // by the Server's clock, UTC
	Action            string            `json:"action"`
	AccessKeyID       string            `json:"accessKeyId"` // who signed, as far as the header says
	UserName          string            `json:"userName,omitempty"`
	SerialNumber      string            `json:"serialNumber"`
	Code              string            `json:"code,omitempty"` // tells codes of a device apart; not the code itself
	Result            string            `json:"result"`
	Status            int               `json:"status,omitempty"`  // of HTTP; 0 if nothing was answered
	Message           string            `json:"message,omitempty"` // of a refusal
	Reply             string            `json:"reply,omitempty"`   // what a knob did to the answer: dropped, garbage, huge, html
	Issued            string            `json:"issued,omitempty"`  // access key ID of the credentials given out
	DurationSeconds   int               `json:"durationSeconds,omitempty"`
	RoleARN           string            `json:"roleArn,omitempty"`
	RoleSessionName   string            `json:"roleSessionName,omitempty"`
	ExternalID        string            `json:"externalId,omitempty"`
	SourceIdentity    string            `json:"sourceIdentity,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	TransitiveTagKeys []string          `json:"transitiveTagKeys,omitempty"`
	TargetUserName    string            `json:"targetUserName,omitempty"`    // whom a request to IAM is about
	TargetAccessKeyID string            `json:"targetAccessKeyId,omitempty"` // the key that it is about
	KeyStatus         string            `json:"keyStatus,omitempty"`         // that it asks for
	PolicyName        string            `json:"policyName,omitempty"`
	Region            string            `json:"region,omitempty"` // that the request was signed for
	UserAgent         string            `json:"userAgent,omitempty"`
}

// Log returns every request so far, in the order in which they were carried
// out.
func (s *Server) Log() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

func (s *Server) newEntryLocked(req *request, now time.Time) Entry {
	e := Entry{
		Time:         now,
		Action:       req.action,
		AccessKeyID:  req.auth.accessKeyID,
		SerialNumber: req.params.Get("SerialNumber"),
		Region:       req.auth.region,
		UserAgent:    req.http.UserAgent(),
	}
	if code := req.params.Get("TokenCode"); code != "" {
		e.Code = s.codeMark(e.SerialNumber, code)
		s.arrivedLocked(e.SerialNumber, code, now)
	}
	return e
}

// codeMark names a code without telling it: a hash with a salt that never leaves
// the process.
func (s *Server) codeMark(serialNumber, code string) string {
	mac := hmac.New(sha256.New, s.salt)
	mac.Write([]byte(serialNumber + " " + code))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func (s *Server) appendLocked(e Entry) {
	s.log = append(s.log, e)
	s.announceLocked()
}

func (s *Server) announceLocked() {
	close(s.logged)
	s.logged = make(chan struct{})
}

// follow calls fn with each entry, from the first on, until ctx ends or fn
// fails. A reset makes it start over with the emptied log.
func (s *Server) follow(ctx context.Context, fn func([]Entry) error) error {
	next, resets := 0, 0
	for {
		s.mu.Lock()
		if s.resets != resets {
			next, resets = 0, s.resets
		}
		entries, logged := slices.Clone(s.log[next:]), s.logged
		s.mu.Unlock()
		if err := fn(entries); err != nil {
			return err
		}
		next += len(entries)
		select {
		case <-logged:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
