// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"time"
)

func iamTime(t time.Time) string { return t.UTC().Format(wireTime) }

type xmlDevice struct {
	UserName     string `xml:",omitempty"`
	SerialNumber string
	EnableDate   string
}

func (s *Server) listMFADevices(c *call) (any, *apiError) {
	var p checker
	user, refused := s.iamUserLocked(c, "ListMFADevices", &p, optional)
	if refused != nil {
		return nil, refused
	}
	var devices struct {
		Members []xmlDevice `xml:"member"`
	}
	for _, d := range user.Devices {
		devices.Members = append(devices.Members, xmlDevice{user.iamName(), d.SerialNumber, iamTime(d.EnableDate)})
	}
	return struct {
		XMLName     xml.Name `xml:"ListMFADevicesResult"`
		MFADevices  any
		IsTruncated bool
	}{MFADevices: devices}, nil
}

func (s *Server) getUser(c *call) (any, *apiError) {
	var p checker
	user, refused := s.iamUserLocked(c, "GetUser", &p, optional)
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
	return struct {
		XMLName xml.Name `xml:"GetUserResult"`
		User    xmlUser
	}{User: xmlUser{user.Path, user.iamName(), user.UserID, user.ARN, iamTime(user.CreateDate)}}, nil
}

// iamName is what IAM calls a user: the root user has no name.
func (u *User) iamName() string {
	if u.isRoot() {
		return ""
	}
	return u.UserName
}

// iamUserLocked finds the user that an IAM request is about: the one it names
// or, if the name is optional and for a long-lived key only, the caller. p holds
// what is wrong with the other parameters.
func (s *Server) iamUserLocked(c *call, action string, p *checker, needed bool) (*User, *apiError) {
	name := p.text(c.params, "UserName", needed, 1, 128, nameForm)
	c.entry.TargetUserName = name
	user := c.who.user
	if name != "" {
		user = s.namedUser(name)
	}
	on := target{arn: s.arn("user/" + name), name: "user " + name}
	if user != nil {
		on = userTarget(user)
	}
	if refused := s.iamPermitLocked(c, action, on, p); refused != nil {
		return nil, refused
	}
	switch {
	case name == "" && c.who.session != nil:
		return nil, refusef(codeValidation, textNeedsUserName)
	case user == nil || !s.isHome(c.who):
		return nil, refusef(codeNoSuchEntity, "The user with name %s cannot be found.", name)
	}
	return user, nil
}

// iamPermitLocked refuses what IAM refuses whatever the action does: a session
// that was made without MFA, parameters that break the model, and what a policy
// denies.
func (s *Server) iamPermitLocked(c *call, action string, on target, p *checker) *apiError {
	if c.who.session != nil && !c.who.isRole() && !c.who.mfa() {
		return refusal(codeInvalidToken)
	}
	if refused := p.result(); refused != nil {
		return refused
	}
	return s.permitLocked(c, iam.action(action), on, c.who.mfa())
}

// isHome reports whether a caller is of the account of the users.
func (s *Server) isHome(who *caller) bool {
	return !who.isRole() || who.session.role.AccountID == s.accountID
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

// page is the part of a list that a request asks for.
type page struct{ from, size int }

// xmlNext says whether a list goes on, and where.
type xmlNext struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// page reads Marker and MaxItems. A marker of IAM is opaque.
func (p *checker) page(params url.Values) page {
	at := page{size: p.integer(params, "MaxItems", 100, 1, 1000)}
	if marker := p.text(params, "Marker", optional, 1, 320, nil); marker != "" {
		raw, err := base64.StdEncoding.DecodeString(marker)
		if err == nil {
			at.from, err = strconv.Atoi(string(raw))
		}
		if (err != nil || at.from < 1) && p.refused == nil {
			p.refused = refusef(codeValidation, "Invalid Marker.")
		}
	}
	return at
}

// paged returns the part of a list, and where it goes on.
func paged[T any](at page, list []T) ([]T, xmlNext) {
	from := min(at.from, len(list))
	end := min(from+at.size, len(list))
	if end == len(list) {
		return list[from:], xmlNext{}
	}
	return list[from:end], xmlNext{true, base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(end)))}
}
