// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"credbroker/internal/ipc"
)

// Policies is what a worker asks of IAM about the policies of a user. Its errors
// are *AWSError.
type Policies interface {
	PutUserPolicy(ctx context.Context, userName, policyName, document string) error
	// DeleteUserPolicy succeeds where there is no such policy.
	DeleteUserPolicy(ctx context.Context, userName, policyName string) error
	// Quarantines returns the names of attached policies that AWS itself puts on
	// the user of a key that has leaked.
	Quarantines(ctx context.Context, userName string) ([]string, error)
}

// DenyPolicy is the name of the inline policy that denies everything to the
// sessions that AWS made before some time. It is how broker knows its own.
const DenyPolicy = "broker-revoke-sessions"

// denyBefore is the document of DenyPolicy. Requests that are signed with a
// long-lived key have no aws:TokenIssueTime, so that it is not for them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html
func denyBefore(t time.Time) (string, error) {
	type statement struct {
		Sid, Effect, Action, Resource string
		Condition                     map[string]map[string]string
	}
	document, err := json.Marshal(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{
		Sid: "BrokerRevokeOlderSessions", Effect: "Deny", Action: "*", Resource: "*",
		Condition: map[string]map[string]string{"DateLessThan": {"aws:TokenIssueTime": t.UTC().Format(time.RFC3339)}},
	}}})
	return string(document), err
}

func (w *Worker) denySessions(ctx context.Context, p ipc.DenyParams) (any, error) {
	document, err := denyBefore(p.Before)
	if err != nil {
		return nil, err
	}
	api, err := w.signed(ctx, p.IAMParams)
	if err == nil {
		err = w.iam(ctx, func(ctx context.Context) error { return api.PutUserPolicy(ctx, p.UserName, DenyPolicy, document) })
	}
	if err != nil {
		return nil, fmt.Errorf("deny everything to the sessions of IAM user %s: %w", p.UserName, err)
	}
	return done{}, nil
}

func (w *Worker) allowSessions(ctx context.Context, p ipc.IAMParams) (any, error) {
	api, err := w.signed(ctx, p)
	if err == nil {
		err = w.iam(ctx, func(ctx context.Context) error { return api.DeleteUserPolicy(ctx, p.UserName, DenyPolicy) })
	}
	if err != nil {
		return nil, fmt.Errorf("take policy %s out of IAM user %s: %w", DenyPolicy, p.UserName, err)
	}
	return done{}, nil
}

func (w *Worker) listQuarantines(ctx context.Context, p ipc.IAMParams) (any, error) {
	api, err := w.signed(ctx, p)
	if err != nil {
		return nil, err
	}
	found := ipc.Quarantines{Policies: []string{}}
	err = w.iam(ctx, func(ctx context.Context) error {
		names, err := api.Quarantines(ctx, p.UserName)
		found.Policies = append(found.Policies, names...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the policies of IAM user %s: %w", p.UserName, err)
	}
	return found, nil
}
