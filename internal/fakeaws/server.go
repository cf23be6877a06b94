// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Options say what a Server is made of. Now is required.
type Options struct {
	// Now is the clock of the machine; the knob now shifts what the Server
	// makes of it.
	Now func() time.Time
	// Rand feeds every identifier and secret; nil means crypto/rand.
	Rand io.Reader
	// AccountID is the account of the users; empty means DefaultAccountID.
	AccountID string
	// Partition is the one that the account is in, as in "aws-cn"; empty means
	// DefaultPartition.
	Partition string
}

// Server is the pretend account. It is an http.Handler and may be used by
// several goroutines.
type Server struct {
	clock     func() time.Time
	accountID string
	partition partition
	users     []*User // immutable; with the keys that they start with
	roles     []*Role // immutable

	mu       sync.Mutex // guards all below
	gen      generator
	salt     []byte       // of what stands for codes in the log
	keys     []*keyRecord // in the order in which they were made, deleted ones too
	inline   map[*User][]inlinePolicy
	sessions map[string]*session
	trail    []*event                // oldest first
	lookups  map[string][]time.Time  // when LookupEvents was called, by account and Region
	jobs     map[string]*accessedJob // by ID
	spent    map[codeStep]bool       // codes that AWS has accepted
	shown    map[codeStep]bool       // codes that the phone has shown, or that arrived in a request
	knobs    knobs
	log      []Entry
	resets   int           // how often the log was emptied
	logged   chan struct{} // closed and replaced when log or resets change
	turned   chan struct{} // the same when knobs do
}

var _ http.Handler = (*Server)(nil)

var accountForm = regexp.MustCompile(`^\d{12}$`)

// New returns a Server with new users, keys, devices and roles. It fails if
// Options are incomplete or the source of randomness does.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		return nil, errors.New("make pretend account: Options.Now is required")
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.AccountID == "" {
		o.AccountID = DefaultAccountID
	}
	if !accountForm.MatchString(o.AccountID) {
		return nil, fmt.Errorf("make pretend account: account ID %q is not 12 digits", o.AccountID)
	}
	if o.Partition == "" {
		o.Partition = DefaultPartition
	}
	part, ok := partitionNamed(o.Partition)
	if !ok {
		return nil, fmt.Errorf("make pretend account: %q is no partition; the partitions are %s", o.Partition, partitionNames())
	}
	b := builder{
		partition: part.name,
		generator: generator{rand: o.Rand},
		accountID: o.AccountID,
		created:   o.Now().UTC().Truncate(time.Second).AddDate(0, 0, -30),
	}
	s := &Server{
		clock:     o.Now,
		accountID: o.AccountID,
		partition: part,
		users:     b.users(),
		roles:     b.roles(),
		salt:      b.bytes(16),
		sessions:  map[string]*session{},
		spent:     map[codeStep]bool{},
		shown:     map[codeStep]bool{},
		knobs:     newKnobs(),
		logged:    make(chan struct{}),
		turned:    make(chan struct{}),
	}
	if b.err != nil {
		return nil, fmt.Errorf("make pretend account: %w", b.err)
	}
	s.gen = b.generator
	s.renewLocked()
	return s, nil
}

// renewLocked puts keys and policies where they are at the start, and forgets
// what was done with them.
func (s *Server) renewLocked() {
	s.keys, s.inline = newKeys(s.users), map[*User][]inlinePolicy{}
	s.trail, s.lookups, s.jobs = nil, map[string][]time.Time{}, map[string]*accessedJob{}
	for _, ses := range s.sessions {
		ses.status = StatusActive
	}
}

// AccountID returns the account of the users.
func (s *Server) AccountID() string { return s.accountID }

// arn returns the ARN of a resource of IAM in the account.
func (s *Server) arn(resource string) string {
	return "arn:" + s.partition.name + ":iam::" + s.accountID + ":" + resource
}

// Roles returns the roles, those of the other account included.
func (s *Server) Roles() []Role {
	var roles []Role
	for _, r := range s.roles {
		roles = append(roles, *r)
	}
	return roles
}

// Now returns the time by the Server's own clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nowLocked()
}

func (s *Server) nowLocked() time.Time { return s.clock().Add(s.knobs.offset).UTC() }

// ServeHTTP answers STS, IAM and CloudTrail at "/", and the controls of broker-sandbox
// under ControlPath. Where a knob drops the reply it panics with
// http.ErrAbortHandler, as http.Server expects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.Now().Format(http.TimeFormat))
	switch {
	case strings.HasPrefix(r.URL.Path, ControlPath):
		s.serveControl(w, r)
	case isProbe(r) && r.URL.RawQuery == "":
		// What STS answers to a browser, or to somebody who only wants its Date.
		w.Header().Set("Location", "https://aws.amazon.com/iam")
		w.WriteHeader(http.StatusFound)
	case isProbe(r):
		s.refuseProbe(w)
	default:
		s.serveAction(w, r)
	}
}

// isProbe reports whether a request only wants to know whether STS is there. It
// is not logged.
func isProbe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.URL.Path == "/" && r.Header.Get("Authorization") == "" &&
		(r.URL.RawQuery == "" || r.URL.RawQuery == "Action=GetCallerIdentity&Version="+sts.version)
}

// refuseProbe answers an unsigned GetCallerIdentity.
func (s *Server) refuseProbe(w http.ResponseWriter) {
	s.mu.Lock()
	rep := reply{service: sts, action: "GetCallerIdentity", requestID: s.gen.requestID(), err: refusal(codeMissingToken)}
	s.mu.Unlock()
	rep.write(w)
}

func (s *Server) serveAction(w http.ResponseWriter, r *http.Request) {
	req, refused := readRequest(w, r)
	if refused == nil {
		s.delay(r.Context(), req.action)
	}
	reply := s.answer(req, refused)
	reply.write(w)
}

// delay holds a request back as the knob delay says. It ends early when the knob
// is turned back to nothing, or when the client goes away; the request is then
// carried out, as AWS would.
func (s *Server) delay(ctx context.Context, action string) {
	held := func() (time.Duration, <-chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.knobs.delay[action], s.turned
	}
	d, turned := held()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for d > 0 {
		select {
		case <-turned:
			d, turned = held()
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// answer carries a request out under one lock, so that what the log shows is
// the order in which things happened.
func (s *Server) answer(req *request, refused *apiError) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.nowLocked()
	entry := s.newEntryLocked(req, now)
	req.requestID = s.gen.requestID()
	rep := reply{service: req.service, action: req.action, requestID: req.requestID, mangle: s.knobs.body[req.action]}
	drop := s.knobs.takeDrop(req.action)

	switch {
	case drop == dropBefore:
		entry.Result = "dropped"
	case refused != nil:
		rep.err = refused
	default:
		rep.result, rep.err = s.actLocked(req, now, &entry)
	}
	switch {
	case rep.err != nil:
		rep.err = req.service.spelt(rep.err)
		entry.Result, entry.Status, entry.Message = rep.err.code, rep.err.status, rep.err.message
	case entry.Result == "":
		entry.Result, entry.Status = ResultOK, http.StatusOK
	}
	if drop != "" {
		rep.drop, entry.Reply = true, "dropped"
	} else if rep.mangle != "" {
		entry.Reply = rep.mangle
	}
	s.appendLocked(entry)
	return rep
}

// actLocked decides one request: who calls and, for the trail, what becomes of
// it.
func (s *Server) actLocked(req *request, now time.Time, entry *Entry) (any, *apiError) {
	who, refused := s.authenticateLocked(req, now)
	if refused != nil {
		return nil, refused
	}
	entry.UserName = who.user.UserName
	c := &call{request: req, who: who, now: now, entry: entry}
	result, refused := s.carryOutLocked(c)
	s.recordLocked(c, refused)
	return result, refused
}

// carryOutLocked does what is asked for, unless a knob fails it.
func (s *Server) carryOutLocked(c *call) (any, *apiError) {
	if s.knobs.throttled(c.now) {
		return nil, refusal(codeThrottling)
	}
	if refused := s.knobs.takeFail(c.action); refused != nil {
		return nil, refused
	}
	act, ok := actions[c.action]
	if !ok {
		return nil, refusef(codeInvalidAction, "Could not find operation %s for version %s", c.action, c.service.version)
	}
	return act.do(s, c)
}
