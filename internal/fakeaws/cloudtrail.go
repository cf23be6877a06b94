// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of LookupEvents.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
const (
	lookupPage = 50                  // events in one answer
	lookupDays = 90 * 24 * time.Hour // how far back it looks
	lookupRate = 2                   // calls in a second, per account and Region
	// trailLag is how late an event shows, unless the knob last_used_lag says
	// otherwise: "about 5 minutes" on average.
	trailLag = 5 * time.Minute
)

// lookup is a LookupEvents request. Times are seconds since 1970.
type lookup struct {
	LookupAttributes []struct{ AttributeKey, AttributeValue string } `json:",omitempty"`
	StartTime        *float64                                        `json:",omitempty"`
	EndTime          *float64                                        `json:",omitempty"`
	EventCategory    string                                          `json:",omitempty"`
	MaxResults       *int                                            `json:",omitempty"`
	NextToken        string                                          `json:",omitempty"`
}

// trailEvent is an event in the answer.
type trailEvent struct {
	EventID         string `json:"EventId"`
	EventName       string
	ReadOnly        string
	AccessKeyID     string  `json:"AccessKeyId"`
	EventTime       float64 // seconds since 1970
	EventSource     string
	Username        string
	Resources       []trailResource
	CloudTrailEvent string
}

// lookupEvents answers with what the account has done in the Region that the
// request is signed for, newest first.
func (s *Server) lookupEvents(c *call) (any, *apiError) {
	if refused := s.permitLocked(c, cloudtrail.action("LookupEvents"), target{}, c.who.mfa()); refused != nil {
		return nil, refused
	}
	if s.lookupLimitedLocked(c) {
		return nil, refusal(codeThrottling)
	}
	var in lookup
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, refusef(codeSerialization, "The request is not the JSON of this operation.")
	}
	if refused := in.check(); refused != nil {
		return nil, refused
	}
	before, refused := s.openToken(in)
	if refused != nil {
		return nil, refused
	}
	size := lookupPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	out := struct {
		Events    []trailEvent
		NextToken string `json:",omitempty"`
	}{Events: []trailEvent{}}
	for i := min(before, len(s.trail)) - 1; i >= 0; i-- {
		if !s.listedLocked(s.trail[i], in, c) {
			continue
		}
		if len(out.Events) == size {
			out.NextToken = s.sealToken(in, i+1)
			break
		}
		listed, refused := s.trail[i].listed(s.accountOf(c.who))
		if refused != nil {
			return nil, refused
		}
		out.Events = append(out.Events, listed)
	}
	return out, nil
}

// lookupLimitedLocked counts a call against the limit of its account and
// Region: no second, wherever it begins, holds more than two.
func (s *Server) lookupLimitedLocked(c *call) bool {
	at := s.accountOf(c.who) + " " + c.auth.region
	recent := slices.DeleteFunc(s.lookups[at], func(t time.Time) bool { return c.now.Sub(t).Abs() >= time.Second })
	limited := len(recent) >= lookupRate
	if !limited {
		recent = append(recent, c.now)
	}
	s.lookups[at] = recent
	return limited
}

// attributes are the values of an event by the names of LookupAttributes.
var attributes = map[string]func(*event) []string{
	"AccessKeyId": func(e *event) []string { return []string{e.accessKeyID} },
	"EventId":     func(e *event) []string { return []string{e.id} },
	"EventName":   func(e *event) []string { return []string{e.action} },
	"EventSource": func(e *event) []string { return []string{e.source()} },
	"ReadOnly":    func(e *event) []string { return []string{strconv.FormatBool(e.readOnly())} },
	"Username":    func(e *event) []string { return []string{e.userName()} },
	"ResourceName": func(e *event) (names []string) {
		for _, r := range e.resources {
			names = append(names, r.ResourceName)
		}
		return names
	},
	"ResourceType": func(e *event) (types []string) {
		for _, r := range e.resources {
			types = append(types, r.ResourceType)
		}
		return types
	},
}

// check refuses what LookupEvents does not take.
func (in lookup) check() *apiError {
	if len(in.LookupAttributes) > 1 {
		return refusef("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
	}
	for _, a := range in.LookupAttributes {
		if _, ok := attributes[a.AttributeKey]; !ok || a.AttributeValue == "" || len(a.AttributeValue) > 2000 {
			return refusef("InvalidLookupAttributesException", "The lookup attribute %s is not valid.", a.AttributeKey)
		}
	}
	switch {
	case in.MaxResults != nil && (*in.MaxResults < 1 || *in.MaxResults > lookupPage):
		return refusef("InvalidMaxResultsException", "The value for MaxResults must be between 1 and %d.", lookupPage)
	case in.StartTime != nil && in.EndTime != nil && *in.StartTime > *in.EndTime:
		return refusef("InvalidTimeRangeException", "Start time cannot be after end time.")
	case in.EventCategory != "":
		return refusef("InvalidEventCategoryException", "The event category %s is not valid.", in.EventCategory)
	}
	return nil
}

// listedLocked reports whether an event is one that the request asks for, and
// has arrived by now.
func (s *Server) listedLocked(e *event, in lookup, c *call) bool {
	lag := s.knobs.lastUsedLag
	if lag < 0 {
		lag = trailLag
	}
	age, at := c.now.Sub(e.at), float64(e.at.Unix())
	switch {
	case age < lag || age > lookupDays, e.region != c.auth.region, s.accountOf(e.who) != s.accountOf(c.who),
		in.StartTime != nil && at < *in.StartTime, in.EndTime != nil && at > *in.EndTime:
		return false
	}
	for _, a := range in.LookupAttributes {
		if !slices.Contains(attributes[a.AttributeKey](e), a.AttributeValue) {
			return false
		}
	}
	return true
}

func (e *event) listed(accountID string) (trailEvent, *apiError) {
	record, err := e.record(accountID)
	if err != nil {
		return trailEvent{}, refusal(codeInternal)
	}
	return trailEvent{
		EventID: e.id, EventName: e.action, ReadOnly: strconv.FormatBool(e.readOnly()), AccessKeyID: e.accessKeyID,
		EventTime: float64(e.at.Unix()), EventSource: e.source(), Username: e.userName(),
		Resources: append([]trailResource{}, e.resources...), CloudTrailEvent: record,
	}, nil
}

// sealToken returns a token for the page that begins before the given event. It
// works with the same request only.
func (s *Server) sealToken(in lookup, before int) string {
	return fmt.Sprintf("%d.%s", before, s.tokenMark(in, before))
}

// openToken returns where the page of a request begins.
func (s *Server) openToken(in lookup) (int, *apiError) {
	if in.NextToken == "" {
		return math.MaxInt, nil
	}
	number, mark, _ := strings.Cut(in.NextToken, ".")
	before, err := strconv.Atoi(number)
	if err != nil || !hmac.Equal([]byte(mark), []byte(s.tokenMark(in, before))) {
		return 0, refusef("InvalidNextTokenException", "The specified token is not valid.")
	}
	return before, nil
}

func (s *Server) tokenMark(in lookup, before int) string {
	in.NextToken = ""
	mac := hmac.New(sha256.New, s.salt)
	if err := json.NewEncoder(mac).Encode(in); err != nil {
		return "" // numbers and texts only: cannot happen
	}
	fmt.Fprint(mac, before)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
