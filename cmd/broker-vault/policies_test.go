// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// TestDenySessions ends the session that signs for it, and a key signs it away.
func TestDenySessions(t *testing.T) {
	t.Parallel()
	r := newRenewal(t, fileWorker(t))
	must(t, r.a.Set("policy=none"))
	bare := r.iam
	bare.Session = nil
	must(t, r.w.run(t, ipc.OpAllowSessions, r.iam, nil)) // none is there
	must(t, r.w.run(t, ipc.OpDenySessions, ipc.DenyParams{IAMParams: r.iam, Before: time.Now().Add(time.Minute)}, nil))
	wantCode(t, r.w.run(t, ipc.OpListKeys, r.iam, nil), ipc.CodeAWSExplicitDeny)
	must(t, r.w.run(t, ipc.OpAllowSessions, bare, nil))
	must(t, r.w.run(t, ipc.OpListKeys, r.iam, nil))
	must(t, r.a.Set("policy=quarantine"))
	var found ipc.Quarantines
	must(t, r.w.run(t, ipc.OpListQuarantines, r.iam, &found))
	if len(found.Policies) != 2 {
		t.Errorf("quarantines: %v", found.Policies)
	}
	wantCode(t, r.w.run(t, ipc.OpDenySessions, ipc.DenyParams{IAMParams: bare, Before: time.Now()}, nil), ipc.CodeAWSQuarantined)
}
