// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/vault"
)

// fakePolicies are the inline policies of one user.
type fakePolicies struct {
	inline     map[string]string
	quarantine []string
	err        error
}

func (f *fakeAWS) PutUserPolicy(_ context.Context, userName, name, document string) error {
	if f.policies.inline == nil {
		f.policies.inline = map[string]string{}
	}
	f.policies.inline[userName+"/"+name] = document
	return f.policies.err
}

func (f *fakeAWS) DeleteUserPolicy(_ context.Context, userName, name string) error {
	delete(f.policies.inline, userName+"/"+name)
	return f.policies.err
}

func (f *fakeAWS) Quarantines(context.Context, string) ([]string, error) {
	return f.policies.quarantine, f.policies.err
}

// TestDenySessions: the policy is the one that AWS describes, and goes again.
func TestDenySessions(t *testing.T) {
	b := newBench(t)
	if _, err := b.run(t, ipc.OpPut, putParams(item(1))); err != nil {
		t.Fatal(err)
	}
	signed := ipc.IAMParams{ItemParams: itemParams(item(1)), UserName: "ann"}
	before := time.Date(2026, 11, 22, 5, 6, 7, 0, time.FixedZone("", 3600))
	if _, err := b.run(t, ipc.OpDenySessions, ipc.DenyParams{IAMParams: signed, Before: before}); err != nil {
		t.Fatal(err)
	}
	const want = `{"Version":"2012-10-17","Statement":[{"Sid":"BrokerRevokeOlderSessions","Effect":"Deny","Action":"*","Resource":"*",` +
		`"Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-22T04:06:07Z"}}}]}`
	if got := b.aws.policies.inline["ann/"+vault.DenyPolicy]; got != want {
		t.Errorf("the policy is\n%s, want\n%s", got, want)
	}
	for range 2 {
		if _, err := b.run(t, ipc.OpAllowSessions, signed); err != nil || len(b.aws.policies.inline) != 0 {
			t.Errorf("%v; left: %v", err, b.aws.policies.inline)
		}
	}
	b.aws.policies.err = &vault.AWSError{Code: ipc.CodeAWSDenied, Message: "AccessDenied", Sent: true, Refused: true}
	for op, says := range map[string]string{
		ipc.OpDenySessions: "deny everything to the sessions of IAM user ann", ipc.OpAllowSessions: "take policy " + vault.DenyPolicy,
		ipc.OpListQuarantines: "list the policies of IAM user ann",
	} {
		if _, err := b.run(t, op, signed); err == nil || err.Code != ipc.CodeAWSDenied || !strings.HasPrefix(err.Message, says) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestListQuarantines(t *testing.T) {
	b := newBench(t)
	if _, err := b.run(t, ipc.OpPut, putParams(item(1))); err != nil {
		t.Fatal(err)
	}
	b.aws.policies.quarantine = []string{"AWSCompromisedKeyQuarantineV3"}
	raw, err := b.run(t, ipc.OpListQuarantines, ipc.IAMParams{ItemParams: itemParams(item(1)), UserName: "ann"})
	var got ipc.Quarantines
	if err != nil || json.Unmarshal(raw, &got) != nil || len(got.Policies) != 1 || got.Policies[0] != "AWSCompromisedKeyQuarantineV3" {
		t.Errorf("%s, %v", raw, err)
	}
}
