// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"credbroker/credproc"
	"credbroker/internal/awsapi"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
)

// caller is a vault.AWS on internal/awsapi.
type caller struct{ api *awsapi.Caller }

var _ vault.AWS = caller{}

// dialAWS returns calls that are signed with a long-lived key.
func dialAWS(to ipc.AWS, accessKeyID string, secretAccessKey secret.String) (vault.AWS, error) {
	client, err := reach(to)
	if err != nil {
		return nil, err
	}
	return caller{client.LongLived(awsapi.Keys{AccessKeyID: accessKeyID, Secret: secretAccessKey})}, nil
}

// dialIAM returns calls that are signed with temporary credentials.
func dialIAM(to ipc.AWS, session credproc.Credentials) (vault.IAM, error) {
	client, err := reach(to)
	if err != nil {
		return nil, err
	}
	return caller{client.Temporary(session)}, nil
}

func reach(to ipc.AWS) (*awsapi.Client, error) {
	client, err := awsapi.New(awsapi.Options{
		Region:         to.Region,
		Partition:      to.Partition,
		STSEndpointURL: to.STSEndpointURL,
		IAMEndpointURL: to.IAMEndpointURL,
		CABundle:       to.CABundle,
		HTTPSProxy:     to.HTTPSProxy,
		UseFIPS:        to.UseFIPS,
		UseDualStack:   to.UseDualStack,
		ClockOffset:    time.Duration(to.ClockOffset) * time.Second,
		Now:            time.Now,
		UserAgent:      "broker/" + version,
	})
	if err != nil {
		return nil, awsError(err)
	}
	return client, nil
}

// GetCallerIdentity implements vault.AWS.
func (c caller) GetCallerIdentity(ctx context.Context) (ipc.Identity, error) {
	id, err := c.api.GetCallerIdentity(ctx)
	return ipc.Identity(id), awsError(err)
}

// ListMFADevices implements vault.AWS.
func (c caller) ListMFADevices(ctx context.Context, userName string) ([]ipc.MFADevice, error) {
	found, err := c.api.ListMFADevices(ctx, userName)
	devices := make([]ipc.MFADevice, 0, len(found))
	for _, d := range found {
		devices = append(devices, ipc.MFADevice{SerialNumber: d.SerialNumber, EnableDate: d.EnableDate})
	}
	return devices, awsError(err)
}

// GetSessionToken implements vault.AWS.
func (c caller) GetSessionToken(ctx context.Context, in vault.SessionToken) (json.RawMessage, error) {
	credentials, err := c.api.GetSessionToken(ctx, awsapi.SessionTokenInput{
		SerialNumber:    in.SerialNumber,
		TokenCode:       in.TokenCode,
		DurationSeconds: in.DurationSeconds,
	})
	if err != nil {
		return nil, awsError(err)
	}
	credentials.AccountID = in.AccountID
	document, err := credentials.Encode()
	if err != nil {
		return nil, &vault.AWSError{Code: ipc.CodeAWSGarbage, Message: err.Error(), Sent: true}
	}
	return document, nil
}

// GetUser implements vault.IAM.
func (c caller) GetUser(ctx context.Context) error {
	_, err := c.api.GetUser(ctx, "")
	return awsError(err)
}

// ListAccessKeys implements vault.IAM.
func (c caller) ListAccessKeys(ctx context.Context, userName string) ([]ipc.KeyState, error) {
	found, err := c.api.ListAccessKeys(ctx, userName)
	keys := make([]ipc.KeyState, 0, len(found))
	for _, k := range found {
		keys = append(keys, ipc.KeyState{AccessKeyID: k.AccessKeyID, Active: k.Active, CreateDate: k.CreateDate})
	}
	return keys, awsError(err)
}

// LastUsed implements vault.IAM.
func (c caller) LastUsed(ctx context.Context, key *ipc.KeyState) error {
	use, err := c.api.GetAccessKeyLastUsed(ctx, key.AccessKeyID)
	if err == nil && !use.Date.IsZero() {
		key.LastUsed, key.ServiceName, key.Region = &use.Date, use.ServiceName, use.Region
	}
	return awsError(err)
}

// CreateAccessKey implements vault.IAM.
func (c caller) CreateAccessKey(ctx context.Context, userName string) (string, secret.String, error) {
	key, err := c.api.CreateAccessKey(ctx, userName)
	return key.AccessKeyID, key.SecretAccessKey, awsError(err)
}

// UpdateAccessKey implements vault.IAM.
func (c caller) UpdateAccessKey(ctx context.Context, userName, accessKeyID string, active bool) error {
	return awsError(c.api.UpdateAccessKey(ctx, userName, accessKeyID, active))
}

// DeleteAccessKey implements vault.IAM.
func (c caller) DeleteAccessKey(ctx context.Context, userName, accessKeyID string) error {
	return awsError(c.api.DeleteAccessKey(ctx, userName, accessKeyID))
}

// PutUserPolicy implements vault.Policies.
func (c caller) PutUserPolicy(ctx context.Context, userName, policyName, document string) error {
	return awsError(c.api.PutUserPolicy(ctx, userName, policyName, document))
}

// DeleteUserPolicy implements vault.Policies.
func (c caller) DeleteUserPolicy(ctx context.Context, userName, policyName string) error {
	err := c.api.DeleteUserPolicy(ctx, userName, policyName)
	var e *awsapi.Error
	if errors.As(err, &e) && e.NotFound() {
		return nil
	}
	return awsError(err)
}

// Quarantines implements vault.Policies.
func (c caller) Quarantines(ctx context.Context, userName string) ([]string, error) {
	attached, err := c.api.ListAttachedUserPolicies(ctx, userName)
	var names []string
	for _, p := range attached {
		if p.Quarantine() {
			names = append(names, p.PolicyName)
		}
	}
	return names, awsError(err)
}

// BeginReport implements vault.IAM.
func (c caller) BeginReport(ctx context.Context, arn string) (string, error) {
	job, err := c.api.GenerateServiceLastAccessedDetails(ctx, arn)
	return job, awsError(err)
}

// Report implements vault.IAM.
func (c caller) Report(ctx context.Context, job string) (bool, []ipc.ServiceUse, error) {
	done, found, err := c.api.GetServiceLastAccessedDetails(ctx, job)
	used := make([]ipc.ServiceUse, 0, len(found))
	for _, s := range found {
		used = append(used, ipc.ServiceUse{Namespace: s.Namespace, ServiceName: s.ServiceName, LastUsed: s.LastAuthenticated, Region: s.Region})
	}
	return done, used, awsError(err)
}

// awsError returns err, or nil, as vault knows it.
func awsError(err error) error {
	if err == nil {
		return nil
	}
	var e *awsapi.Error
	if errors.As(err, &e) {
		return &vault.AWSError{Code: ipc.Code(e.Code), Message: e.Error(), Hint: e.Hint(), Sent: e.Sent, Refused: e.Refused()}
	}
	return &vault.AWSError{Code: ipc.CodeAWSFailed, Message: err.Error(), Sent: true}
}
