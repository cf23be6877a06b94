// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

// revocations are what AWS says to a revocation, and broker to whoever comes
// after one. The key works on in each of them, so that undoing asks nobody.
func (s *scene) revocations() {
	revoke := func() result { return s.run("broker", "revoke", "dev") }
	undo := func() result { return s.run("broker", "revoke", "dev", "--undo") }
	away, back := s.configured("endpoint_url", "endpoint_url = http://127.0.0.1:1")
	s.play(
		cause{name: "revoke, explicit deny", code: "aws_explicit_deny", do: s.turned("policy=deny:UpdateAccessKey"), undo: s.reset, call: revoke, again: undo},
		cause{name: "revoke, no permission", code: "aws_denied", do: s.turned("fail.UpdateAccessKey=AccessDenied"), undo: s.reset, call: revoke, again: undo},
		cause{name: "revoke, the deny not allowed", code: "aws_denied", do: s.turned("policy=deny:PutUserPolicy", "fail.UpdateAccessKey=AccessDenied"), undo: s.reset, again: undo, call: func() result {
			return s.run("broker", "revoke", "dev", "--deny-sessions")
		}},
		cause{name: "revoke in quarantine", code: "aws_quarantined", do: s.turned("policy=quarantine"), undo: s.reset, call: revoke, again: undo},
		cause{name: "revoke, AWS out of reach", code: "aws_unreachable", do: away, undo: back, call: revoke, again: undo},
		cause{
			name: "key revoked", code: "key_inactive", foreground: true,
			do:   func() { s.set("policy=deny:UpdateAccessKey"); revoke(); s.reset() },
			undo: func() { s.must(undo()) },
		},
	)
}
