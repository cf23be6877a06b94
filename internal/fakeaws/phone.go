// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"context"
	"fmt"
	"time"
)

// codeStep is one code of one device: the time step it belongs to.
type codeStep struct {
	serialNumber string
	step         time.Duration
	counter      int64
}

// Code returns the next code that the pretend phone has not shown yet and that
// no request has carried, and waits for the next time step if it must. An
// empty serialNumber means the device of the first user. It fails for a device
// that shows no codes, and when ctx ends.
func (s *Server) Code(ctx context.Context, serialNumber string) (string, error) {
	for {
		code, wait, err := s.show(serialNumber)
		if err != nil {
			return "", err
		}
		if code != "" {
			return code, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", fmt.Errorf("wait %s for the next code of %s: %w", wait.Round(time.Second), serialNumber, context.Cause(ctx))
		}
	}
}

// show returns the code of the present time step, or how long to wait for the
// next one.
func (s *Server) show(serialNumber string) (code string, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if serialNumber == "" {
		serialNumber = s.users[0].Devices[0].SerialNumber
	}
	seed, err := s.seed(serialNumber)
	if err != nil {
		return "", 0, err
	}
	now, step := s.nowLocked(), s.knobs.totpStep
	at := codeStep{serialNumber, step, stepOf(now, step)}
	if s.shown[at] || s.spent[at] {
		return "", stepEnd(at.counter, step).Sub(now), nil
	}
	s.forgetLocked(now)
	s.shown[at] = true
	return totpCode(seed, at.counter), 0, nil
}

// CodeNow returns the code of the present time step, used or not, and notes
// nothing.
func (s *Server) CodeNow(serialNumber string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seed, err := s.seed(serialNumber)
	if err != nil {
		return "", err
	}
	return totpCode(seed, stepOf(s.nowLocked(), s.knobs.totpStep)), nil
}

func (s *Server) seed(serialNumber string) ([]byte, error) {
	for _, u := range s.users {
		for i := range u.Devices {
			if d := &u.Devices[i]; d.SerialNumber == serialNumber {
				if d.isPasskey() {
					return nil, fmt.Errorf("show code of %s: a passkey has no codes", serialNumber)
				}
				return seedEncoding.DecodeString(d.TOTPSecret.Reveal())
			}
		}
	}
	return nil, fmt.Errorf("show code of %s: the account has no such device", serialNumber)
}

// matchLocked returns the time step of a code: the present one or a neighbour.
func (s *Server) matchLocked(seed []byte, serialNumber, code string, now time.Time) (codeStep, bool) {
	step := s.knobs.totpStep
	present := stepOf(now, step)
	for _, counter := range []int64{present, present - 1, present + 1} {
		if totpCode(seed, counter) == code {
			return codeStep{serialNumber, step, counter}, true
		}
	}
	return codeStep{}, false
}

// arrivedLocked notes a code that came in a request, whatever becomes of it:
// the phone does not show it again.
func (s *Server) arrivedLocked(serialNumber, code string, now time.Time) {
	seed, err := s.seed(serialNumber)
	if err != nil {
		return // not a device that shows codes
	}
	if at, ok := s.matchLocked(seed, serialNumber, code, now); ok {
		s.shown[at] = true
	}
}

// spendLocked accepts an MFA code of the caller, once. A request without MFA
// parameters passes.
func (s *Server) spendLocked(c *call, m mfaParams) *apiError {
	if !m.given() {
		return nil
	}
	owned := false
	for i := range c.who.user.Devices {
		d := &c.who.user.Devices[i]
		owned = owned || d.SerialNumber == m.serialNumber && !d.isPasskey()
	}
	if !owned || c.who.isRole() {
		return refusef(codeAccessDenied, textMFASerial)
	}
	seed, err := s.seed(m.serialNumber)
	if err != nil {
		return refusal(codeInternal)
	}
	at, ok := s.matchLocked(seed, m.serialNumber, m.tokenCode, c.now)
	if !ok || s.spent[at] {
		return refusef(codeAccessDenied, textMFACode)
	}
	s.forgetLocked(c.now)
	s.spent[at] = true
	return nil
}

// forgetLocked drops what is too old to be accepted under any clock a test
// may still turn back to.
func (s *Server) forgetLocked(now time.Time) {
	for _, codes := range []map[codeStep]bool{s.spent, s.shown} {
		if len(codes) < 4096 {
			continue
		}
		for at := range codes {
			if stepEnd(at.counter, at.step).Before(now.Add(-24 * time.Hour)) {
				delete(codes, at)
			}
		}
	}
}
