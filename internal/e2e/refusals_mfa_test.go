// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"strings"
	"testing"
	"time"
)

// shortStep is the time step of the codes here. They are good for one step at
// least: AWS takes that of the step before as well.
const shortStep = 3 * time.Second

// typed is broker mfa with a code for dev, asked for or not.
func (s *scene) typed(code string) result { return s.run("broker", "mfa", "-p", "dev", code) }

// primed is the first call after a cause that nothing but a code takes away.
func (s *scene) primed() result {
	began := time.Now()
	r := s.typed(s.code())
	if r.status != 0 && time.Since(began) > shortStep {
		r = s.typed(s.code()) // the first one was too old when it came to AWS
	}
	if r.status != 0 {
		return r
	}
	return s.run("broker", "credential-process", "dev")
}

// waiting is a helper that waits for a code, while meanwhile happens.
func (s *scene) waiting(meanwhile func()) result {
	helper := s.start("broker", "credential-process", "dev")
	s.awaitPending(1)
	meanwhile()
	return helper.wait()
}

// mfaCodes is what can become of a code.
func (s *scene) mfaCodes() {
	s.ready("[mfa]", "helper_wait = 50s")
	brief, whole := s.configured("helper_wait", "helper_wait = 1s")
	timeout, patient := s.configured("helper_wait", "helper_wait = 50s\ntimeout = 2s")
	s.set("totp_step=" + shortStep.String())
	// Three of a million codes are right.
	const wrong = "194837"
	others := []string{"582034", "730912", "461905"}
	s.play(
		cause{name: "MFA code needed", code: "mfa_required", do: brief, undo: whole, again: s.primed},
		cause{name: "MFA code wrong", code: "mfa_wrong", again: s.primed, call: func() result {
			return s.typed(wrong)
		}},
		cause{name: "MFA code wrong three times", code: "mfa_wrong", again: s.primed, call: func() result {
			return s.waiting(func() {
				for _, code := range others {
					s.run("broker", "mfa", code)
				}
			})
		}},
		cause{
			name: "MFA code used", code: "mfa_used", again: s.primed, keep: true,
			do:   func() { s.killDaemon(); s.typed(wrong) },
			call: func() result { return s.typed(wrong) },
		},
		cause{name: "MFA prompt cancelled", code: "mfa_cancelled", again: s.primed, call: func() result {
			return s.waiting(func() { s.must(s.run("broker", "mfa", "--cancel")) })
		}},
		cause{
			name: "MFA prompt cancelled a moment ago", code: "mfa_cancelled", again: s.primed, keep: true,
			do: func() {
				s.killDaemon()
				s.waiting(func() { s.must(s.run("broker", "mfa", "--cancel")) })
			},
		},
		cause{name: "MFA prompt timed out", code: "mfa_timeout", do: timeout, undo: patient, again: s.primed},
		cause{
			name: "no MFA code is waited for", code: "mfa_not_pending", again: s.primed,
			call: func() result { return s.run("broker", "mfa", "123456") },
		},
	)
}

// mfaDevices is what is wrong before anybody is asked for a code.
func (s *scene) mfaDevices() {
	s.ready("[mfa]", "helper_wait = 50s")
	s.set("totp_step=" + shortStep.String())
	const dev = "[profile dev]\nregion = eu-west-1\n"
	device := func(name, code, serial string) cause {
		return cause{
			name: name, code: code, again: s.primed,
			do:   func() { s.awsConfig(dev + "mfa_serial = " + serial + "\n") },
			undo: func() { s.awsConfig(dev) },
		}
	}
	deviceless := func(flags ...string) func() result {
		return func() result { return s.finish(s.addCommand("eve", "eve", flags...)) }
	}
	s.play(
		device("MFA device is a passkey", "mfa_passkey", s.user("cleo").Devices[0].SerialNumber),
		device("MFA device is someone else's", "mfa_serial", s.user("bob").Devices[0].SerialNumber),
		device("MFA device is of another account", "mfa_serial", strings.Replace(s.user("ann").Devices[0].SerialNumber, s.account.AccountID, "444455556666", 1)),
		cause{name: "the user has no MFA device (add)", code: "mfa_unknown", call: deviceless(), again: func() result {
			s.must(deviceless("--no-mfa")())
			return s.run("broker", "remove", "eve", "--yes")
		}},
		cause{name: "the user has a passkey only (add)", code: "mfa_passkey", call: func() result {
			return s.finish(s.addCommand("cleo", "cleo"))
		}, again: s.primed},
		cause{name: "the user has two MFA devices (add)", code: "mfa_unknown", call: func() result {
			return s.finish(s.addCommand("bob", "bob"))
		}, again: s.primed},
	)
}

// TestF47SomebodyElsesDevice: a device that is not the user's costs no code.
func TestF47SomebodyElsesDevice(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.awsConfig("[profile dev]\nregion = eu-west-1\nmfa_serial = " + w.user("bob").Devices[0].SerialNumber + "\n")
	r := w.run("broker", "credential-process", "dev")
	if r.status != 4 || r.stdout != "" || !strings.Contains(r.stderr, "mfa_serial") {
		t.Errorf("status %d, stdout %q, stderr %q; want 4 and a line that names mfa_serial", r.status, r.stdout, r.stderr)
	}
	if calls := w.log("GetSessionToken"); len(calls) != 0 {
		t.Errorf("%d calls with a code, want none", len(calls))
	}
}
