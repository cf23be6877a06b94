// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values of the knobs body.ACTION and drop.ACTION.
const (
	bodyGarbage = "garbage"
	bodyHuge    = "huge"
	bodyHTML    = "html"
	dropBefore  = "before"
	dropAfter   = "after"
	off         = "none"
)

// forEver is the count of a fault that was set without one.
const forEver = -1

// fault is what happens to the next requests of an action.
type fault struct {
	value string // an error code, or dropBefore or dropAfter
	left  int    // requests; forEver for all
}

// take uses a fault up once.
func take(faults map[string]fault, action string) string {
	f, ok := faults[action]
	if !ok {
		return ""
	}
	if f.left > 0 {
		f.left--
		faults[action] = f
	}
	if f.left == 0 {
		delete(faults, action)
	}
	return f.value
}

// knobs are the settings of a Server that Set turns.
type knobs struct {
	offset      time.Duration
	totpStep    time.Duration
	sessionLife time.Duration // 0 = what the request asks for
	delay       map[string]time.Duration
	fail        map[string]fault
	drop        map[string]fault
	body        map[string]string
	throttle    int // requests a second; forEver for no limit
	second      int64
	inSecond    int
	policy      []managedPolicy
	propagation propagation
	lastUsedLag time.Duration // unset is negative
}

// propagation is how a change of a key gets around.
type propagation struct {
	takes time.Duration
	flaps bool // on the way it shows and hides in turn
}

// unset is the lag of a Server that was told none: IAM shows use at once,
// CloudTrail after trailLag.
const unset = -1

func newKnobs() knobs {
	return knobs{
		totpStep: defaultStep,
		delay:    map[string]time.Duration{},
		fail:     map[string]fault{},
		drop:     map[string]fault{},
		body:     map[string]string{},
		throttle: forEver,

		lastUsedLag: unset,
	}
}

func (k knobs) clone() knobs {
	k.delay, k.fail, k.drop, k.body = maps.Clone(k.delay), maps.Clone(k.fail), maps.Clone(k.drop), maps.Clone(k.body)
	return k
}

func (k *knobs) takeDrop(action string) string { return take(k.drop, action) }

func (k *knobs) takeFail(action string) *apiError {
	if code := take(k.fail, action); code != "" {
		return refusal(code)
	}
	return nil
}

// throttled counts a request against the limit of the present second.
func (k *knobs) throttled(now time.Time) bool {
	if k.throttle == forEver {
		return false
	}
	if second := now.Unix(); second != k.second {
		k.second, k.inSecond = second, 0
	}
	k.inSecond++
	return k.inSecond > k.throttle
}

// knobNames is what an error about an unknown knob lists.
const knobNames = "now, totp_step, session_life, delay.ACTION, fail.ACTION, drop.ACTION, body.ACTION, throttle, key.ID, policy, propagation, last_used_lag"

// Set turns knobs, each "NAME=VALUE", all of them or, on an error, none. The
// value none takes back a fail, drop, body, throttle, policy, propagation or
// last_used_lag. A status that key.ID sets holds everywhere at once.
func (s *Server) Set(settings ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, status := s.knobs.clone(), map[string]string{}
	for _, setting := range settings {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return fmt.Errorf("set %q: write KNOB=VALUE", setting)
		}
		var err error
		if id, isKey := strings.CutPrefix(name, "key."); isKey {
			err = s.setStatusLocked(status, id, value)
		} else {
			err = next.set(name, value)
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", setting, err)
		}
	}
	s.knobs = next
	s.turnLocked()
	for id, value := range status {
		if ses, ok := s.sessions[id]; ok {
			ses.status = value
		} else {
			s.keyLocked(id).settle(value)
		}
	}
	return nil
}

// Reset puts every knob, key and policy back to where it was at the start and
// empties the log, CloudTrail's too. Keys that were made since are gone.
// Sessions stay valid and used codes stay used: AWS forgets neither.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs, s.log = newKnobs(), nil
	s.turnLocked()
	s.renewLocked()
	s.resets++
	s.announceLocked()
}

// turnLocked tells those who are held back that the knobs are other ones.
func (s *Server) turnLocked() {
	close(s.turned)
	s.turned = make(chan struct{})
}

func (s *Server) setStatusLocked(status map[string]string, id, value string) error {
	if !slices.Contains([]string{StatusActive, StatusInactive, statusDeleted}, value) {
		return fmt.Errorf("a key is %s, %s or %s", StatusActive, StatusInactive, statusDeleted)
	}
	_, isSession := s.sessions[id]
	if s.keyLocked(id) == nil && !isSession {
		return fmt.Errorf("the account has no key %s", id)
	}
	status[id] = value
	return nil
}

func (k *knobs) set(name, value string) error {
	if family, action, ok := strings.Cut(name, "."); ok {
		return k.setFor(family, action, value)
	}
	var err error
	switch name {
	case "now":
		k.offset, err = duration(value, math.MinInt64)
	case "totp_step":
		k.totpStep, err = duration(value, 10*time.Millisecond)
	case "session_life":
		k.sessionLife, err = duration(value, 0)
	case "throttle":
		k.throttle, err = rate(value)
	case "policy":
		k.policy, err = policiesNamed(value)
	case "propagation":
		k.propagation, err = propagationNamed(value)
	case "last_used_lag":
		k.lastUsedLag, err = lag(value)
	default:
		return fmt.Errorf("no such knob; the knobs are %s", knobNames)
	}
	return err
}

// setFor sets a knob of one action.
func (k *knobs) setFor(family, action, value string) error {
	if !slices.Contains([]string{"delay", "fail", "drop", "body"}, family) {
		return fmt.Errorf("no such knob; the knobs are %s", knobNames)
	}
	if _, ok := actions[action]; !ok {
		return fmt.Errorf("no such action; the actions are %s", strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	var err error
	switch {
	case family == "delay":
		k.delay[action], err = duration(value, 0)
	case value == off:
		delete(map[string]map[string]fault{"fail": k.fail, "drop": k.drop}[family], action)
		if family == "body" {
			delete(k.body, action)
		}
	case family == "fail":
		err = setFault(k.fail, action, value, codeForm, "an error code of AWS")
	case family == "drop":
		err = setFault(k.drop, action, value, dropForm, "before or after")
	case slices.Contains([]string{bodyGarbage, bodyHuge, bodyHTML}, value):
		k.body[action] = value
	default:
		err = fmt.Errorf("a body is %s, %s or %s", bodyGarbage, bodyHuge, bodyHTML)
	}
	return err
}

var (
	codeForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9.]*$|^5\d\d$`)
	dropForm = regexp.MustCompile(`^(` + dropBefore + `|` + dropAfter + `)$`)
)

// setFault reads VALUE[:COUNT].
func setFault(faults map[string]fault, action, text string, form *regexp.Regexp, what string) error {
	value, count, counted := strings.Cut(text, ":")
	left := forEver
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return fmt.Errorf("the count %q is not a number from 1", count)
		}
		left = n
	}
	if !form.MatchString(value) {
		return fmt.Errorf("%q is not %s", value, what)
	}
	switch value {
	case strconv.Itoa(http.StatusInternalServerError):
		value = codeInternal
	case strconv.Itoa(http.StatusServiceUnavailable):
		value = codeUnavailable
	}
	faults[action] = fault{value, left}
	return nil
}

// duration reads a duration of at least low.
func duration(value string, low time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90s", value)
	}
	if d < low {
		return 0, fmt.Errorf("the duration is under %s", low)
	}
	return d, nil
}

// rate reads N/s.
func rate(value string) (int, error) {
	if value == off {
		return forEver, nil
	}
	number, isRate := strings.CutSuffix(value, "/s")
	n, err := strconv.Atoi(number)
	if !isRate || err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a rate such as 5/s", value)
	}
	return n, nil
}

// propagationNamed reads DUR[:flap].
func propagationNamed(value string) (propagation, error) {
	if value == off {
		return propagation{}, nil
	}
	text, flaps := strings.CutSuffix(value, ":flap")
	takes, err := duration(text, 0)
	return propagation{takes, flaps}, err
}

func lag(value string) (time.Duration, error) {
	if value == off {
		return unset, nil
	}
	return duration(value, 0)
}
