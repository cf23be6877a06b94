// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The language of policies, as far as it can deny something here: Allow
// statements are read and change nothing.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
const (
	effectAllow = "Allow"
	effectDeny  = "Deny"
)

// The condition keys that are known. Their case does not matter.
const (
	keyIssued   = "aws:tokenissuetime"
	keyMFA      = "aws:multifactorauthpresent"
	keyTime     = "aws:currenttime"
	keyUserName = "aws:username"
)

// statement is one statement of a policy.
type statement struct {
	Sid         string
	Effect      string
	Action      oneOrMany
	NotAction   oneOrMany
	Resource    oneOrMany
	NotResource oneOrMany
	Condition   map[string]map[string]oneOrMany // operator → key → values
}

// oneOrMany is a string or a list of them; true and false may stand bare.
type oneOrMany []string

// UnmarshalJSON reads a string, a boolean, or a list of strings.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, (*[]string)(o))
	}
	if text := string(data); text == "true" || text == "false" {
		*o = oneOrMany{text}
		return nil
	}
	*o = oneOrMany{""}
	return json.Unmarshal(data, &(*o)[0])
}

// statements are the value of Statement: one or a list.
type statements []statement

// UnmarshalJSON refuses members that the grammar does not have.
func (l *statements) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("[")) {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	return strictJSON(data, (*[]statement)(l))
}

func strictJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// parsePolicy reads an identity-based policy. A condition that is not known
// here is refused, rather than met or not by chance.
func parsePolicy(text string) ([]statement, *apiError) {
	var doc struct {
		Version   string
		ID        string `json:"Id"`
		Statement statements
	}
	if err := strictJSON([]byte(text), &doc); err != nil || len(doc.Statement) == 0 {
		return nil, refusef(codeMalformedPolicy, "Syntax errors in policy.")
	}
	for _, st := range doc.Statement {
		if reason := st.broken(); reason != "" {
			return nil, refusef(codeMalformedPolicy, "%s", reason)
		}
	}
	return doc.Statement, nil
}

// broken says what is wrong with a statement; nothing is empty.
func (st *statement) broken() string {
	switch {
	case st.Effect != effectAllow && st.Effect != effectDeny:
		return "Syntax errors in policy."
	case (len(st.Action) == 0) == (len(st.NotAction) == 0):
		return "Policy statement must contain actions."
	case (len(st.Resource) == 0) == (len(st.NotResource) == 0):
		return "Policy statement must contain resources."
	}
	for operator, keys := range st.Condition {
		compare, ok := operators[strings.TrimSuffix(operator, ifExists)]
		if !ok {
			return "The pretend account does not know the condition operator " + operator + "."
		}
		for key, values := range keys {
			known, ok := conditionKeys[strings.ToLower(key)]
			if !ok {
				return "The pretend account does not know the condition key " + key + "."
			}
			if slices.ContainsFunc(values, func(v string) bool { return !compare.takes(v) || !compare.takes(known) }) {
				return "Syntax errors in policy."
			}
		}
	}
	return ""
}

const ifExists = "IfExists"

// conditionKeys are the keys that are known, each with a value of its type.
var conditionKeys = map[string]string{
	keyIssued: wireTime, keyTime: wireTime, keyMFA: "true", keyUserName: "ann",
}

// operator is a condition operator: which values it takes, and whether the
// value of a request meets that of the policy.
type operator struct {
	takes func(value string) bool
	met   func(have, want string) bool
}

var operators = map[string]operator{
	"Bool":                  {isBool, strings.EqualFold},
	"StringEquals":          {isString, func(have, want string) bool { return have == want }},
	"DateLessThan":          {isDate, func(have, want string) bool { return date(have).Before(date(want)) }},
	"DateLessThanEquals":    {isDate, func(have, want string) bool { return !date(have).After(date(want)) }},
	"DateGreaterThan":       {isDate, func(have, want string) bool { return date(have).After(date(want)) }},
	"DateGreaterThanEquals": {isDate, func(have, want string) bool { return !date(have).Before(date(want)) }},
}

func isBool(v string) bool { return strings.EqualFold(v, "true") || strings.EqualFold(v, "false") }

func isString(string) bool { return true }

func isDate(v string) bool { return !date(v).IsZero() }

// date returns the zero time for what is none.
func date(v string) time.Time {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return time.Time{}
	}
	return t
}

// policyRequest is what a policy is held against. The keys of context are in
// lower case; a key that the request does not have is absent.
type policyRequest struct {
	action, arn string
	context     map[string]string
}

func (r policyRequest) deniedBy(list []statement) bool {
	return slices.ContainsFunc(list, func(st statement) bool { return st.Effect == effectDeny && r.meets(st) })
}

// meets reports whether a statement applies: an action without a resource is
// on all of them.
func (r policyRequest) meets(st statement) bool {
	arn := r.arn
	if arn == "" {
		arn = "*"
	}
	anyOf := func(patterns oneOrMany, s string, fold bool) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, s, fold) })
	}
	switch {
	case len(st.Action) > 0 && !anyOf(st.Action, r.action, true), anyOf(st.NotAction, r.action, true),
		len(st.Resource) > 0 && !anyOf(st.Resource, arn, false), anyOf(st.NotResource, arn, false):
		return false
	}
	for operator, keys := range st.Condition {
		bare, spared := strings.CutSuffix(operator, ifExists)
		for key, values := range keys {
			have, ok := r.context[strings.ToLower(key)]
			met := ok && slices.ContainsFunc(values, func(want string) bool { return operators[bare].met(have, want) })
			if !met && (ok || !spared) {
				return false
			}
		}
	}
	return true
}

// wildcard reports whether s matches a pattern of * and ?. The case of actions
// does not matter.
func wildcard(pattern, s string, fold bool) bool {
	quoted := regexp.QuoteMeta(pattern)
	form := "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + "$"
	if fold {
		form = "(?i)" + form
	}
	return regexp.MustCompile(form).MatchString(s)
}
