// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/xml"
	"time"

	"credbroker/internal/secret"
)

type xmlKeyMetadata struct {
	UserName    string `xml:",omitempty"`
	AccessKeyID string `xml:"AccessKeyId"`
	Status      string
	CreateDate  string
}

func metadataOf(k *keyRecord) xmlKeyMetadata {
	return xmlKeyMetadata{k.user.iamName(), k.AccessKeyID, k.Status, iamTime(k.CreateDate)}
}

func (s *Server) listAccessKeys(c *call) (any, *apiError) {
	var p checker
	at := p.page(c.params)
	user, refused := s.iamUserLocked(c, "ListAccessKeys", &p, optional)
	if refused != nil {
		return nil, refused
	}
	keys, next := paged(at, s.keysOfLocked(user))
	var list struct {
		Members []xmlKeyMetadata `xml:"member"`
	}
	for _, k := range keys {
		list.Members = append(list.Members, metadataOf(k))
	}
	return struct {
		XMLName           xml.Name `xml:"ListAccessKeysResult"`
		AccessKeyMetadata any
		xmlNext
	}{AccessKeyMetadata: list, xmlNext: next}, nil
}

func (s *Server) createAccessKey(c *call) (any, *apiError) {
	var p checker
	user, refused := s.iamUserLocked(c, "CreateAccessKey", &p, optional)
	if refused != nil {
		return nil, refused
	}
	if len(s.keysOfLocked(user)) >= keyQuota {
		return nil, refusef(codeLimit, "Cannot exceed quota for AccessKeysPerUser: %d", keyQuota)
	}
	k := &keyRecord{user: user, AccessKey: AccessKey{
		AccessKeyID:     s.gen.accessKeyID("AKIA", s.accountID),
		SecretAccessKey: secret.New(s.gen.secretAccessKey()),
		Status:          statusDeleted,
		CreateDate:      c.now.Truncate(time.Second),
	}}
	k.change(StatusActive, c.now)
	s.keys = append(s.keys, k)
	c.entry.Issued = k.AccessKeyID
	type xmlKey struct {
		UserName        string `xml:",omitempty"`
		AccessKeyID     string `xml:"AccessKeyId"`
		Status          string
		SecretAccessKey string
		CreateDate      string
	}
	return struct {
		XMLName   xml.Name `xml:"CreateAccessKeyResult"`
		AccessKey xmlKey
	}{AccessKey: xmlKey{user.iamName(), k.AccessKeyID, k.Status, k.SecretAccessKey.Reveal(), iamTime(k.CreateDate)}}, nil
}

func (s *Server) updateAccessKey(c *call) (any, *apiError) {
	var p checker
	status := p.oneOf(c.params, "Status", required, StatusActive, StatusInactive)
	c.entry.KeyStatus = status
	k, refused := s.namedKeyLocked(c, "UpdateAccessKey", &p)
	if refused != nil {
		return nil, refused
	}
	if k.Status != status {
		k.change(status, c.now)
	}
	return nil, nil
}

func (s *Server) deleteAccessKey(c *call) (any, *apiError) {
	var p checker
	k, refused := s.namedKeyLocked(c, "DeleteAccessKey", &p)
	if refused != nil {
		return nil, refused
	}
	k.change(statusDeleted, c.now)
	return nil, nil
}

// namedKeyLocked finds the key that a request wants to change: one of the user
// that it is about.
func (s *Server) namedKeyLocked(c *call, action string, p *checker) (*keyRecord, *apiError) {
	id := p.keyID(c)
	user, refused := s.iamUserLocked(c, action, p, optional)
	if refused != nil {
		return nil, refused
	}
	k := s.keyLocked(id)
	if k == nil || k.user != user || k.Status == statusDeleted {
		return nil, refusef(codeNoSuchEntity, "The Access Key with id %s cannot be found.", id)
	}
	return k, nil
}

// keyID reads the parameter AccessKeyId and logs it.
func (p *checker) keyID(c *call) string {
	id := p.text(c.params, "AccessKeyId", required, 16, 128, keyIDForm)
	c.entry.TargetAccessKeyID = id
	return id
}

// getAccessKeyLastUsed takes no user name: the key tells it. AWS refuses a key
// that it does not know as one that the caller has no right to.
func (s *Server) getAccessKeyLastUsed(c *call) (any, *apiError) {
	const action = "GetAccessKeyLastUsed"
	var p checker
	id := p.keyID(c)
	k := s.keyLocked(id)
	on := target{name: "access key " + id}
	if k != nil {
		on = userTarget(k.user)
		c.entry.TargetUserName = k.user.UserName
	}
	if refused := s.iamPermitLocked(c, action, on, &p); refused != nil {
		return nil, refused
	}
	if k == nil || k.Status == statusDeleted || !s.isHome(c.who) {
		return nil, unauthorized(c.who, iam.action(action), "access key "+id)
	}
	type xmlLastUsed struct {
		LastUsedDate string `xml:",omitempty"`
		ServiceName  string
		Region       string
	}
	last := xmlLastUsed{ServiceName: "N/A", Region: "N/A"}
	if e := s.lastUseLocked(id, c.now); e != nil {
		last = xmlLastUsed{iamTime(e.at), e.service.name, e.region}
	}
	return struct {
		XMLName           xml.Name `xml:"GetAccessKeyLastUsedResult"`
		UserName          string   `xml:",omitempty"`
		AccessKeyLastUsed xmlLastUsed
	}{UserName: k.user.iamName(), AccessKeyLastUsed: last}, nil
}

// lastUseLocked returns the last request that was signed with a key, as far as
// IAM has heard of it, or nil. What sessions of the key do is not among them.
func (s *Server) lastUseLocked(accessKeyID string, now time.Time) *event {
	for i := len(s.trail) - 1; i >= 0; i-- {
		if e := s.trail[i]; e.accessKeyID == accessKeyID && now.Sub(e.at) >= max(0, s.knobs.lastUsedLag) {
			return e
		}
	}
	return nil
}
