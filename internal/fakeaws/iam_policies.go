// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/xml"
	"strings"
	"unicode"
)

// maxInline is how many characters the inline policies of a user may have in
// all, blanks not counted.
const maxInline = 2048

// inlinePolicy is a policy that a request has put into a user.
type inlinePolicy struct {
	name, text string
	statements []statement
}

func (i *inlinePolicy) size() int {
	n := 0
	for _, r := range i.text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

func (s *Server) putUserPolicy(c *call) (any, *apiError) {
	var p checker
	put := inlinePolicy{name: p.policyName(c), text: p.text(c.params, "PolicyDocument", required, 1, 131072, nil)}
	user, refused := s.iamUserLocked(c, "PutUserPolicy", &p, required)
	if refused != nil {
		return nil, refused
	}
	if put.statements, refused = parsePolicy(put.text); refused != nil {
		return nil, refused
	}
	var kept []inlinePolicy
	size := put.size()
	for _, i := range s.inline[user] {
		if i.name != put.name {
			kept = append(kept, i)
			size += i.size()
		}
	}
	if size > maxInline {
		return nil, refusef(codeLimit, "Maximum policy size of %d bytes exceeded for user %s", maxInline, user.UserName)
	}
	s.inline[user] = append(kept, put)
	return nil, nil
}

// getUserPolicy answers with the document in the encoding of URLs, as IAM does.
func (s *Server) getUserPolicy(c *call) (any, *apiError) {
	var p checker
	user, at, refused := s.namedPolicyLocked(c, "GetUserPolicy", &p)
	if refused != nil {
		return nil, refused
	}
	i := s.inline[user][at]
	return struct {
		XMLName        xml.Name `xml:"GetUserPolicyResult"`
		UserName       string
		PolicyName     string
		PolicyDocument string
	}{UserName: user.UserName, PolicyName: i.name, PolicyDocument: escape(i.text, false)}, nil
}

func (s *Server) deleteUserPolicy(c *call) (any, *apiError) {
	var p checker
	user, at, refused := s.namedPolicyLocked(c, "DeleteUserPolicy", &p)
	if refused != nil {
		return nil, refused
	}
	var kept []inlinePolicy
	for n, i := range s.inline[user] {
		if n != at {
			kept = append(kept, i)
		}
	}
	s.inline[user] = kept
	return nil, nil
}

// namedPolicyLocked finds the inline policy that a request names.
func (s *Server) namedPolicyLocked(c *call, action string, p *checker) (*User, int, *apiError) {
	name := p.policyName(c)
	user, refused := s.iamUserLocked(c, action, p, required)
	if refused != nil {
		return nil, 0, refused
	}
	for n, i := range s.inline[user] {
		if i.name == name {
			return user, n, nil
		}
	}
	return nil, 0, refusef(codeNoSuchEntity, "The user policy with name %s cannot be found.", name)
}

// policyName reads the parameter PolicyName and logs it.
func (p *checker) policyName(c *call) string {
	name := p.text(c.params, "PolicyName", required, 1, 128, nameForm)
	c.entry.PolicyName = name
	return name
}

func (s *Server) listAttachedUserPolicies(c *call) (any, *apiError) {
	var p checker
	at := p.page(c.params)
	prefix := p.text(c.params, "PathPrefix", optional, 1, 512, pathForm)
	if _, refused := s.iamUserLocked(c, "ListAttachedUserPolicies", &p, required); refused != nil {
		return nil, refused
	}
	type xmlAttached struct {
		PolicyName string
		PolicyArn  string
	}
	var all []xmlAttached
	for _, m := range s.knobs.policy {
		if strings.HasPrefix("/", prefix) {
			all = append(all, xmlAttached{m.name, s.policyARN(m)})
		}
	}
	var list struct {
		Members []xmlAttached `xml:"member"`
	}
	var next xmlNext
	list.Members, next = paged(at, all)
	return struct {
		XMLName          xml.Name `xml:"ListAttachedUserPoliciesResult"`
		AttachedPolicies any
		xmlNext
	}{AttachedPolicies: list, xmlNext: next}, nil
}
