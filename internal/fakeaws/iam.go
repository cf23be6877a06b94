// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/xml"
	"time"
)

func iamTime(t time.Time) string { return t.UTC().Format(wireTime) }

type xmlDevice struct {
	UserName     string `xml:",omitempty"`
	SerialNumber string
	EnableDate   string
}

func (s *Server) listMFADevices(c *call) (any, *apiError) {
	user, refused := s.iamUserLocked(c, "iam:ListMFADevices")
	if refused != nil {
		return nil, refused
	}
	var devices struct {
		Members []xmlDevice `xml:"member"`
	}
	for _, d := range user.Devices {
		x := xmlDevice{UserName: user.UserName, SerialNumber: d.SerialNumber, EnableDate: iamTime(d.EnableDate)}
		if user.isRoot() {
			x.UserName = ""
		}
		devices.Members = append(devices.Members, x)
	}
	return struct {
		XMLName     xml.Name `xml:"ListMFADevicesResult"`
		MFADevices  any
		IsTruncated bool
	}{MFADevices: devices}, nil
}

func (s *Server) getUser(c *call) (any, *apiError) {
	user, refused := s.iamUserLocked(c, "iam:GetUser")
	if refused != nil {
		return nil, refused
	}
	type xmlUser struct {
		Path       string `xml:",omitempty"`
		UserName   string `xml:",omitempty"`
		UserID     string `xml:"UserId"`
		Arn        string
		CreateDate string
	}
	x := xmlUser{user.Path, user.UserName, user.UserID, user.ARN, iamTime(user.CreateDate)}
	if user.isRoot() {
		x.UserName = ""
	}
	return struct {
		XMLName xml.Name `xml:"GetUserResult"`
		User    xmlUser
	}{User: x}, nil
}

// iamUserLocked finds the user that an IAM request is about: the one it names
// or, for a long-lived key only, the caller. A session that was made without
// MFA may call no IAM action at all.
func (s *Server) iamUserLocked(c *call, action string) (*User, *apiError) {
	if c.who.session != nil && !c.who.isRole() && !c.who.mfa() {
		return nil, refusal(codeInvalidToken)
	}
	var p checker
	name := p.text(c.params, "UserName", optional, 1, 128, nameForm)
	if refused := p.result(); refused != nil {
		return nil, refused
	}
	user := c.who.user
	if name != "" {
		user = s.namedUser(name)
	}
	resource := s.arn("user/" + name)
	if user != nil {
		resource = user.ARN
	}
	if refused := s.permitLocked(c.who, action, resource, c.who.mfa()); refused != nil {
		return nil, refused
	}
	switch {
	case name == "" && c.who.session != nil:
		return nil, refusef(codeValidation, textNeedsUserName)
	case user == nil || c.who.isRole() && c.who.session.role.AccountID != s.accountID:
		return nil, refusef(codeNoSuchEntity, "The user with name %s cannot be found.", name)
	}
	return user, nil
}

// namedUser returns nil if no IAM user has the name. The root user has none.
func (s *Server) namedUser(name string) *User {
	for _, u := range s.users {
		if u.UserName == name && !u.isRoot() {
			return u
		}
	}
	return nil
}
